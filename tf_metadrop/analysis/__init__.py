"""Makes tables and pages from many finished runs. `tables.py` combines the tables of the other files."""
