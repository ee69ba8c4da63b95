"""Stateless randomness: every draw is a function of the run's seed and of where in the algorithm it is made.

A key is an int32 tensor [2]. Noise is folded from (seed, stream, iteration, task; inner step, sample and layer), so it
depends on nothing else: not on the order of execution, on a resume, or on the number of devices.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_metadrop.nn import fused, philox

if TYPE_CHECKING:
    from tf_metadrop.nn.types import PassNoise, Shape

INITIAL_WEIGHTS, TRAIN, EVALUATE, META_TEST, EXPORT, ADAPT = range(6)  # streams
MAX_INT = 2**31 - 1
TERMS = 8
COSINE = [(-1) ** k * math.tau ** (2 * k) / math.factorial(2 * k) for k in range(TERMS)]  # of t * t, t in turns
SINE = [(-1) ** k * math.tau ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(TERMS)]  # the same, over t
MOST_STEPS, MOST_SAMPLES, MOST_LAYERS = 2**13, 2**14, 2**4  # their product is 2**31: a draw's number is an int32
FURTHER = 2**10  # banks of layers' first draws: see `Draw.at`
ROOM = 6  # layers, or regularisers' draws, whose numbers are below MOST_LAYERS


class Draw(enum.IntEnum):
    """Who draws noise within a task: what `StandardNormal` counts as layers. No two have a number in common."""

    LAYER = 0  # + n for layer n = 1.. of the backbone at which noise acts
    REGULARIZER = 6  # + n, n = 0..
    ADVERSARY = 12
    ATTACK_START = 13

    def at(self, n: int) -> int:
        """The number of this one's n-th draw; where its first numbers do not suffice, further ones of its own."""
        more = max(0, n - ROOM + 1)
        return int(self) + (MOST_LAYERS * more if more else n)


def key(seed: int, stream: int) -> tf.Tensor:
    """The key of a stream of the run with this seed (0 <= seed < 2**32)."""
    return fold(tf.constant([seed & 0xFFFF, seed >> 16], tf.int32), stream)


