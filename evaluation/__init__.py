"""What came out: judges, metrics, robustness and reports."""
