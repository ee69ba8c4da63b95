"""The L1 norm, the sum of all changes: |d|_1 = sum |d_i|."""

import math

import tensorflow as tf

from tf_metadrop.methods.attack_variant.pgd import radius

RADII = 0.0, 20.0, 40.0, 60.0, 80.0, 100.0
QUANTILE = 0.99


def size(d: tf.Tensor) -> tf.Tensor:
    """The norm of each perturbation, [..., 1]."""
    return tf.reduce_sum(tf.abs(d), -1, keepdims=True)


def project(d: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """The projection onto the ball: d if it is inside, else sign(d) * max(|d| - t, 0) with L1 norm eps.

    t is computed as in Duchi et al. (2008). Let u_1 >= u_2 >= ... be the sorted |d_i|, and r the last j with
    u_j > (u_1 + ... + u_j - eps) / j. Then t is this fraction at j = r.
    """
    each = tf.abs(d)
    u = tf.sort(each, -1, "DESCENDING")
    j = tf.cast(tf.range(1, d.shape[-1] + 1), d.dtype)
    fraction = (tf.cumsum(u, -1) - eps) / j
    r = tf.maximum(tf.reduce_sum(tf.cast(u > fraction, tf.int32), -1, keepdims=True), 1)
    t = tf.gather(fraction, r - 1, batch_dims=d.shape.rank - 1)
    return tf.where(size(d) <= eps, d, tf.sign(d) * tf.maximum(each - t, 0))


def ascent(g: tf.Tensor) -> tf.Tensor:
    """Equal steps on the pixels whose |g| is at least the QUANTILE of the image; a step on one pixel is too weak."""
    pixels = g.shape[-1]
    kept = pixels - math.ceil(QUANTILE * (pixels - 1))
    each = tf.abs(g)
    chosen = tf.sign(g) * tf.cast(each >= tf.math.top_k(each, kept).values[..., -1:], g.dtype)
    return tf.math.divide_no_nan(chosen, size(chosen))


def start(normal: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """A uniform point of the ball: its direction is Laplace-distributed, mapped from the Gaussian by quantiles."""
    z = normal[..., 1:]
    direction = -tf.sign(z) * tf.math.log(tf.maximum(tf.math.erfc(tf.abs(z) / 2**0.5), 1e-30))
    return direction / size(direction) * eps * radius(normal)
