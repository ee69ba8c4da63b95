"""Variational information bottleneck at the last hidden features (Alemi et al., 2017).

  z ~ N(f, s^2),   s = softplus(f R + r - 5),   loss = CE + beta * KL(N(f, s^2) || N(0, I))
  KL = sum_d (f^2 + s^2 - 1) / 2 - log s,   mean over examples

This is the loss of the inner and of the outer loop. Not sampling: z = f. R and r are adapted with theta. The mean f,
and R and r, are our choice: the paper's setting was not available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn.layers import dense
from tf_metadrop.nn.rng import Draw

if TYPE_CHECKING:
    from tf_metadrop.nn.backbones import Backbone
    from tf_metadrop.nn.types import Params, PassNoise, Penalty

SHIFT = 5.0
LINEAR = -17.0  # for smaller x, log(softplus(x)) differs from x by less than 2e-8


class VIB(Regularizer):
    """The information bottleneck; beta is the weight of the KL divergence, in nats per nat."""

    def __init__(self, beta: float):
        self.beta = beta

    def parameters(self, backbone: Backbone) -> dict[str, tuple[int, ...]]:
        """Shapes of theta/vib_w [features, features] and theta/vib_b [features]."""
        return {"theta/vib_w": (backbone.features,) * 2, "theta/vib_b": (backbone.features,)}

    def last(self, params: Params, f: tf.Tensor, normal: PassNoise | None) -> tuple[tf.Tensor, Penalty]:
        """z [batch, features], and the penalty beta * KL."""
        rho = dense(f, params["theta/vib_w"], params["theta/vib_b"]) - SHIFT
        s = tf.math.softplus(rho)  # needs a higher relative precision than layers.softplus has
        kl = tf.reduce_mean(tf.reduce_sum((f**2 + s**2 - 1) / 2 - log_softplus(rho), -1), -1)
        z = f if normal is None else f + s * normal(Draw.REGULARIZER.at(0), f.shape)
        return z, self.beta * kl


def log_softplus(x: tf.Tensor) -> tf.Tensor:
    """log(softplus(x)) and its slope, also where softplus(x) is 0 in float32; there the result is x."""
    return tf.where(x < LINEAR, x, tf.math.log(tf.math.softplus(tf.maximum(x, LINEAR))))


def make(config: Any, backbone: Backbone) -> VIB:
    """The Regularizer of this config."""
    return VIB(config.vib_beta)
