"""Clips: references to pieces of files and records, their samples, and the listings that name them."""
