"""Finds files of a download in a given folder, in one of its folders, or in the folder above."""

import pathlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HIDDEN = "__MACOSX"


def folders(path: pathlib.Path) -> list[pathlib.Path]:
    """The folders in a folder, sorted by name, without hidden ones."""
    inside = sorted(path.iterdir()) if path.is_dir() else []
    return [each for each in inside if each.is_dir() and not each.name.startswith(".") and each.name != HIDDEN]


def files(path: pathlib.Path) -> list[pathlib.Path]:
    """The files in a folder, sorted by name, without hidden ones."""
    return [each for each in sorted(path.iterdir()) if each.is_file() and not each.name.startswith((".", "Thumbs.db"))]


def files_by_folder(path: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The files of each folder in a folder, by the name of the folder."""
    return {each.name: files(each) for each in folders(path)}


def first(source: pathlib.Path, find: Callable[[pathlib.Path], T | None]) -> T | None:
    """The first result of `find` in the folder, its folders or the folder above; prints the place if it is another."""
    for place in (source, *folders(source), source.resolve().parent):
        found = find(place)
        if found is not None:
            if place != source:
                print(f"--source {source}: using {place}")
            return found
    return None
