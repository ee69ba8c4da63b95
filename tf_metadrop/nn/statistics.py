"""Statistics of one pass that normalise the features of another: `Keeping` keeps them, `Using` uses them.

Both replace the normalisation of a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf

if TYPE_CHECKING:
    from tf_metadrop.nn.normalization import Normalization

Statistics: TypeAlias = "tuple[Any, ...]"  # of every block of a network, in order; see `Normalization.statistics`


class Keeping:
    """Normalises as `normalization` does, and saves its statistics in `found` under the block's number."""

    FROM_SUPPORT = False

    def __init__(self, normalization: Normalization, found: dict[int, Any], number: int):
        self._normalization, self._found, self._number = normalization, found, number
        if hasattr(normalization, "norm_relu_pool"):
            self.norm_relu_pool = self._norm_relu_pool

    def statistics(self, x: tf.Tensor) -> Any:
        """The statistics of `normalization`."""
        return self._normalization.statistics(x)

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        self._found[self._number] = self.statistics(x)
        return self._normalization.norm_relu(x, offset, self._found[self._number])

    def norm(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        self._found[self._number] = self.statistics(x)
        normalization: Any = self._normalization
        return normalization.norm(x, offset, self._found[self._number])

    def _norm_relu_pool(self, x: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, Any]:
        normalization: Any = self._normalization
        h, self._found[self._number] = normalization.norm_relu_pool(x, offset)
        return h, self._found[self._number]


def aligned(statistic: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Adds axes to a statistic [..., 1, 1, 1, channels], for x with more axes before its batch."""
    while 0 < statistic.shape.rank < x.shape.rank:
        statistic = tf.expand_dims(statistic, -2)
    return statistic


class Using:
    """Normalises by the statistics of another pass; those of x are not used."""

    FROM_SUPPORT = False

    def __init__(self, normalization: Normalization, statistics: Any):
        self._normalization, self._statistics = normalization, statistics
        if hasattr(normalization, "norm_relu_pool"):
            self.norm_relu_pool = self._norm_relu_pool

    def statistics(self, x: tf.Tensor) -> Any:
        """The statistics of the other pass."""
        return self._statistics

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        return self._normalization.norm_relu(x, offset, tuple(aligned(each, x) for each in self._statistics))

    def norm(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        normalization: Any = self._normalization
        return normalization.norm(x, offset, tuple(aligned(each, x) for each in self._statistics))

    def _norm_relu_pool(self, x: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, Any]:
        normalization: Any = self._normalization
        return normalization.norm_relu_pool(x, offset, tuple(aligned(each, x) for each in self._statistics))