def fold(key: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """A new key from a key and a number, neither of them negative.

    Not tf.random.experimental.stateless_fold_in: its keys can be negative, for which XLA draws other numbers.

    Args:
      key: int32, [..., 2].
      number: Python int or scalar tensor; or several, [n], for which a key [2] gives [n, 2], keys [m, 2] [m, n, 2].
    """
    return numbered(folded(key), number)


def numbered(first: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """The keys [..., 2] of `fold`, from its key's `folded` and the number."""
    number = tf.cast(number, tf.int32)
    if first.shape.rank == number.shape.rank == 0:
        return tf.stack([first, number])
    if number.shape.rank == 1:
        first = first[..., tf.newaxis]
    shape = tf.broadcast_static_shape(first.shape, number.shape)
    return tf.stack([tf.broadcast_to(first, shape), tf.broadcast_to(number, shape)], -1)


def folded(key: tf.Tensor) -> tf.Tensor:
    """int32 in [0, 2**31 - 1), [...], from keys [..., 2]."""
    first, second = (tf.cast(key[..., i], tf.uint64) for i in (0, 1))
    bits, _ = philox.philox(second, tf.zeros_like(second), first)
    return tf.cast(tf.math.floormod(bits, tf.constant(MAX_INT, tf.uint64)), tf.int32)


class StandardNormal:
    """The noise of one task: called with (step, sample, layer, shape), N(0, 1) of this shape.

    With keys [tasks, 2] it is the noise of several, the same for each of them as alone, and shapes begin with tasks.
    `sample` can be several numbers; they then have an axis of their own after that. step < MOST_STEPS, and so on.
    """

    def __init__(self, key: tf.Tensor, dtype: tf.DType | str = tf.float32):
        self.first, self.dtype = folded(key), dtype  # folded once: few operations to trace for each draw

    def __call__(self, step: int, sample: int | tf.Tensor, layer: int, shape: Shape) -> tf.Tensor:
        """The noise of a layer in one pass."""
        bank, place = divmod(layer, MOST_LAYERS)
        first = folded(numbered(self.first, MAX_INT - bank)) if bank else self.first
        number = (step * MOST_SAMPLES + sample) * MOST_LAYERS + place
        return normal(numbered(first, number), shape, self.dtype)


class LayerDraws:
    """What a layer draws in one forward pass, `types.Normal`: the first call the noise of `layer`, others further ones.

    Args:
      noise: function (layer, shape) -> N(0, 1) of this shape.
    """

    def __init__(self, noise: PassNoise, layer: int, dtype: tf.DType | None = None):
        self._noise, self._layer, self._dtype, self._n = noise, layer, dtype, 0

    def __call__(self, shape: Shape) -> tf.Tensor:
        """N(0, 1) of this shape."""
        place = self._layer + (MOST_LAYERS * (FURTHER + self._n) if self._n else 0)
        self._n += 1
        drawn = self._noise(place, shape)
        return tf.cast(drawn, self._dtype) if self._dtype else drawn

    def uniform(self, shape: Shape) -> tf.Tensor:
        """Uniform in [0, 1), of this shape: normal numbers' places in their distribution."""
        place = 0.5 * tf.math.erfc(-(0.5**0.5) * self(shape))
        return tf.minimum(place, 1 - 2.0**-24)  # float32 rounds some to 1


def normal(key: tf.Tensor, shape: Shape, dtype: tf.DType | str = tf.float32) -> tf.Tensor:
    """N(0, 1) of this shape by the Box-Muller transform, 64 random bits for two numbers.

    31 bits give the radius (at most 6.7: what lies beyond has probability 2e-10) and 32 the angle.

    Args:
      key: [2]; or several, [..., 2]: then shape begins with their axes.
    """
    outer = key.shape[:-1]
    size = math.prod(shape[len(outer) :])
    pairs = -(-size // 2)
    if dtype == tf.float32:
        compiled = packed_pairs(pairs)
        fused.compile_ahead(compiled, key)
        drawn = tf.bitcast(compiled(key), dtype)
    else:
        drawn = tf.stack(draw(key, pairs, dtype), -1)
    # The axis of 1 makes TensorFlow copy the part: one that shares the memory of XLA's result is overwritten at times.
    part = drawn if size == 2 * pairs else tf.reshape(drawn, [*outer, 1, 2 * pairs])[..., :size]
    return tf.reshape(part, shape)


@functools.cache
def packed_pairs(pairs: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function of keys: `draw` in float32, each pair in one uint64.

    One result, for which XLA makes one loop; of two, or of their concatenation, it would draw the bits for each.
    """

    @partial(tf.function, jit_compile=True, autograph=False)
    def packed(key: tf.Tensor) -> tf.Tensor:
        first, second = (tf.cast(tf.bitcast(x, tf.uint32), tf.uint64) for x in draw(key, pairs, tf.float32))
        return tf.bitwise.bitwise_or(first, tf.bitwise.left_shift(second, tf.constant(32, tf.uint64)))

    return packed


def draw(key: tf.Tensor, pairs: int, dtype: tf.DType | str) -> tuple[tf.Tensor, tf.Tensor]:
    """Two tensors of N(0, 1), [..., pairs], from keys [..., 2]."""
    # Not key[..., i, tf.newaxis]: of a key that was stacked TensorFlow's optimizer (2.21) forgets the new axis.
    first, number = (tf.expand_dims(tf.cast(key[..., i], tf.uint64), -1) for i in (0, 1))
    counter = tf.range(pairs, dtype=tf.int64)
    counter = tf.cast(counter, tf.uint64) + tf.zeros_like(first)
    return box_muller(*philox.philox(counter, number + tf.zeros_like(counter), first + tf.zeros_like(counter)), dtype)


def box_muller(first: tf.Tensor, second: tf.Tensor, dtype: tf.DType | str) -> tuple[tf.Tensor, tf.Tensor]:
    """Two N(0, 1) from two words of uniform bits, which give radius and angle.

    Cosine and sine are by their series, right to 1e-10: XLA's own take five times as long.
    """
    integer = lambda word: tf.cast(tf.bitcast(tf.cast(word, tf.uint32), tf.int32), dtype)
    # Not signed, so that small shares keep all their digits; never 0, whose logarithm is infinite.
    share = integer(tf.bitwise.right_shift(first, tf.constant(1, tf.uint64))) * 2.0**-31 + 2.0**-32
    radius, turns = tf.sqrt(-2 * logarithm(share)), integer(second) * 2.0**-32
    half_turn = tf.round(2 * turns) / 2  # the nearest
    t, signed = turns - half_turn, radius * (1 - 4 * tf.abs(half_turn))
    return signed * fused.polynomial(COSINE, t * t), signed * t * fused.polynomial(SINE, t * t)


def logarithm(x: tf.Tensor) -> tf.Tensor:
    """log(x) for x in (0, 1], not above 0, right to 1e-7 absolute; half the time of XLA's own."""
    if x.dtype != tf.float32:
        return tf.math.log(x)
    bits = tf.bitcast(x, tf.int32)
    exponent = tf.cast(tf.bitwise.right_shift(bits, 23) - 127, tf.float32)
    mantissa = tf.bitcast(tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, 0x7FFFFF), 0x3F800000), tf.float32)
    return tf.minimum(exponent * math.log(2) + fused.log1p(mantissa - 1), 0)
