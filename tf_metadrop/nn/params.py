"""Parameters: one flat dict from names to tensors; `tf_metadrop.nn.backbones` explains the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import tensorflow as tf

from tf_metadrop.nn.rng import fold

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params, Shapes

T = TypeVar("T")

INITIAL_SD = 0.02
DENSE = "theta/dense_w", "theta/dense_b"  # the last layer, whose last axis is the classes


def initial(shapes: Shapes, seed: tf.Tensor) -> Params:
    """Draws initial values in float32: kernels (..._w) with standard deviation 0.02, everything else 0.

    The distribution of kernels is truncated at two standard deviations, except that of dense_w.

    Args:
      shapes: {name: shape}; the values depend on the order.
      seed: [2], see `rng.key`.
    """
    params = {}
    for index, (name, shape) in enumerate(shapes.items()):
        if name.endswith("dense_w"):
            params[name] = tf.random.stateless_normal(shape, fold(seed, index), stddev=INITIAL_SD)
        elif name.endswith("_w"):
            params[name] = tf.random.stateless_truncated_normal(shape, fold(seed, index), stddev=INITIAL_SD)
        else:
            params[name] = tf.zeros(shape)
    return params


def cast(params: Params, dtype: tf.DType | str) -> Params:
    """Casts the parameters to a dtype, in which everything is then computed."""
    return {name: tf.cast(w, dtype) for name, w in params.items()}


def dtype_of(params: Params) -> tf.DType:
    """The dtype of the parameters."""
    return next(iter(params.values())).dtype


def narrow(params: Params, way: int) -> Params:
    """The parameters with only the first `way` columns of the last layer."""
    return {**params, **{name: params[name][..., :way] for name in DENSE}}


def of_theta(params: Mapping[str, T]) -> dict[str, T]:
    """The parameters that the inner loop adapts."""
    return {name: value for name, value in params.items() if name.startswith("theta/")}


def kind(name: str) -> str:
    """The kind of a parameter, from its name: theta, phi_kernel, phi_bias or other."""
    if name.startswith("phi/"):
        return "phi_kernel" if name.endswith("_w") else "phi_bias"
    return "theta" if name.startswith("theta/") else "other"
