"""Batch normalisation, always by the statistics of the current batch: biased variance, epsilon 1e-3, no scale.

See docs/reference/tf1_behaviour.md, "Network". "Traps on the way to the exact gradient" is about its second-order
gradients.
"""

from typing import TypeAlias

import tensorflow as tf

from tf_metadrop.nn import affine, layers, moments

FROM_SUPPORT = False
EPSILON = 1e-3
AXES = -4, -3, -2

Statistics: TypeAlias = tuple[tf.Tensor, tf.Tensor]


def norm_relu_pool(x: tf.Tensor, beta: tf.Tensor, statistics: Statistics | None = None) -> tuple[tf.Tensor, Statistics]:
    """max_pool(relu(batch_norm(x) + beta)), and the mean and variance by which it normalised.

    The pool is computed first. Subtracting the mean, dividing by the deviation, adding beta and the ReLU are monotone,
    so the result is the same, and they are applied to only a quarter of the map.

    Args:
      x: [..., batch, height, width, channels].
      beta: [channels].
      statistics: mean and variance of another batch, used instead of those of x.
    Returns:
      ([..., batch, height // 2, width // 2, channels], see `statistics`).
    """
    if statistics:
        return relu_of_pooled(moments.pool(x), *statistics, beta), statistics
    pooled, mean, variance = moments.pool_and_moments(x)
    return relu_of_pooled(pooled, mean, variance, beta), (as_statistic(mean, x), as_statistic(variance, x))


def relu_of_pooled(pooled: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """relu((pooled - mean) / sqrt(variance + epsilon) + beta), with moments of whole batches or of each image."""
    shift, scale = layers.spread(-mean, pooled), layers.spread(tf.math.rsqrt(variance + EPSILON), pooled)
    if pooled.shape.rank == 4:
        return affine.relu_affine(pooled, shift, scale, beta)
    return tf.cast(tf.nn.relu((tf.cast(pooled, mean.dtype) + shift) * scale + beta), pooled.dtype)


def as_statistic(moment: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """A moment [..., channels] of the batches in x as [..., 1, 1, 1, channels]."""
    return tf.reshape(moment, [*x.shape[:-4], 1, 1, 1, x.shape[-1]])


def norm_relu(x: tf.Tensor, beta: tf.Tensor, statistics: Statistics | None = None) -> tf.Tensor:
    """relu(batch_norm(x) + beta) in basic operations, for blocks that compute something between ReLU and pool.

    Args:
      x: [..., batch, height, width, channels].
      beta: [channels].
      statistics: mean and variance of another batch, used instead of those of x.
    """
    return tf.nn.relu(norm(x, beta, statistics))


def norm(x: tf.Tensor, beta: tf.Tensor, statistics: Statistics | None = None) -> tf.Tensor:
    """batch_norm(x) + beta; arguments as for `norm_relu`."""
    mean = statistics[0] if statistics else tf.reduce_mean(x, AXES, keepdims=True)
    centred = x - mean
    variance = statistics[1] if statistics else tf.reduce_mean(centred**2, AXES, keepdims=True)
    return centred * tf.math.rsqrt(variance + EPSILON) + beta


def statistics(x: tf.Tensor) -> Statistics:
    """Mean and biased variance of each channel of each batch in x, [..., 1, 1, 1, channels]."""
    mean = tf.reduce_mean(x, AXES, keepdims=True)
    return mean, tf.reduce_mean((x - mean) ** 2, AXES, keepdims=True)
