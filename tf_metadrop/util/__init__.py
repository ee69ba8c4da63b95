"""What knows nothing of meta-learning: registries, locks, signals, progress, processes."""
