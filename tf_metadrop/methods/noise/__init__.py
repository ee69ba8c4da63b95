"""Noise types: every file in this folder is a value of --noise_type, named after the file.

`NoiseType` describes the interface of such a module, or of any other object (see `register`); metadrop.py is an
example. A backbone gives it each layer as a `Site`, which computes the layer's result mu with theta, and its result
alpha with phi (the noise generator). A noise type never names a parameter. It draws random numbers only from `normal`:
`normal(shape)` is standard normal noise for this layer, and its method `uniform(shape)` is uniform in [0, 1). Both
depend on the run's seed only, and each call draws other numbers. With random numbers from elsewhere (tf.random, NumPy),
two runs with one seed would differ: training refuses the operations of tf.random, and
`tf_metadrop.check_repeatable(config)` finds all others.

The attribute `report` of such a module is its definition for --noise_variant=report: the noise that the program of the
Reproducibility Challenge report computes under this name (docs/reference/tf1_behaviour.md, "The report's noise
types"). None means that it is the same as ours.

If the tasks are vectorised (on a GPU), all arrays have more axes before the batch; the first is that of the tasks.
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
    """The interface of a noise type, which perturbs features.

    Attributes:
      SAMPLED: whether it draws random numbers.
      TRAINED_PHI: the parts of phi that the outer loop trains: any of "phi_kernel" and "phi_bias".

    A type can be exported if it has mean(theta, phi), where theta and phi are a hidden layer's `Weights`. It returns
    (first, second) such that features(site, None) is affine(h, first), times softplus(affine(h, second)) if second is
    not None. The exported logits(site, None) are those of theta alone.

    A type with FROM_MAPS = True uses a hidden layer only through `site.maps()`. With many samples of the noise (in a
    meta-test), the maps of the first layer are then computed once for all samples.
    """

    SAMPLED: bool
    TRAINED_PHI: tuple[str, ...]

    def features(self, site: Site, normal: Normal | None) -> tf.Tensor:
        """A hidden layer's features before normalisation, in mu's shape; if normal is None, with the noise's mean."""

    def logits(self, site: Site, normal: Normal | None) -> tf.Tensor:
        """The logits [batch, way] of the last layer, whose alpha is [batch, 1]."""


_registry: Registry[NoiseType] = Registry(__name__, __path__, NoiseType)
names, register, unregister = _registry.names, _registry.register, _registry.unregister


def load(name: str, variant: str = "ours") -> NoiseType:
    """The noise type of this name (one of `names()`), in one of VARIANTS."""
    ours: Any = _registry.load(name)
    return (getattr(ours, "report", None) or ours) if variant == "report" else ours


def reported() -> tuple[str, ...]:
    """Names of the noise types that the report's program has too. Imports all types, and TensorFlow."""
    with importing_tensorflow():
        return tuple(name for name in names() if hasattr(_registry.load(name), "report"))


def sampled(name: str) -> bool:
    """Whether the noise type of this name draws random numbers. Imports it, and TensorFlow."""
    with importing_tensorflow():
        return _registry.load(name).SAMPLED
