"""Measures speed and memory: `benchmarks.step` of this project, `benchmarks.peers` also of plain implementations."""
