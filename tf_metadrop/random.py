"""Stateless randomness: every draw is a function of the run's seed and of where in the algorithm it is made.

A key is an int32 tensor [2]. Noise is folded from (seed, stream, iteration, task; inner step, sample and layer), so it
depends on nothing else: not on the order of execution, on a resume, or on the number of devices.
"""

import math

import tensorflow as tf

from tf_metadrop import philox

INITIAL_WEIGHTS, TRAIN, EVALUATE, META_TEST, EXPORT, ADAPT = range(6)  # streams
MAX_INT = 2**31 - 1
MOST_STEPS, MOST_SAMPLES, MOST_LAYERS = 2**13, 2**14, 2**4  # their product is 2**31: a draw's number is an int32


def key(seed: int, stream: int) -> tf.Tensor:
    """The key of a stream of the run with this seed (0 <= seed < 2**32)."""
    return fold(tf.constant([seed & 0xFFFF, seed >> 16], tf.int32), stream)


def fold(key, number):
    """A new key from a key and a number, neither of them negative.

    Not tf.random.experimental.stateless_fold_in: its keys can be negative, for which XLA draws other numbers.

    Args:
      key: int32, [..., 2].
      number: Python int or scalar tensor; or several, [n], for which a key [2] gives [n, 2], keys [m, 2] [m, n, 2].
    """
    return numbered(folded(key), number)


def numbered(first, number):
    """The keys [..., 2] of `fold`, from its key's `folded` and the number."""
    number = tf.cast(number, tf.int32)
    if first.shape.rank == number.shape.rank == 0:
        return tf.stack([first, number])
    if number.shape.rank == 1:
        first = first[..., tf.newaxis]
    shape = tf.broadcast_static_shape(first.shape, number.shape)
    return tf.stack([tf.broadcast_to(first, shape), tf.broadcast_to(number, shape)], -1)


def folded(key):
    """int32 in [0, 2**31 - 1) from a key; [...] from keys [..., 2]."""
    if key.shape.rank == 1:
        return tf.random.stateless_uniform([], key, 0, MAX_INT, tf.int32)
    bits = philox.bits(key, 1)[..., 0]
    return tf.cast(tf.math.floormod(bits, tf.constant(MAX_INT, tf.uint32)), tf.int32)


def standard_normal(key, dtype=tf.float32):
    """The noise of one task: a function (step, sample, layer, shape) -> N(0, 1) of this shape.

    With keys [tasks, 2] it is the noise of several, the same for each of them as alone, and shapes begin with tasks.
    `sample` can be several numbers; they then have an axis of their own after that. step < MOST_STEPS, and so on.
    """
    first = folded(key)  # once: every operation of a draw is traced for each inner step, sample and layer

    def draw(step, sample, layer, shape):
        number = (step * MOST_SAMPLES + sample) * MOST_LAYERS + layer
        return normal(numbered(first, number), shape, dtype)

    return draw


def normal(key, shape, dtype=tf.float32):
    """N(0, 1) of this shape by the Box-Muller transform, half the CPU time of tf.random.stateless_normal.

    Of 64 random bits, 32 give the radius (at most 6.8: what lies beyond has probability 1e-11) and 32 the angle.

    Args:
      key: [2]; or several, [..., 2]: then shape begins with their axes.
    """
    outer = key.shape[:-1]
    size = math.prod(shape[len(outer) :])
    pairs = (size + 1) // 2
    if key.shape.rank == 1:
        bits = tf.bitcast(tf.random.stateless_uniform([pairs], key, None, None, tf.uint64), tf.int32)
    else:
        bits = tf.reshape(tf.bitcast(philox.bits(key, 2 * pairs), tf.int32), [*outer, pairs, 2])
    drawn = box_muller(bits, dtype)
    return tf.reshape(drawn if size == 2 * pairs else drawn[..., :size], shape)


def box_muller(bits, dtype=tf.float32):
    """N(0, 1), [..., 2 * n], from uniform int32 bits [..., n, 2]."""
    first, second = tf.unstack(tf.cast(bits, dtype), axis=-1)
    uniform = tf.maximum(first * 2.0**-32 + 0.5, 2.0**-33)  # never 0, whose logarithm is infinite
    radius, angle = tf.sqrt(-2.0 * tf.math.log(uniform)), second * (2 * math.pi * 2.0**-32)
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], -1)
