"""Where a download's files may be: in the folder that was given, or a level below or above it."""

import pathlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HIDDEN = "__MACOSX"


def folders(path: pathlib.Path) -> list[pathlib.Path]:
    """The folders in a folder that are a user's, by name."""
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [each for each in inside if each.is_dir() and not each.name.startswith(".") and each.name != HIDDEN]


def files(path: pathlib.Path) -> list[pathlib.Path]:
    """The files in a folder that are a user's, by name."""
    return [each for each in sorted(path.iterdir()) if each.is_file() and not each.name.startswith((".", "Thumbs.db"))]


def files_by_folder(path: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The files of each of the folders in a folder, by its name."""
    return {each.name: files(each) for each in folders(path)}


def first(source: pathlib.Path, find: Callable[[pathlib.Path], T | None]) -> T | None:
    """The first thing that is found in the folder, one of its folders, or the one above; says where, if elsewhere."""
    for place in (source, *folders(source), source.resolve().parent):
        found = find(place)
        if found is not None:
            if place != source:
                print(f"--source {source}: taken from {place}")
            return found
    return None
