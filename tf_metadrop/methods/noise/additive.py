"""Meta-dropout's noise added instead of multiplied.

  block l:  x = mu + a,   a ~ N(alpha, 1),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
  dense:    as in Meta-dropout, where it is additive already

Not sampling: a = alpha, and logits = f W + b. This is our reading of the name: the paper's definition was not
available.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_metadrop.methods.noise import metadrop

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Site, Weights
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
logits = metadrop.logits


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    mu, alpha = site.maps()
    return mu + alpha if normal is None else mu + alpha + normal(alpha.shape)


def mean(theta: Weights, phi: Weights) -> tuple[Weights, Weights | None]:
    """The exported layer; see `NoiseType`."""
    return theta.plus(phi), None


class report:
    """The report's definition: a ~ N(1, (0.01 alpha)^2) when sampling; the 1 should have been a 0."""

    SAMPLED, TRAINED_PHI = True, metadrop.TRAINED_PHI
    logits = staticmethod(metadrop.logits)
    mean = staticmethod(mean)

    @staticmethod
    def features(site: Site, normal: Normal | None) -> tf.Tensor:
        """Features, [batch, height, width, in] -> [batch, height, width, filters]."""
        mu, alpha = site.maps()
        return mu + alpha if normal is None else mu + 1 + 0.01 * alpha * normal(alpha.shape)
