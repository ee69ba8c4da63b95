"""The normalisation of a block with feature maps in bfloat16: it computes in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.nn import layers

if TYPE_CHECKING:
    from tf_metadrop.nn.normalization import Normalization


class Rounded:
    """Normalises bfloat16 features in float32 and rounds the results; norm_relu_pool takes bfloat16 by itself."""

    def __init__(self, normalization: Normalization):
        self._normalization, self.FROM_SUPPORT = normalization, normalization.FROM_SUPPORT
        if hasattr(normalization, "norm_relu_pool"):
            self.norm_relu_pool = normalization.norm_relu_pool

    def statistics(self, x: tf.Tensor) -> Any:
        """The statistics of `normalization`, in float32."""
        return self._normalization.statistics(layers.up(x))

    def norm_relu(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization.norm_relu`."""
        return tf.cast(self._normalization.norm_relu(layers.up(x), offset, statistics), x.dtype)

    def norm(self, x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
        """See `Normalization`."""
        normalization: Any = self._normalization
        return tf.cast(normalization.norm(layers.up(x), offset, statistics), x.dtype)
