"""The steering benchmark: how well recipes reach their targets."""
