"""Stateless randomness: every draw is a function of the run's seed and of where in the algorithm it is made.

A key is an int32 tensor [2]. Noise is folded from (seed, stream, iteration, task, inner step, sample, layer), so it
depends on nothing else: not on the order of execution, on a resume, or on the number of devices.
"""

import math

import tensorflow as tf

INITIAL_WEIGHTS, TRAIN, EVALUATE, META_TEST, EXPORT, ADAPT = range(6)  # streams


def key(seed: int, stream: int) -> tf.Tensor:
    """The key of a stream of the run with this seed (0 <= seed < 2**32)."""
    return fold(tf.constant([seed & 0xFFFF, seed >> 16], tf.int32), stream)


def fold(key, number):
    """A new key from a key and a number (Python int or scalar tensor)."""
    return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))


def standard_normal(key, dtype=tf.float32):
    """The noise of one task: a function (step, sample, layer, shape) -> N(0, 1) of this shape."""

    def draw(step, sample, layer, shape):
        return normal(fold(fold(fold(key, step), sample), layer), shape, dtype)

    return draw


def normal(key, shape, dtype=tf.float32):
    """N(0, 1) of this shape by the Box-Muller transform, half the CPU time of tf.random.stateless_normal.

    Of 64 random bits, 32 give the radius (at most 6.8: what lies beyond has probability 1e-11) and 32 the angle.
    """
    size = math.prod(shape)
    bits = tf.random.stateless_uniform([(size + 1) // 2], key, None, None, tf.uint64)
    return tf.reshape(box_muller(tf.bitcast(bits, tf.int32), dtype)[:size], shape)


def box_muller(bits, dtype=tf.float32):
    """N(0, 1), [2 * n], from uniform int32 bits [n, 2]."""
    bits = tf.cast(bits, dtype)
    uniform = tf.maximum(bits[:, 0] * 2.0**-32 + 0.5, 2.0**-33)  # never 0, whose logarithm is infinite
    radius, angle = tf.sqrt(-2.0 * tf.math.log(uniform)), bits[:, 1] * (2 * math.pi * 2.0**-32)
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)
