"""Which runs there are: the published ones, and sweeps; and where their flag files are."""
