"""Many finished runs to tables and pages. `tables.py` puts together what the other files make."""
