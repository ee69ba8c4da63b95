"""The files of a savedir: their names and formats."""
