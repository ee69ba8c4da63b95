"""Multiplicative noise with a fixed distribution, of which nothing is learned.

  block l:  x = mu * softplus(a),   a ~ N(0, 1),   mu = conv(h, theta_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(0)

Not sampling: a = 0, and logits = f W + b. This is our reading of the name: the paper's definition was not available.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.methods.noise import metadrop

if TYPE_CHECKING:
    from tf_metadrop.nn.site import Site, Weights
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = True, ()
SCALE = math.log(2)  # softplus(0)


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    mu = site.mu()
    return mu * SCALE if normal is None else mu * tf.nn.softplus(normal(mu.shape))


def logits(site: Site, normal: Normal | None) -> tf.Tensor:
    """Logits, [batch, features] -> [batch, way]."""
    mean = site.mu()
    return mean if normal is None else mean + SCALE * normal(mean.shape)


def mean(theta: Weights, phi: Weights) -> tuple[Weights, Weights | None]:
    """The exported layer; see `NoiseType`."""
    return theta.scaled(SCALE), None


class report:
    """The report's definition: a ~ N(1, 1) when sampling, else a = alpha = conv(h, phi_l), so the query trains phi."""

    SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
    logits = staticmethod(metadrop.logits)
    mean = staticmethod(metadrop.mean)

    @staticmethod
    def features(site: Site, normal: Normal | None) -> tf.Tensor:
        """Features, [batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(site, None)
        mu = site.mu()
        return mu * tf.nn.softplus(1 + normal(mu.shape))
