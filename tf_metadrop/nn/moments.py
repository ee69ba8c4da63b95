"""The mean, the biased variance and the 2x2 maxima of feature maps, in few passes; they can be differentiated twice.

Do not use `tf.nn.moments` for a normalisation, nor the Keras layer, which calls it. It stops the gradient of the mean
inside the variance, which is correct to first order but wrong to second order.
"""

import tensorflow as tf

from tf_metadrop.nn import fused, layers


def pool_and_moments(x: tf.Tensor, per_image: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """2x2 maxima, and mean and biased variance of each channel.

    Args:
      x: [..., batch, height, width, channels].
      per_image: whether each image has moments of its own; otherwise they are those of the batch.
    Returns:
      ([..., batch, height // 2, width // 2, channels], mean, variance), where mean and variance are [..., channels], or
      [..., batch, channels] if per_image.
    """
    n = float(x.shape[-3] * x.shape[-2] * (1 if per_image else x.shape[-4]))

    @tf.custom_gradient
    def run(x: tf.Tensor) -> layers.Differentiated:
        mean = total(x, per_image) / n
        variance = squares(x, mean, per_image) / n
        pooled, place = layers.max_pool(x)

        def gradient(d_pooled: tf.Tensor, d_mean: tf.Tensor, d_variance: tf.Tensor) -> tf.Tensor:
            # The mean here is run's own result, so that a second derivative goes through d_mean, not another map.
            slope = 2 / n * d_variance
            return pool_and_affine_gradient(x, place, d_pooled, slope, 1 / n * d_mean - slope * results[1], per_image)

        return (pooled, mean, variance), gradient

    results = run(x)
    return results


@tf.custom_gradient
def pool(x: tf.Tensor) -> layers.Differentiated:
    """2x2 maxima of x [..., height, width, channels]."""
    pooled, place = layers.max_pool(x)
    nothing = tf.zeros([1], pooled.dtype)

    @tf.custom_gradient
    def gradient(d: tf.Tensor) -> layers.Differentiated:
        return fused.put_back(x, nothing, nothing, place, d), lambda u: layers.max_pool_take(u, place)

    return pooled, gradient


def pool_and_affine_gradient(
    x: tf.Tensor, place: tf.Tensor, d_pooled: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor, per_image: bool
) -> tf.Tensor:
    """d_pooled at the places of the maxima of x, plus x * slope + offset."""

    @tf.custom_gradient
    def run(x: tf.Tensor, d_pooled: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor) -> layers.Differentiated:
        def gradient(u: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (
                u * tf.cast(layers.spread(slope, x), u.dtype),
                layers.max_pool_take(u, place),
                dot(u, x, per_image),
                total(u, per_image),
            )

        return fused.put_back(x, layers.spread(slope, x), layers.spread(offset, x), place, d_pooled), gradient

    return run(x, d_pooled, slope, offset)


def together(means: tf.Tensor, variances: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and biased variance of parts of equal size together, from those of each part along `axis`, which is kept."""
    mean = tf.reduce_mean(means, axis, keepdims=True)
    return mean, tf.reduce_mean(variances + (means - mean) ** 2, axis, keepdims=True)


def total(x: tf.Tensor, per_image: bool) -> tf.Tensor:
    """Sum of x [..., batch, height, width, channels] over height, width and, unless per_image, the batch."""
    if not per_image:
        return layers.channel_sum(x)
    if x.shape.rank > 4:
        return tf.reduce_sum(layers.up(x), [-3, -2])
    return tf.reduce_sum(fused.row_sums(x), 1)


def dot(x: tf.Tensor, y: tf.Tensor, per_image: bool) -> tf.Tensor:
    """Sum of x * y, as `total`."""
    if x.shape.rank > 4:
        return total(layers.up(x) * layers.up(y), per_image)
    return tf.reduce_sum(fused.product_sums(x, y), 1 if per_image else [0, 1])


def squares(x: tf.Tensor, mean: tf.Tensor, per_image: bool) -> tf.Tensor:
    """Sum of (x - mean)**2, as `total`, for mean [..., channels] or [..., batch, channels]."""
    mean = layers.spread(mean, x)
    if x.shape.rank > 4:
        return total(tf.math.squared_difference(layers.up(x), mean), per_image)
    return tf.reduce_sum(fused.squared_difference_sums(x, mean), 1 if per_image else [0, 1])
