"""Writes the images of a user's data set, and counts the files and classes that are left out: see own.py."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import tqdm

from tf_metadrop.data import arrays, pictures
from tf_metadrop.data.spec import DatasetSpec
from tf_metadrop.errors import UsageError

TOGETHER = 64  # images that are read at a time
NAMED = 3  # largest number of files or classes that a message names

Classes: TypeAlias = dict[str, list[pathlib.Path]]


class Writer:
    """Writes splits, and counts the files and classes that it leaves out."""

    def __init__(self, stage: pathlib.Path, spec: DatasetSpec):
        self._stage, self._spec = stage, spec
        self.skipped: list[str] = []  # files that are not usable images
        self.empty: list[str] = []  # classes without a usable image
        self._where: dict[bytes, tuple[str, str]] = {}  # digest of an image -> its first split and class
        self._twins: collections.Counter[tuple[str, str]] = collections.Counter()
        self._copies: collections.Counter[str] = collections.Counter()  # in each class

    def split(self, split: str, classes: Classes) -> dict:
        """Writes <split>.npy; returns {"classes": {name: number of images}, "digest": ...}."""
        counts: dict[str, int] = {}
        total = sum(map(len, classes.values()))
        with (
            arrays.FlatWriter(self._stage / f"{split}.npy", self._spec.image_shape) as file,
            ThreadPoolExecutor() as pool,
            tqdm.tqdm(total=total, desc=split, unit="image", disable=None) as bar,
        ):
            for name, paths_of in classes.items():
                before = file.written
                for image in self._images(paths_of, pool):
                    bar.update()
                    if image is not None:
                        self._look_for_twins(image, split, name)
                        file.write(image)
                if file.written > before:
                    counts[name] = file.written - before
                else:
                    self.empty.append(f"{split}/{name}")
            return dict(classes=counts, digest=file.digest())

    def _images(self, files: list[pathlib.Path], pool: ThreadPoolExecutor) -> Iterator[np.ndarray | None]:
        """The images of these files in order; None for one that cannot be read."""
        for first in range(0, len(files), TOGETHER):
            yield from pool.map(self._read, files[first : first + TOGETHER])

    def _read(self, file: pathlib.Path) -> np.ndarray | None:
        with contextlib.suppress(UsageError):
            return pictures.read(file, self._spec)
        self.skipped.append(str(file))
        return None

    def _look_for_twins(self, image: np.ndarray, split: str, name: str) -> None:
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if digest not in self._where:
            self._where[digest] = split, name
        elif (first := self._where[digest]) != (split, name):
            self._twins["/".join(first), f"{split}/{name}"] += 1
        else:
            self._copies[f"{split}/{name}"] += 1

    def notes(self) -> list[str]:
        """Notes on the source: skipped files, empty classes, images that are in two classes, and copies."""
        found = []
        if self.skipped:
            found.append(f"skipped {len(self.skipped)} files that are not usable images: {some(sorted(self.skipped))}.")
        if self.empty:
            found.append(f"left out {len(self.empty)} classes without a usable image: {some(self.empty)}.")
        if self._twins:
            pairs = [f"{one} and {other} ({count})" for (one, other), count in self._twins.items()]
            number = sum(self._twins.values())
            found.append(f"note: {number} images are in two classes, with identical pixels: {some(pairs)}.")
        if self._copies:
            copies = [f"{name} ({count})" for name, count in self._copies.items()]
            found.append(
                f"note: {sum(self._copies.values())} images are copies of one in the same class: {some(copies)}. A "
                "task may have a picture among its support and its query images: remove the copies."
            )
        return found


def some(names: list[str]) -> str:
    """The first few names, separated by commas."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
