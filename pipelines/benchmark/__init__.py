"""What this machine can do, and what a cluster would need."""
