"""The command lines: each parses its flags, calls the rooms below and prints what they return.

`command.py` is `metadrop`, `program.py` and `hints.py` are what all share, and every other file is a subcommand.
"""
