"""The files of a savedir. No other room knows their names and formats."""
