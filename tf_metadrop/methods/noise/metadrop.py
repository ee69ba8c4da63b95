"""Meta-dropout: input-dependent multiplicative noise, learned by the outer loop (Lee et al., ICLR 2020, section 3).

  block l:  x = mu * softplus(a),   a ~ N(alpha, 1),   mu = conv(h, theta_l),   alpha = conv(h, phi_l)
  dense:    logits ~ N(f W + b, s^2),   s = softplus(f Wp + bp), the same for every class

Not sampling: a = alpha, and logits = f W + b (docs/reference/tf1_behaviour.md, "Network").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_metadrop.nn.layers import gate, gate_first, softplus

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Site, Weights
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI, FROM_MAPS = True, ("phi_kernel", "phi_bias"), True
report = None


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    mu, alpha = site.maps()
    a = alpha if normal is None else alpha + normal(alpha.shape)
    return gate_first(mu, a) if site.first else gate(mu, a)


def logits(site: Site, normal: Normal | None) -> tf.Tensor:
    """Logits, [batch, features] -> [batch, way]."""
    mean = site.mu()
    return mean if normal is None else mean + softplus(site.alpha()) * normal(mean.shape)


def mean(theta: Weights, phi: Weights) -> tuple[Weights, Weights | None]:
    """The exported layer; see `NoiseType`."""
    return theta, phi
