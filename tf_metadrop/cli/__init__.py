"""The command lines: parse, call, say. `command.py` is `metadrop`; every other file but `program.py` a subcommand."""
