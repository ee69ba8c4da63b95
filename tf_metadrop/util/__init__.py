"""Helpers that have nothing to do with meta-learning: registries, locks, signals, progress bars, processes."""
