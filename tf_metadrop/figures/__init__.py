"""Figures of a run, one kind a file: what a savedir holds goes in, PNG (or GIF) files come out. See plot.py."""
