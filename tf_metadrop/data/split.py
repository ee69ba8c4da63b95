"""The images of one split: classes one after the other, each with as many as it has."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metadrop.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Split:
    """Class i has the images flat[starts[i] : starts[i] + counts[i]].

    Attributes:
      flat: [images, height, width, channels], uint8 of 0..255 or float32 in [0, 1]; a numpy.memmap where they stay in
        their file.
      starts, counts: [classes].
      names: of the classes, where they have names.
      known: what `fingerprint` is made of in the place of the images, where their file's digest is known.
    """

    flat: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    names: tuple[str, ...] | None = None
    known: str | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.counts)

    def of_class(self, label: int) -> np.ndarray:
        """Its images."""
        return self.flat[self.starts[label] : self.starts[label] + self.counts[label]]

    def take(self, classes: Sequence[int] | np.ndarray) -> Split:
        """Some of the classes, in this order; no image is copied."""
        classes = np.asarray(classes, int)
        names = None if self.names is None else tuple(self.names[label] for label in classes)
        return dataclasses.replace(self, starts=self.starts[classes], counts=self.counts[classes], names=names)

    def array(self) -> np.ndarray:
        """[classes, instances, height, width, channels].

        Raises:
          UsageError: the classes are of different size.
        """
        if len(set(self.counts)) > 1:
            raise UsageError("the classes have different numbers of images: they are no one array.")
        shape = self.n_classes, int(self.counts[0]), *self.flat.shape[1:]
        whole = self.n_classes * self.counts[0] == len(self.flat) and (np.diff(self.starts) == self.counts[0]).all()
        return self.flat.reshape(shape) if whole else np.stack([self.of_class(i) for i in range(self.n_classes)])

    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for these images, in this order."""
        equal = len(set(self.counts)) == 1
        shape = (self.n_classes, int(self.counts[0]), *self.flat.shape[1:]) if equal else self.counts.tolist()
        digest = hashlib.blake2b(f"{self.flat.dtype} {shape}".encode(), digest_size=8)
        if self.known is not None:
            digest.update(f"{self.known} {self.starts.tolist()}".encode())
            return digest.hexdigest()
        for label in range(self.n_classes):
            contents: Any = np.ascontiguousarray(self.of_class(label))  # a buffer
            digest.update(contents)
        return digest.hexdigest()


def of_array(images: np.ndarray) -> Split:
    """A split from [classes, instances, height, width, channels]."""
    n_classes, n_instances = images.shape[:2]
    counts = np.full(n_classes, n_instances)
    return Split(images.reshape(-1, *images.shape[2:]), np.arange(n_classes) * n_instances, counts)
