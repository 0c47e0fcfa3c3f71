"""The robustness report: perturbations, attacks on a classifier, curves, and signs of a weak attack."""
