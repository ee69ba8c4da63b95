"""Reads miniImageNet from a folder for each class, named after its wnid."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from tf_metadrop.data import layouts, mimgnet_csv
from tf_metadrop.data.mimgnet_classes import CLASSES


class Split(NamedTuple):
    """One split, whose images have not been read yet.

    Attributes:
      names: class names (wnids); None if the format has no names.
      instances: number of images of each class.
      blocks: yields the classes one by one, each uint8 [instances, 84, 84, 3].
      path: path of its file or list, for messages.
    """

    names: list[str] | None
    instances: list[int]
    blocks: Callable[[], Iterator[np.ndarray]]
    path: pathlib.Path


def open_split(path: pathlib.Path) -> Split:
    """The split whose classes are the folders in this folder."""
    return of_folders(layouts.folders(path), path)


def of_one_folder(path: pathlib.Path) -> dict[str, Callable[[], Split]] | None:
    """The splits of Ravi and Larochelle if this folder has a folder for each of their 100 classes; otherwise None."""
    names = {folder.name for folder in layouts.folders(path)}
    if not names.issuperset(name for of_split in CLASSES.values() for name in of_split):
        return None
    return {split: partial(of_folders, [path / name for name in of], path) for split, of in CLASSES.items()}


def of_folders(folders: list[pathlib.Path], path: pathlib.Path) -> Split:
    """A split with these folders as classes; images are sorted by name."""
    files = [layouts.files(folder) for folder in folders]

    def blocks() -> Iterator[np.ndarray]:
        return (np.stack([mimgnet_csv.read_image(file) for file in group]) for group in files)

    return Split([folder.name for folder in folders], [len(group) for group in files], blocks, path)
