"""Statistics of a batch, kept by one forward pass to normalise the features of others by.

Both classes are normalisations themselves: put one in the place of a method's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.normalization import Normalization

Statistics: TypeAlias = "tuple[Any, ...]"  # of every normalisation in the network, in the order of the forward pass


class Kept:
    """Normalises as `normalization` does, and keeps its statistics: `found`, in the order of the calls."""

    def __init__(self, normalization: Normalization):
        self._normalization = normalization
        self.found: list[Any] = []

    def statistics(self, x: tf.Tensor) -> Any:
        """Those of `normalization`, kept."""
        self.found.append(self._normalization.statistics(x))
        return self.found[-1]

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        return self._normalization.norm_relu(x, offset, statistics or self.statistics(x))


class Given:
    """Normalises by the statistics that `Kept` found, of a pass through the same network; for one pass."""

    def __init__(self, normalization: Normalization, found: Sequence[Any]):
        self._normalization, self._left = normalization, iter(found)

    def statistics(self, x: tf.Tensor) -> Any:
        """The next ones given; x is not looked at."""
        return next(self._left)

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        return self._normalization.norm_relu(x, offset, statistics or self.statistics(x))
