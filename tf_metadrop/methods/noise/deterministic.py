"""Meta-dropout without sampling: a is always its mean alpha, in the inner loop too.

block l:  x = mu * softplus(alpha),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
dense:    logits = f W + b
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_metadrop.methods.noise import maml, metadrop

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Site
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = False, metadrop.TRAINED_PHI
logits, mean = maml.logits, metadrop.mean


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    return metadrop.features(site, None)
