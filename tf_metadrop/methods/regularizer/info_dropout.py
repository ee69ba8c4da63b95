"""Information dropout in every block (Achille & Soatto, 2018), for ReLU features and the log-uniform prior.

  z = relu(batch_norm(x)) * e,   log e ~ N(0, a^2),   a = 0.001 + 0.7 * sigmoid(conv(h, K_l))
  loss = CE + beta * KL,   KL = -log(a / 0.701), summed over units and blocks, mean over examples

This is the loss of the inner and of the outer loop. h is the block's input, and z is the input of its max-pool. Not
sampling: e = 1. K_l is adapted with theta. It is our choice to act in all blocks and to adapt K_l: the paper's setting
was not available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn.rng import Draw

if TYPE_CHECKING:
    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.normalization import Normalization
    from tf_metadrop.nn.site import Block
    from tf_metadrop.nn.types import Params, PassNoise, Penalty

LEAST, RANGE = 0.001, 0.7


class InfoDropout(Regularizer):
    """Information dropout; beta is the weight of the KL divergence, in nats per nat."""

    def __init__(self, beta: float):
        self.beta = beta

    def parameters(self, backbone: Backbone) -> dict[str, tuple[int, ...]]:
        """Shapes of theta/info{1..}_w, that of the block's kernel, and of theta/info{1..}_b."""
        found: dict[str, tuple[int, ...]] = {}
        for number, kernel in enumerate(backbone.kernels, 1):
            found |= {f"theta/info{number}_w": kernel, f"theta/info{number}_b": kernel[-1:]}
        return found

    def leave(
        self, params: Params, block: Block, normalization: Normalization, normal: PassNoise | None
    ) -> tuple[tf.Tensor, Penalty]:
        """The pooled z and beta * KL of a block."""
        z = block.activated(normalization)
        own = params[f"theta/info{block.number}_w"], params[f"theta/info{block.number}_b"]
        a = LEAST + RANGE * tf.sigmoid(tf.cast(block.affine(block.h, *own), block.offset.dtype))
        kl = tf.reduce_mean(tf.reduce_sum(-tf.math.log(a / (LEAST + RANGE)), [-3, -2, -1]), -1)
        if normal is not None:
            z = z * tf.cast(tf.exp(a * normal(Draw.REGULARIZER.at(block.number), a.shape)), z.dtype)
        return block.end(z), self.beta * kl


def make(config: Any, backbone: Backbone) -> InfoDropout:
    """The Regularizer of this config."""
    return InfoDropout(config.info_beta)
