"""Functions that are compiled for each shape of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf

P = ParamSpec("P")
T = TypeVar("T")


def traced(function: Callable[P, T]) -> Callable[P, T]:
    """Compiles a function of tensors to a graph, traced once for each shape, for shapes that a user chooses.

    Called as a `tf.function`, it would cause a warning of TensorFlow for every new shape after the fifth.
    """
    compiled = tf.function(function, autograph=False)

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return compiled.get_concrete_function(*args, **kwargs)(*args, **kwargs)

    return call
