"""The L-infinity norm, the largest change of a pixel: |d|_inf = max |d_i|."""

import tensorflow as tf

RADII = 0.0, 0.02, 0.04, 0.06, 0.08, 0.1


def size(d: tf.Tensor) -> tf.Tensor:
    """The norm of each perturbation, [..., 1]."""
    return tf.reduce_max(tf.abs(d), -1, keepdims=True)


def project(d: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """The projection onto the ball: the change of each pixel, clipped to [-eps, eps]."""
    return tf.clip_by_value(d, -eps, eps)


def ascent(g: tf.Tensor) -> tf.Tensor:
    """The sign of the gradient: every pixel changes by the same amount."""
    return tf.sign(g)


def start(normal: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """A uniform point of the ball."""
    return eps * tf.math.erf(normal[..., 1:] / 2**0.5)
