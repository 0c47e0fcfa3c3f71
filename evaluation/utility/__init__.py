"""The utility study: whether a classifier gets better by dreamed data."""
