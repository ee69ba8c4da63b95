"""Optimisers of the outer loop: every file in this folder is a value of --meta_optimizer, named after the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tf_metadrop.util.registry import Registry

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.types import Params, Slots


class MetaOptimizer(Protocol):
    """An optimiser of the outer loop. Its state is a dict of slots, each with a tensor for every trained parameter.

    Attributes:
      SLOTS: names of the slots, also in checkpoints; they start at zero.
    """

    SLOTS: tuple[str, ...]

    def step(self, params: Params, slots: Slots, gradient: Params, rate: float, t: tf.Tensor) -> tuple[Params, Slots]:
        """The trained parameters and the slots after step t = 1, 2, ...: dicts with the keys of the gradient."""


_registry: Registry[MetaOptimizer] = Registry(__name__, __path__, MetaOptimizer)
names, register, unregister, load = _registry.names, _registry.register, _registry.unregister, _registry.load
