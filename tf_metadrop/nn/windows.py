"""Convolutions and pools with any window, with correct second-order gradients; `layers` has the 3x3 and 2x2 ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial

import tensorflow as tf

from tf_metadrop.nn import layers
from tf_metadrop.nn.nodes import extent

ONE = [1, 1]


def windows(x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str, fill: float = 0.0) -> list:
    """The first elements of all windows, the second, ...: size[0] * size[1] maps [..., rows, columns, channels].

    Args:
      x: [..., height, width, channels].
      size, strides: of the windows, [vertical, horizontal].
      padding: "same" (x is padded with `fill` as TensorFlow does) or "valid".
      fill: value of the padding.
    """
    counts = [extent(n, side, step, padding) for n, side, step in zip(x.shape[-3:-1], size, strides, strict=True)]
    ends = [
        (count - 1) * stride + 1 for count, stride in zip(counts, strides, strict=True)
    ]  # length of the places of one element
    if padding == "same":
        missing = [max(end + side - 1 - n, 0) for end, side, n in zip(ends, size, x.shape[-3:-1], strict=True)]
        around = [[total // 2, total - total // 2] for total in missing]
        x = tf.pad(x, [[0, 0]] * (x.shape.rank - 3) + [*around, [0, 0]], constant_values=fill)
    return [
        x[..., i : i + ends[0] : strides[0], j : j + ends[1] : strides[1], :]
        for i in range(size[0])
        for j in range(size[1])
    ]


def convs(h: tf.Tensor, *weights: layers.Weights, strides: Sequence[int], padding: str) -> list[tf.Tensor]:
    """`layers.convs` for any kernels [height, width, in, out], strides and padding; bfloat16 is computed in float32."""
    size = list(weights[0][0].shape[-4:-2])
    if size == [3, 3] and list(strides) == ONE and padding == "same":
        return layers.convs(h, *weights)
    x = layers.up(h)
    if any(kernel.shape.rank == 5 for kernel, _ in weights):
        found = layers.group_convs(x, weights, lambda t: tf.concat(windows(t, size, strides, padding), -1))
    else:
        flat = x if x.shape.rank == 4 else tf.reshape(x, [-1, *x.shape[-3:]])
        found = [tf.nn.conv2d(flat, kernel, list(strides), padding.upper()) for kernel, _ in weights]
        found = [y if bias is None else y + bias for y, (_, bias) in zip(found, weights, strict=True)]
        found = [tf.reshape(y, [*x.shape[:-3], *y.shape[-3:]]) for y in found]
    return [tf.cast(y, h.dtype) for y in found]


def denses(f: tf.Tensor, *weights: layers.Weights) -> list[tf.Tensor]:
    """`layers.denses` for hidden layers, which may have no bias; bfloat16 is computed in float32."""
    return [tf.cast(y, f.dtype) for y in layers.denses(layers.up(f), *weights)]


def max_pool(x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> tf.Tensor:
    """The largest element of each window."""
    if list(size) == list(strides) == [2, 2] and padding == "valid":
        return layers.pool(x)
    return functools.reduce(tf.maximum, windows(x, size, strides, padding, x.dtype.min))


def average_pool(x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> tf.Tensor:
    """The mean of each window, without the padding."""
    total = tf.add_n(windows(layers.up(x), size, strides, padding))
    number = tf.add_n(windows(tf.ones([*x.shape[-3:-1], 1], total.dtype), size, strides, padding))
    return tf.cast(total / number, x.dtype)


POOLS = {"max": max_pool, "average": average_pool}
OVER_ALL = {"max": partial(tf.reduce_max, axis=[-3, -2]), "average": partial(tf.reduce_mean, axis=[-3, -2])}
