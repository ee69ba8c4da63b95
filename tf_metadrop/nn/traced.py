"""Functions compiled for each shape that they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf

P = ParamSpec("P")
T = TypeVar("T")


def traced(function: Callable[P, T]) -> Callable[P, T]:
    """`function` of tensors as a graph, traced once for each shape: for shapes that a user chooses.

    Called as a `tf.function`, TensorFlow would warn of every new shape after the fifth, as if it were a mistake.
    """
    compiled = tf.function(function, autograph=False)

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return compiled.get_concrete_function(*args, **kwargs)(*args, **kwargs)

    return call
