"""Paths as users write them."""

import os
import pathlib


def path(text: str | os.PathLike) -> pathlib.Path:
    """A path in which ~ and ~user are expanded, because neither the shell nor Python does so in --flag=~/folder."""
    return pathlib.Path(os.path.expanduser(os.fspath(text)))
