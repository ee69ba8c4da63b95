"""The largest change of a pixel: |d|_inf = max |d_i|."""

import tensorflow as tf

RADII = 0.0, 0.02, 0.04, 0.06, 0.08, 0.1


def project(d: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """Each pixel's change clipped to [-eps, eps]."""
    return tf.clip_by_value(d, -eps, eps)


def ascent(g: tf.Tensor) -> tf.Tensor:
    """Every pixel as far as it may go."""
    return tf.sign(g)


def start(normal: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """Uniform in the ball."""
    return eps * tf.math.erf(normal[..., 1:] / 2**0.5)
