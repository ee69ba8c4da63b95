"""Layer normalisation: every image is normalised by its mean and biased variance over rows, columns and channels."""

from typing import Any

import tensorflow as tf

from tf_metadrop.nn.moments import pool_and_moments, together
from tf_metadrop.nn.normalization.batch import EPSILON, relu_of_pooled

FROM_SUPPORT = False
AXES = -3, -2, -1


def statistics(x: tf.Tensor) -> tuple:
    """An empty tuple: an image is normalised by its own statistics."""
    return ()


def norm_relu(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
    """relu(norm(x, offset))."""
    return tf.nn.relu(norm(x, offset))


def norm_relu_pool(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tuple[tf.Tensor, tuple]:
    """max_pool(relu(norm(x, offset))), where the pool is computed first as in batch.py, and the empty tuple."""
    pooled, means, variances = pool_and_moments(x, per_image=True)
    return relu_of_pooled(pooled, *together(means, variances, -1), offset), ()


def norm(x: tf.Tensor, offset: tf.Tensor, statistics: Any = None) -> tf.Tensor:
    """(x - mean) / sqrt(variance + epsilon) + offset."""
    centred = x - tf.reduce_mean(x, AXES, keepdims=True)
    variance = tf.reduce_mean(centred**2, AXES, keepdims=True)
    return centred * tf.math.rsqrt(variance + EPSILON) + offset
