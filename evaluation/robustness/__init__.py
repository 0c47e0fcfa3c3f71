"""The robustness report: what perturbs a clip, the trial of a classifier, curves and signs of a weak attack."""
