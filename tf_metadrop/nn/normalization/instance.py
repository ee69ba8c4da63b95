"""Instance normalisation: every channel of every image is normalised by its own mean and biased variance."""

from typing import Any

import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.nn.moments import pool_and_moments
from tf_metadrop.nn.normalization.batch import EPSILON, relu_of_pooled

FROM_SUPPORT = False


def moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and biased variance over rows and columns of each image and channel, [..., batch, 1, 1, channels]."""
    mean = tf.reduce_mean(x, [-3, -2], keepdims=True)
    return mean, tf.reduce_mean((x - mean) ** 2, [-3, -2], keepdims=True)


def statistics(x: tf.Tensor) -> tuple:
    """An empty tuple: an image is normalised by its own statistics."""
    return ()


def norm_relu(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
    """relu(norm(x, offset))."""
    return tf.nn.relu(norm(x, offset))


def norm_relu_pool(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tuple[tf.Tensor, tuple]:
    """max_pool(relu(norm(x, offset))), where the pool is computed first as in batch.py, and the empty tuple."""
    pooled, mean, variance = pool_and_moments(x, per_image=True)
    return relu_of_pooled(pooled, mean, variance, offset), ()


def norm(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
    """(x - mean) / sqrt(variance + epsilon) + offset.

    Raises:
      UsageError: the maps have one pixel, which has no variance.
    """
    if x.shape[-3] * x.shape[-2] == 1:
        raise UsageError("--normalization=instance has nothing to normalise in maps of 1x1 pixels: choose another one.")
    mean, variance = moments(x)
    return (x - mean) * tf.math.rsqrt(variance + EPSILON) + offset
