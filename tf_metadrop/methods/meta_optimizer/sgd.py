"""Gradient descent: w = w - lr g. It has no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_metadrop.nn.types import Params, Slots

SLOTS = ()


def step(params: Params, slots: Slots, gradient: Params, rate: float, t: tf.Tensor) -> tuple[Params, Slots]:
    """Computes one step; see `MetaOptimizer.step` for the arguments."""
    return {name: params[name] - rate * g for name, g in gradient.items()}, {}
