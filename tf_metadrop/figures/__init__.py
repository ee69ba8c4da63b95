"""Arrays and rows to pictures, one kind of figure in each file. style.py has names and colours, layout.py the rest."""
