"""Multiplicative noise with a learned mean for each channel, which does not depend on the input.

  block l:  x = mu * softplus(a),   a ~ N(m_l, 1),   mu = conv(h, theta_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(m_5)

m_l is phi's bias of layer l, so this is Meta-dropout with phi's kernels at zero. Not sampling: a = m_l, and
logits = f W + b. This is our reading of the name: the paper's definition was not available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.methods.noise import metadrop
from tf_metadrop.nn.layers import gate, softplus

if TYPE_CHECKING:
    from tf_metadrop.nn.site import Site, Weights
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = True, ("phi_bias",)


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    mu = site.mu()
    m = tf.cast(tf.broadcast_to(site.phi.bias, mu.shape), mu.dtype)  # the bias's gradient is thus summed in float32
    return gate(mu, m if normal is None else m + normal(mu.shape))


def logits(site: Site, normal: Normal | None) -> tf.Tensor:
    """Logits, [batch, features] -> [batch, way]."""
    mean = site.mu()
    return mean if normal is None else mean + softplus(site.phi.bias) * normal(mean.shape)


def mean(theta: Weights, phi: Weights) -> tuple[Weights, Weights | None]:
    """The exported layer; see `NoiseType`."""
    return theta.scaled(softplus(phi.bias)), None


class report:
    """The report's definition: a ~ N(conv(1, phi_l), 1) when sampling, 1 an image of ones; else a = conv(h, phi_l)."""

    SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
    logits = staticmethod(metadrop.logits)
    mean = staticmethod(metadrop.mean)

    @staticmethod
    def features(site: Site, normal: Normal | None) -> tf.Tensor:
        """Features, [batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(site, None)
        mu = site.mu()
        return gate(mu, site.alpha(tf.ones_like(site.h)) + normal(mu.shape))
