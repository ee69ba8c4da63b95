"""Manifold mixup in the inner loop (Verma et al., 2019).

Every pass that samples draws a block l uniformly, lambda ~ Beta(alpha, alpha), and a permutation p of the batch. The
input h of block l becomes lambda * h + (1 - lambda) * h[p], and the labels are mixed in the same way. A pass that does
not sample (the query) mixes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn.layers import permute
from tf_metadrop.nn.rng import Draw

if TYPE_CHECKING:
    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.types import PassNoise


class ManifoldMixup(Regularizer):
    """Manifold mixup; alpha is that of the Beta distribution (large: lambda near 1/2), blocks the number of blocks."""

    def __init__(self, alpha: float, blocks: int):
        self.alpha, self.blocks = alpha, blocks

    def mix(self, y: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Any]:
        """The mixed labels, and (l [tasks, samples], lambda [tasks, samples], p [tasks, samples, batch])."""
        if normal is None:
            return y, None
        import tensorflow_probability as tfp  # imported only here, because it takes seconds

        *outer, batch, _ = y.shape
        drawn = normal(Draw.REGULARIZER.at(0), [*outer, batch + 2])
        uniform = tf.math.erfc(-drawn[..., :2] / 2**0.5) / 2
        layer = tf.minimum(tf.cast(uniform[..., 0] * self.blocks, tf.int32) + 1, self.blocks)
        alpha = tf.constant(self.alpha, drawn.dtype)
        share, order = tfp.math.betaincinv(alpha, alpha, uniform[..., 1]), tf.argsort(drawn[..., 2:], -1)
        return mix(y, share, order), (layer, share, order)

    def enter(self, layer: int, h: tf.Tensor, mixing: Any) -> tf.Tensor:
        """The mixed h if this pass mixes at this block, else h."""
        if mixing is None:
            return h
        at, share, order = mixing
        return mix(h, tf.where(at == layer, share, tf.ones_like(share)), order)


def mix(x: tf.Tensor, share: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Mixes along the batch: share * x + (1 - share) * x[order]."""
    share = tf.reshape(tf.cast(share, x.dtype), [*share.shape, *[1] * (x.shape.rank - share.shape.rank)])
    return share * x + (1 - share) * permute(x, order)


def make(config: Any, backbone: Backbone) -> ManifoldMixup:
    """The Regularizer of this config."""
    return ManifoldMixup(config.mixup_alpha, getattr(backbone, "blocks", len(backbone.kernels)))
