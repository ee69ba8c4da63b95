"""What a savedir holds. No other room knows the names and formats of its files."""
