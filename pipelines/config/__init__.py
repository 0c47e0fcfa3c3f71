"""The configuration of a run, and the configurations that come with the package."""
