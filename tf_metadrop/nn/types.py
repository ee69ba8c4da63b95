"""Types for annotations. Nothing here is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import tensorflow as tf

Shape = Sequence[int]
Shapes = Mapping[str, tuple[int, ...]]  # by name of the parameter
Params: TypeAlias = "dict[str, tf.Tensor]"  # parameters by name
NoiseGetter: TypeAlias = "Callable[[tf.Tensor], TaskNoise]"  # the noise of a task, or of several, by number
Penalty: TypeAlias = "tf.Tensor | float"  # a term that a regulariser adds to the loss
Slots: TypeAlias = "dict[str, Params]"  # state of an optimiser of the outer loop


class Normal(Protocol):
    """The noise of a layer in one forward pass: every call draws other numbers."""

    def __call__(self, shape: Shape, /) -> tf.Tensor:
        """N(0, 1) of this shape."""

    def uniform(self, shape: Shape, /) -> tf.Tensor:
        """Uniform in [0, 1), of this shape."""


class TaskNoise(Protocol):
    """The noise of one task, or of several: see `rng.StandardNormal`."""

    def __call__(self, step: int, sample: int | tf.Tensor, layer: int, shape: Shape, /) -> tf.Tensor:
        """N(0, 1) of this shape for an inner step, a noise sample and a layer."""


class PassNoise(Protocol):
    """The noise of one forward pass."""

    def __call__(self, layer: int, shape: Shape, /) -> tf.Tensor:
        """N(0, 1) of this shape for a layer."""
