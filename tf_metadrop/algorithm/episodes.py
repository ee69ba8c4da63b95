"""The stream of episodes: a split's images and the metabatches drawn from it."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.data import draw, fingerprint


class Images:
    """A split, its `fingerprint`, and the episodes drawn from it.

    The images are one tensor in memory (on a GPU, in its memory). Those mapped from a file stay there on a CPU, and
    only those of a metabatch are read.

    Args:
      images: [classes, instances, height, width, channels], uint8 or float32 in [0, 1].
    """

    def __init__(self, images: np.ndarray, config: Config):
        self._config = config
        self._classes, self._instances = images.shape[:2]
        self.episodes(np.random.RandomState(0))  # says at once if the split is too small
        flat, mapped = images.reshape(-1, *images.shape[2:]), isinstance(images, np.memmap)
        self._flat = flat if mapped and not tf.config.get_visible_devices("GPU") else tf.constant(flat)
        self.fingerprint = fingerprint(images)

    def batch(self, support: np.ndarray, query: np.ndarray) -> tuple[tf.Tensor, np.ndarray, np.ndarray]:
        """(images, support, query): what a step takes for a metabatch of `episodes`; the two are indices into images.

        Of mapped images these are copies of the metabatch's own, so that `support` and `query` count anew.
        """
        if isinstance(self._flat, tf.Tensor):
            return self._flat, support, query
        rows = np.concatenate([support, query], 1)
        numbers = np.arange(rows.size, dtype=rows.dtype).reshape(rows.shape)
        images = tf.constant(self._flat[rows.ravel()])
        return images, numbers[:, : support.shape[1]], numbers[:, support.shape[1] :]

    def episodes(self, generator: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """One metabatch: indices of images, support [metabatch, way * shot] and query [metabatch, way * query]."""
        c = self._config
        return draw(generator, self._classes, self._instances, c.way, c.shot, c.query, c.metabatch, c.episodes)

    def stream(
        self, generator: np.random.RandomState
    ) -> Generator[tuple[tuple[np.ndarray, np.ndarray], Any], None, None]:
        """Metabatches without end, each with the generator's state after it; a thread draws the next meanwhile."""
        one = lambda: (self.episodes(generator), generator.get_state())
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(one)
            while True:
                ready, ahead = ahead.result(), pool.submit(one)
                yield ready
