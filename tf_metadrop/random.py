"""Stateless randomness: every draw is a function of the run's seed and of where in the algorithm it is made.

A key is an int32 tensor [2]. Noise is folded from (seed, stream, iteration, task; inner step, sample and layer), so it
depends on nothing else: not on the order of execution, on a resume, or on the number of devices.
"""

import math

import tensorflow as tf

from tf_metadrop import kernels, philox

INITIAL_WEIGHTS, TRAIN, EVALUATE, META_TEST, EXPORT, ADAPT = range(6)  # streams
MAX_INT = 2**31 - 1
MANY = 2**15  # blocks of four; compiling for fewer takes longer than it saves
TERMS = 8
COSINE = [(-1) ** k * math.tau ** (2 * k) / math.factorial(2 * k) for k in range(TERMS)]  # of t * t, t in turns
SINE = [(-1) ** k * math.tau ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(TERMS)]  # the same, over t
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
    """N(0, 1) of this shape by the Box-Muller transform, 64 random bits for two numbers.

    32 bits give the radius (at most 6.8: what lies beyond has probability 1e-11) and 32 the angle.

    Args:
      key: [2]; or several, [..., 2]: then shape begins with their axes.
    """
    outer = key.shape[:-1]
    size = math.prod(shape[len(outer) :])
    blocks = -(-size // 4)
    drawn = tf.reshape(box_muller(words(key, blocks), dtype), [*outer, 4 * blocks])
    return tf.reshape(drawn if size == 4 * blocks else drawn[..., :size], shape)


def words(key, blocks: int):
    """`philox.words`: compiled where there are many, and by TensorFlow's own operation where there are few."""
    if key.shape.rank > 1:
        return philox.words(key, blocks)
    if blocks >= MANY:
        # The scrambling stays outside: XLA would fuse it into the loop and do it again for every number.
        own_key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
        scrambled = tf.unstack(tf.reshape(tf.bitcast(tf.concat([own_key, counter[1:]], 0), tf.uint32), [4, 1]))
        return compiled_words(scrambled, blocks)
    return tf.transpose(tf.reshape(tf.random.stateless_uniform([4 * blocks], key, None, None, tf.uint32), [blocks, 4]))


compiled_words = tf.function(philox.scrambled_words, jit_compile=True, autograph=False)


def box_muller(words, dtype=tf.float32):
    """N(0, 1), [..., 4, n], from uniform bits, uint32 [..., 4, n]: two radii, then two angles."""
    if words.shape.num_elements() >= kernels.SMALLEST:
        return gaussian(words, tf.zeros([], dtype))
    radius, turns = radius_and_turns(words, tf.zeros([], dtype))
    return tf.concat([radius * tf.cos(math.tau * turns), radius * tf.sin(math.tau * turns)], -2)


def radius_and_turns(words, like):
    """Each [..., 2, n], of the type of `like`; the angle is in turns."""
    radii, turns = tf.split(tf.cast(tf.bitcast(words, tf.int32), like.dtype) * 2.0**-32, 2, -2)
    return tf.sqrt(-2.0 * tf.math.log(tf.maximum(radii + 0.5, 2.0**-33))), turns  # never log(0), which is infinite


@kernels.kernel
def gaussian(words, like):
    """`box_muller` for XLA, whose own cosine takes five times as long as this series, which is right to 1e-10."""
    radius, turns = radius_and_turns(words, like)
    half_turn = tf.round(2 * turns) / 2  # the nearest
    t, signed = turns - half_turn, radius * (1 - 4 * tf.abs(half_turn))
    return tf.concat([signed * polynomial(COSINE, t * t), signed * t * polynomial(SINE, t * t)], -2)


def polynomial(coefficients, x):
    """Horner's rule; the constant comes first."""
    total = tf.constant(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
