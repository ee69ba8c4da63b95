"""miniImageNet from a folder for each class, named by its wnid."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from tf_metadrop.data import layouts, mimgnet_csv
from tf_metadrop.data.mimgnet_classes import CLASSES


class Split(NamedTuple):
    """One split, not yet read in full.

    Attributes:
      names: class names (wnids); None where the form has no names.
      instances: images per class; one number each.
      blocks: gives the classes one by one, each uint8 [instances, 84, 84, 3].
      path: of its file or list, for messages.
    """

    names: list[str] | None
    instances: list[int]
    blocks: Callable[[], Iterator[np.ndarray]]
    path: pathlib.Path


def open_split(path: pathlib.Path) -> Split:
    """The classes in the folders of this folder."""
    return of_folders(layouts.folders(path), path)


def of_one_folder(path: pathlib.Path) -> dict[str, Callable[[], Split]] | None:
    """The splits of Ravi and Larochelle, where this folder has one for each of their 100 classes; else None."""
    names = {folder.name for folder in layouts.folders(path)}
    if not names.issuperset(name for of_split in CLASSES.values() for name in of_split):
        return None
    return {split: partial(of_folders, [path / name for name in of], path) for split, of in CLASSES.items()}


def of_folders(folders: list[pathlib.Path], path: pathlib.Path) -> Split:
    """A split of these classes, their images by name."""
    files = [layouts.files(folder) for folder in folders]

    def blocks() -> Iterator[np.ndarray]:
        return (np.stack([mimgnet_csv.read_image(file) for file in group]) for group in files)

    return Split([folder.name for folder in folders], [len(group) for group in files], blocks, path)
