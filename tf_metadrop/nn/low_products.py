"""Products of maps in bfloat16, with sums in float32 on every processor."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

LOW = tf.dtypes.as_dtype("bfloat16")
TOLERANCE = 0.003  # a result that is rounded once is wrong by 2^-9 = 0.002 of itself at most
SHAPE, FILTERS = [8, 14, 14, 8], 8  # sums over 1,568 pixels and over 72 inputs


def low_product(function: Callable[..., tf.Tensor], *tensors: tf.Tensor) -> tf.Tensor:
    """A convolution or matrix product that sums in float32 and rounds only its result.

    Args:
      function: the product. It uses no tensor in bfloat16 but its arguments.
      tensors: its arguments, all of one dtype. Where TensorFlow sums products of bfloat16 in bfloat16
        (`sums_in_float32`), they are cast to float32 first.
    Returns:
      A tensor of the dtype of the arguments.
    """
    dtype = tensors[0].dtype
    if dtype != tf.bfloat16 or sums_in_float32():
        return function(*tensors)
    return tf.cast(function(*[tf.cast(t, tf.float32) for t in tensors]), dtype)


@functools.cache
def sums_in_float32() -> bool:
    """Whether TensorFlow sums products of bfloat16 in float32 on this machine: measured once, by four small products.

    Those of oneDNN do, on processors with AVX512. TensorFlow's own, which it takes without AVX512, do not: there, the
    gradients by kernel were wrong by 1 to 4 % (docs/explanations/performance.md, "bfloat16 on a CPU").
    """
    with tf.init_scope():  # not in the graph of a step
        return all(error(*product) < TOLERANCE for product in products())


def products() -> list[tuple[Callable[..., tf.Tensor], tf.Tensor, tf.Tensor]]:
    """Convolution, its gradients by input and by kernel, and matrix product, each with two random arguments."""
    random = np.random.RandomState(0)
    h, d, kernel = (
        tf.cast(random.random_sample(n), LOW) for n in (SHAPE, [*SHAPE[:3], FILTERS], [3, 3, SHAPE[3], FILTERS])
    )
    by_input, by_kernel = tf.compat.v1.nn.conv2d_backprop_input, tf.compat.v1.nn.conv2d_backprop_filter
    rows = [tf.reshape(t, [-1, t.shape[-1]]) for t in (h, d)]
    return [
        (lambda h, kernel: tf.nn.conv2d(h, kernel, 1, "SAME"), h, kernel),
        (lambda kernel, d: by_input(SHAPE, kernel, d, [1, 1, 1, 1], "SAME"), kernel, d),
        (lambda h, d: by_kernel(h, kernel.shape, d, [1, 1, 1, 1], "SAME"), h, d),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), *rows),
    ]


def error(product: Callable[..., tf.Tensor], *tensors: tf.Tensor) -> float:
    """The norm of the error of a product, in parts of that of the product."""
    low = tf.function(product, autograph=False)(*tensors)
    exact = product(*[tf.cast(t, tf.float32) for t in tensors])
    return float(tf.norm(tf.cast(low, tf.float32) - exact) / tf.norm(exact))
