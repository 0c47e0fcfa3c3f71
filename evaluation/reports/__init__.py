"""One call for each report: from data to files on disk."""
