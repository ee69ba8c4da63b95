"""Batch normalisation, always by the statistics of the current batch: biased variance, epsilon 1e-3, no scale.

See docs/reference/tf1_behaviour.md, "Network". "Traps on the way to the exact gradient" is about its second-order
gradients.
"""

from typing import TypeAlias

import tensorflow as tf

from tf_metadrop.nn import fused, layers

FROM_SUPPORT = False
EPSILON = 1e-3
AXES = -4, -3, -2

Statistics: TypeAlias = tuple[tf.Tensor, tf.Tensor]


def norm_relu_pool(x: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """max_pool(relu(batch_norm(x) + beta)), by the statistics of the current batch, biased variance, no scale.

    The pool is computed first. Subtracting the mean, dividing by the deviation, adding beta and the ReLU are monotone,
    so the result is the same, and they are applied to only a quarter of the map.

    Do not use `tf.nn.moments` for the statistics, nor the Keras layer, which calls it. It stops the gradient of the
    mean inside the variance, which is correct to first order but wrong to second order.

    Args:
      x: [..., batch, height, width, channels].
      beta: [channels].
    Returns:
      [..., batch, height // 2, width // 2, channels].
    """
    pooled, mean, variance = pool_and_statistics(x)
    scale = tf.math.rsqrt(variance + EPSILON)
    # "+ (-mean)" instead of "- mean", whose derivative would negate a whole map before its sum.
    pooled = tf.cast(pooled, mean.dtype)
    return tf.cast(tf.nn.relu((pooled + layers.spread(-mean, x)) * layers.spread(scale, x) + beta), x.dtype)


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


def norm_relu_pool_by(x: tf.Tensor, beta: tf.Tensor, statistics: Statistics) -> tf.Tensor:
    """max_pool(relu(...)) by the mean and variance of another batch, for x [..., height, width, channels].

    The pool is computed first, as in `norm_relu_pool`.
    """
    return norm_relu(layers.pool(x), beta, statistics)


def statistics(x: tf.Tensor) -> Statistics:
    """Mean and biased variance of each channel of each batch in x, [..., 1, 1, 1, channels]."""
    mean = tf.reduce_mean(x, AXES, keepdims=True)
    return mean, tf.reduce_mean((x - mean) ** 2, AXES, keepdims=True)


def pool_and_statistics(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """2x2 maxima, and mean and biased variance of each channel of each batch in x; can be differentiated twice.

    Args:
      x: [..., batch, height, width, channels].
    Returns:
      ([..., batch, height // 2, width // 2, channels], [..., channels], [..., channels]).
    """
    n = float(x.shape[-4] * x.shape[-3] * x.shape[-2])

    @tf.custom_gradient
    def run(x: tf.Tensor) -> layers.Differentiated:
        mean = layers.channel_sum(x) / n
        variance = squares_sum(x, mean) / n
        pooled, place = layers.max_pool(x)

        def gradient(d_pooled: tf.Tensor, d_mean: tf.Tensor, d_variance: tf.Tensor) -> tf.Tensor:
            # The mean here is run's own result, so that a second derivative goes through d_mean, not another map.
            slope = 2 / n * d_variance
            return pool_and_affine_gradient(x, place, d_pooled, slope, 1 / n * d_mean - slope * results[1])

        return (pooled, mean, variance), gradient

    results = run(x)
    return results


def pool_and_affine_gradient(
    x: tf.Tensor, place: tf.Tensor, d_pooled: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor
) -> tf.Tensor:
    """d_pooled at the places of the maxima of x, plus x * slope + offset."""

    @tf.custom_gradient
    def run(x: tf.Tensor, d_pooled: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor) -> layers.Differentiated:
        def gradient(u: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (
                u * tf.cast(layers.spread(slope, x), u.dtype),
                layers.max_pool_take(u, place),
                channel_dot(u, x),
                layers.channel_sum(u),
            )

        return fused.put_back(x, layers.spread(slope, x), layers.spread(offset, x), place, d_pooled), gradient

    return run(x, d_pooled, slope, offset)


def channel_dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sum of x * y [..., batch, height, width, channels] over batch, height and width."""
    return (
        layers.channel_sum(layers.up(x) * layers.up(y))
        if x.shape.rank > 4
        else tf.reduce_sum(fused.product_sums(x, y), [0, 1])
    )


def squares_sum(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    """Sum of (x - mean)**2 over batch, height and width, for mean [..., channels]."""
    if x.shape.rank > 4:
        return layers.channel_sum(tf.math.squared_difference(layers.up(x), layers.spread(mean, x)))
    return tf.reduce_sum(fused.squared_difference_sums(x, mean), [0, 1])
