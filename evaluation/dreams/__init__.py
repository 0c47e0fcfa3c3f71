"""The evaluation of a dataset: originals and dreams in pairs, a row for each, and their metrics."""
