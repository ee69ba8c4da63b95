"""A savedir's model and the settings to test it with."""
