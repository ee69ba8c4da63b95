"""Stateless randomness: every draw is a function of the run's seed and of where in the algorithm it is made.

A key is an int32 tensor [2]. Noise is folded from (seed, stream, iteration, task, inner step, sample, layer), so it
depends on nothing else: not on the order of execution, on a resume, or on the number of devices.
"""

import tensorflow as tf
import tensorflow_probability as tfp

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
        unit = tfp.distributions.Normal(tf.zeros([], dtype), tf.ones([], dtype))
        return unit.sample(shape, seed=fold(fold(fold(key, step), sample), layer))

    return draw
