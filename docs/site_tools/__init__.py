"""What docs/hooks.py needs to build the documentation site. Only mkdocs imports this; it is no part of the package."""
