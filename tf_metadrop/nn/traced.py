"""Functions of tensors that are compiled to graphs, without TensorFlow's warning of retracing.

TensorFlow takes five tracings in a few calls for a mistake, and counts them by the place in the code: for a function
with arguments of many shapes, and for the steps of several short runs in one process. It counts calls only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import tensorflow as tf

P = ParamSpec("P")
T = TypeVar("T")


def traced(function: Callable[P, T]) -> Callable[P, T]:
    """Compiles a function, traced once for each shape of its arguments."""
    compiled = tf.function(function, autograph=False)

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return compiled.get_concrete_function(*args, **kwargs)(*args, **kwargs)

    return call


class CompiledStep(Generic[P, T]):
    """A compiled function that is called very often, with arguments of the same shapes, and costs less per call."""

    def __init__(self, function: Callable[P, T], xla: bool):
        self._compiled = tf.function(function, autograph=False, jit_compile=xla)
        self._traced = False

    def get_concrete_function(self, *args: P.args, **kwargs: P.kwargs) -> tf.types.experimental.ConcreteFunction:
        """The traced function, as that of a `tf.function`."""
        return self._compiled.get_concrete_function(*args, **kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._traced:
            self.get_concrete_function(*args, **kwargs)
            self._traced = True
        return self._compiled(*args, **kwargs)
