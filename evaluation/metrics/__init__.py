"""Measures on arrays: intervals, class shifts, distances, kinship. No files, no models."""
