"""The images of one split: classes one after the other, which may differ in size."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_metadrop.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Split:
    """A split; class i has the images flat[starts[i] : starts[i] + counts[i]].

    Attributes:
      flat: [images, height, width, channels], uint8 in 0..255 or float32 in [0, 1]; a numpy.memmap if the images stay
        in their file.
      starts, counts: index of the first image, and number of images, of each class: [classes].
      names: names of the classes, if they have names.
      known: digest of the file, if it is known; `fingerprint` then uses it instead of the images.
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
        """The images of a class."""
        return self.flat[self.starts[label] : self.starts[label] + self.counts[label]]

    def take(self, classes: Sequence[int] | np.ndarray) -> Split:
        """A split with some of the classes, in this order; no image is copied."""
        classes = np.asarray(classes, int)
        names = None if self.names is None else tuple(self.names[label] for label in classes)
        return dataclasses.replace(self, starts=self.starts[classes], counts=self.counts[classes], names=names)

    def array(self) -> np.ndarray:
        """The images as one array [classes, instances, height, width, channels].

        Raises:
          UsageError: the classes differ in size.
        """
        if len(set(self.counts)) > 1:
            raise UsageError("the classes have different numbers of images, so they are not one array: use open_split.")
        shape = self.n_classes, int(self.counts[0]), *self.flat.shape[1:]
        whole = self.n_classes * self.counts[0] == len(self.flat) and (np.diff(self.starts) == self.counts[0]).all()
        return self.flat.reshape(shape) if whole else np.stack([self.of_class(i) for i in range(self.n_classes)])

    def fingerprint(self) -> str:
        """A digest of these images in this order, 16 hexadecimal digits."""
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
    """Makes a split from an array [classes, instances, height, width, channels]."""
    n_classes, n_instances = images.shape[:2]
    counts = np.full(n_classes, n_instances)
    return Split(images.reshape(-1, *images.shape[2:]), np.arange(n_classes) * n_instances, counts)
