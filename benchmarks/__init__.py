"""Speed and memory: `python -m benchmarks.step` for this project, `python -m benchmarks.peers` for others too."""
