"""relu((x + shift) * scale + offset) of feature maps, in few passes over memory; it can be differentiated twice.

TensorFlow's own derivatives would take a pass for each addition, product and cast, and slow sums over three axes.
"""

import tensorflow as tf

from tf_metadrop.nn import fused, layers


def relu_affine(x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """relu((x + shift) * scale + offset).

    Args:
      x: [batch, height, width, channels].
      shift, scale: of the same shape, which can be broadcast against x and has one row and one column.
      offset: [channels].
    """
    with_channels = lambda t: t + tf.zeros([1, 1, 1, x.shape[-1]], t.dtype)
    return of_channels(x, *map(with_channels, (shift, scale, offset)))


@tf.custom_gradient
def of_channels(x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> layers.Differentiated:
    """`relu_affine` of shift and scale [1 or batch, 1, 1, channels] and offset [1, 1, 1, channels]."""
    y = fused.relu_affine(x, shift, scale, offset)

    def gradient(d: tf.Tensor) -> tuple[tf.Tensor, ...]:
        total = passed_sum(d, y, shift)
        d_scale, d_offset = passed_dot(d, x, shift, y), tf.reduce_sum(total, 0, keepdims=True)
        return passed_product(d, scale, y), scale * total, d_scale, d_offset

    return y, gradient


# y > 0 are the places where the ReLU lets a feature pass; y is no variable of these functions.


@tf.custom_gradient
def passed_product(d: tf.Tensor, scale: tf.Tensor, y: tf.Tensor) -> layers.Differentiated:
    """d * scale where y > 0, otherwise 0."""

    def gradient(u: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        return passed_product(u, scale, y), passed_dot(d, u, tf.zeros_like(scale), y), None

    return fused.passed_product(y, d, scale), gradient


@tf.custom_gradient
def passed_sum(d: tf.Tensor, y: tf.Tensor, like: tf.Tensor) -> layers.Differentiated:
    """Sum of d where y > 0, in the shape of `like`."""
    fill = lambda u: (tf.where(y > 0, tf.cast(u, d.dtype), tf.zeros([], d.dtype)), None, None)
    return reduced(fused.passed_sums(y, d), like), fill


@tf.custom_gradient
def passed_dot(d: tf.Tensor, x: tf.Tensor, shift: tf.Tensor, y: tf.Tensor) -> layers.Differentiated:
    """Sum of d * (x + shift) where y > 0, in the shape of shift."""

    def gradient(u: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        return fused.passed_affine(y, x, shift, u), passed_product(d, u, y), u * passed_sum(d, y, shift), None

    return reduced(fused.passed_dots(y, d, x, shift), shift), gradient


def reduced(partial_sums: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Partial sums [batch, parts, channels] added up to the shape of `like`, [1 or batch, 1, 1, channels]."""
    return tf.reshape(tf.reduce_sum(partial_sums, 1 if like.shape[0] > 1 else [0, 1]), like.shape)
