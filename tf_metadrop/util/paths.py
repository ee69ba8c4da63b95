"""Paths as users write them."""

import os
import pathlib

from tf_metadrop.errors import UsageError


def path(text: str | os.PathLike) -> pathlib.Path:
    """A path in which ~ and ~user are expanded, because neither the shell nor Python does so in --flag=~/folder.

    Raises:
      UsageError: the text is empty, which pathlib takes for the current folder.
    """
    if not os.fspath(text):
        raise UsageError("a path is empty, as of a variable that is not set: give a file or a folder.")
    return pathlib.Path(os.path.expanduser(os.fspath(text)))
