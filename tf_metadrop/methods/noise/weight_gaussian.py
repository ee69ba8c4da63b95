"""Noise on the kernels instead of the features, drawn once in each forward pass for all images.

  block l:  x = conv(h, w_l + s_l * e) + b_l,   e ~ N(0, 1),   s_l = softplus(r_l - 4), one for each output channel
  dense:    logits = f (W + s e) + b,   s = softplus(r - 4), the same for every class

r_l is phi's bias of layer l; it starts at 0, so that s starts at 0.018, the size of the initial kernels. phi's kernels
are not used. Not sampling: e = 0. This is our reading of the name: the paper's definition was not available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.methods.noise import maml, metadrop
from tf_metadrop.nn.layers import gate, softplus

if TYPE_CHECKING:
    from tf_metadrop.nn.site import Site
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = True, ("phi_bias",)
SHIFT = 4.0


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    if normal is None:
        return site.mu()
    scale = softplus(site.phi.bias - SHIFT)
    return site.with_noisy_kernel(lambda shape: scale * tf.cast(normal(shape), scale.dtype))


logits, mean = features, maml.mean


class report:
    """The report's definition, on the features: a ~ N(1, alpha^2) when sampling, alpha = conv(h, phi_l) of any sign."""

    SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
    logits = staticmethod(metadrop.logits)
    mean = staticmethod(metadrop.mean)

    @staticmethod
    def features(site: Site, normal: Normal | None) -> tf.Tensor:
        """Features, [batch, height, width, in] -> [batch, height, width, filters]."""
        if normal is None:
            return metadrop.features(site, None)
        mu, alpha = site.maps()
        return gate(mu, 1 + alpha * normal(alpha.shape))
