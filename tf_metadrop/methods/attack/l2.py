"""The L2 norm, the Euclidean length: |d|_2."""

import tensorflow as tf

from tf_metadrop.methods.attack_variant.pgd import radius, unit

RADII = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0


def size(d: tf.Tensor) -> tf.Tensor:
    """The norm of each perturbation, [..., 1]."""
    return tf.norm(d, axis=-1, keepdims=True)


def project(d: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """The projection onto the ball: d, scaled to length eps if it is longer."""
    length = size(d)
    return tf.where(length > eps, d * (eps / tf.maximum(length, eps)), d)


def ascent(g: tf.Tensor) -> tf.Tensor:
    """The unit vector along the gradient; zero if the gradient is zero."""
    return tf.math.divide_no_nan(unit(g), size(unit(g)))


def start(normal: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """A uniform point of the ball: the direction of a Gaussian, and the radius of a uniform point in this dimension."""
    direction = normal[..., 1:]
    return direction / size(direction) * eps * radius(normal)
