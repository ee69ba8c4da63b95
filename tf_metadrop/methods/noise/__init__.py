"""Noise types, one file each: a file added to this folder is a value of --noise_type, by its name.

See `NoiseType` for what such a module (or any object, see `register`) has, and metadrop.py for an example. A backbone
hands it each layer as a `Site`: its result mu by theta, its result alpha by phi (the noise generator), and a few other
ways to compute it. A noise type never names a parameter. It draws from `normal` alone: `normal(shape)` is standard
normal noise for this layer, and its method uniform(shape) gives numbers uniform in [0, 1). Both are functions of the
run's seed, and each call draws other numbers. What draws for itself (tf.random, NumPy) makes two runs of one seed
differ: training refuses tf.random's operations, and `tf_metadrop.check_repeatable(config)` finds whatever else.

`report` in such a module is the same for --noise_variant=report: what the program of the Reproducibility Challenge
report computes under this name (docs/tf1_behaviour.md, "The report's noise types"); None: the same as ours.

Where the tasks run at once (on a GPU), all arrays have more axes before the batch, the first of them the tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tf_metadrop.util.quiet import importing_tensorflow
from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.site import Site
    from tf_metadrop.nn.types import Normal

VARIANTS = "ours", "report"


class NoiseType(Protocol):
    """How features are perturbed.

    Attributes:
      SAMPLED: whether anything is drawn at all.
      TRAINED_PHI: what of phi the outer loop trains: of "phi_kernel" and "phi_bias".

    A type with mean(theta, phi), of a hidden layer's `Weights`, can be exported: (first, second) such that
    features(site, None) is affine(h, first), times softplus(affine(h, second)) where that is not None; its logits(site,
    None) are then those of theta alone.

    A type with FROM_MAPS = True reads a hidden layer through `site.maps()` alone. Where many samples of the noise are
    taken (a meta-test), the first layer's are then computed once for all of them.
    """

    SAMPLED: bool
    TRAINED_PHI: tuple[str, ...]

    def features(self, site: Site, normal: Normal | None) -> tf.Tensor:
        """What a hidden layer hands to its normalisation: mu's shape. normal None: not sampling, noise at its mean."""

    def logits(self, site: Site, normal: Normal | None) -> tf.Tensor:
        """[batch, way], of the last layer; its alpha is [batch, 1]."""


_registry: Registry[NoiseType] = Registry(__name__, __path__, NoiseType)
names, register, unregister = _registry.names, _registry.register, _registry.unregister


def load(name: str, variant: str = "ours") -> NoiseType:
    """The noise type of this name (one of `names()`), in one of VARIANTS."""
    ours: Any = _registry.load(name)
    return (getattr(ours, "report", None) or ours) if variant == "report" else ours


def reported() -> tuple[str, ...]:
    """Names of the types that the report's program has too. Loads them all, and TensorFlow."""
    with importing_tensorflow():
        return tuple(name for name in names() if hasattr(_registry.load(name), "report"))


def sampled(name: str) -> bool:
    """Whether anything of this type is drawn. Loads it, and TensorFlow."""
    with importing_tensorflow():
        return _registry.load(name).SAMPLED
