"""Variants of the attack: every file in this folder is a value of --attack_variant, named after the file.

Adversarial training always uses `pgd`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.methods.attack import Norm
    from tf_metadrop.nn.types import Shape


class Variant(Protocol):
    """A way to find images near x with a larger loss, under any norm."""

    STARTS: bool  # whether it starts at a random point of the ball; if not, a second start would find the same

    def perturb(
        self,
        x: tf.Tensor,
        loss: Callable[[tf.Tensor], tf.Tensor],
        norm: Norm,
        eps: float | tf.Tensor,
        steps: int,
        normal: Callable[[Shape], tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """The images; see `pgd.perturb`."""


_registry: Registry[Variant] = Registry(__name__, __path__, Variant)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
