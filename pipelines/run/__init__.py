"""A whole run: the Beam graph, its counters and progress, staged weights, and publishing the dataset."""
