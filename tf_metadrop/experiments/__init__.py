"""Definitions of runs: the published ones, and sweeps; and the folder of their flag files."""
