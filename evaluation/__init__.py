"""What dreaming did: judges, metrics, robustness, utility, steering, and their reports."""
