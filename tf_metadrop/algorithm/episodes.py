"""The stream of episodes: a split's images and the metabatches drawn from it."""

import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.data.episodes import draw
from tf_metadrop.data.split import Split, of_array
from tf_metadrop.errors import UsageError

GPU_MOST = 8 << 30  # largest size, in bytes, of memory-mapped images that are copied to a GPU's memory
NAMED = 5  # largest number of left-out classes that a message names


class Images:
    """A split, its `fingerprint`, and the episodes drawn from it.

    The images are one tensor in memory (with a GPU, in its memory). Memory-mapped images stay in their file on a CPU,
    and with a GPU if they are larger than GPU_MOST; then only the images of a metabatch are read.

    Args:
      images: a Split, or an array [classes, instances, height, width, channels], uint8 or float32 in [0, 1].
      config: way, shot, query, metabatch and episodes are read.
    Raises:
      UsageError: there are too few classes or images for the config.
    """

    def __init__(self, images: Split | np.ndarray, config: Config):
        images = images if isinstance(images, Split) else of_array(images)
        self._config, self._drawn = config, large_enough(images, config)
        self.episodes(np.random.RandomState(0))  # raises UsageError if the split is too small
        most = GPU_MOST if tf.config.get_visible_devices("GPU") else 0
        stays = isinstance(images.flat, np.memmap) and images.flat.nbytes > most
        self._flat = images.flat if stays else tf.constant(images.flat)
        self.fingerprint = images.fingerprint()

    def batch(self, support: np.ndarray, query: np.ndarray) -> tuple[tf.Tensor, np.ndarray, np.ndarray]:
        """The arguments of a step for a metabatch of `episodes`: (images, support, query).

        support and query are indices into images. Of memory-mapped images, only those of the metabatch are copied, and
        the indices are those of the copies.
        """
        if isinstance(self._flat, tf.Tensor):
            return self._flat, support, query
        rows = np.concatenate([support, query], 1)
        numbers = np.arange(rows.size, dtype=rows.dtype).reshape(rows.shape)
        images = tf.constant(self._flat[rows.ravel()])
        return images, numbers[:, : support.shape[1]], numbers[:, support.shape[1] :]

    def episodes(self, generator: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Draws one metabatch: indices of images, support [metabatch, way * shot], query [metabatch, way * query]."""
        c, of = self._config, self._drawn
        task = c.way, c.shot, c.query, c.metabatch, c.episodes
        return draw(generator, of.n_classes, of.counts, *task, starts=of.starts)

    def stream(
        self, generator: np.random.RandomState
    ) -> Generator[tuple[tuple[np.ndarray, np.ndarray], Any], None, None]:
        """Yields metabatches endlessly, each with the generator's state after it; a thread draws the next one ahead."""
        one = lambda: (self.episodes(generator), generator.get_state())
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(one)
            while True:
                ready, ahead = ahead.result(), pool.submit(one)
                yield ready


def large_enough(split: Split, config: Config) -> Split:
    """The classes with at least shot + query images; reports on stderr which others are left out, if sizes differ.

    Raises:
      UsageError: fewer than --way classes have enough images.
    """
    needed = config.shot + config.query
    kept, left = np.flatnonzero(split.counts >= needed), np.flatnonzero(split.counts < needed)
    if not len(left) or len(set(split.counts)) == 1:  # with equal sizes, `draw` reports the error
        return split
    names = [split.names[label] if split.names else str(label) for label in left[:NAMED]]
    which = ", ".join(names) + (", ..." if len(left) > NAMED else "")
    if len(kept) < config.way:
        raise UsageError(
            f"--dataset={config.dataset}: only {len(kept)} of {split.n_classes} classes of a split have the {needed} "
            f"images that --shot={config.shot} and --query={config.query} need, fewer than --way={config.way}: lower "
            "--query, --shot or --way."
        )
    print(
        f"{config.dataset}: {len(left)} of {split.n_classes} classes are left out, because they have fewer than the "
        f"{needed} images that --shot and --query need: {which}.",
        file=sys.stderr,
    )
    return split.take(kept)
