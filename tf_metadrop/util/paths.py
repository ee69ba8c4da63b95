"""Paths as people write them."""

import os
import pathlib


def path(text: str | os.PathLike) -> pathlib.Path:
    """A path, ~ and ~user expanded: a shell does not do it in --flag=~/folder, nor does Python."""
    return pathlib.Path(os.path.expanduser(os.fspath(text)))
