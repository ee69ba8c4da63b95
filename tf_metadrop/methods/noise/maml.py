"""No noise: plain MAML (Finn et al., 2017). phi exists, as in the TF1 program, but is neither used nor trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Site, Weights
    from tf_metadrop.nn.types import Normal

SAMPLED, TRAINED_PHI = False, ()
report = None


def features(site: Site, normal: Normal | None) -> tf.Tensor:
    """Features, [batch, height, width, in] -> [batch, height, width, filters]; see `NoiseType.features`."""
    return site.mu()


def logits(site: Site, normal: Normal | None) -> tf.Tensor:
    """Logits, [batch, features] -> [batch, way]."""
    return site.mu()


def mean(theta: Weights, phi: Weights) -> tuple[Weights, Weights | None]:
    """The exported layer; see `NoiseType`."""
    return theta, None
