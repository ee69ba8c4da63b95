"""Parameters: one flat dict from names to tensors."""

import tensorflow as tf


def cast(params, dtype) -> dict[str, tf.Tensor]:
    """The parameters in this dtype; so is all that is computed with them."""
    return {name: tf.cast(w, dtype) for name, w in params.items()}


def dtype_of(params) -> tf.DType:
    """The dtype of the parameters."""
    return next(iter(params.values())).dtype


def narrow(params, way: int) -> dict[str, tf.Tensor]:
    """The parameters with the dense layer's first `way` columns alone."""
    dense = {"theta/dense_w": params["theta/dense_w"][:, :way], "theta/dense_b": params["theta/dense_b"][:way]}
    return {**params, **dense}


def adapted_names(params) -> list[str]:
    """Names of the parameters that the inner loop adapts: all of theta."""
    return [name for name in params if name.startswith("theta/")]
