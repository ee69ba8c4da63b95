"""Stateless random numbers: every draw is a function of the run's seed and of its place in the algorithm.

A key is an int32 tensor [2]. The key of noise is folded from (seed, stream, iteration, task; inner step, sample and
layer). The noise therefore does not depend on the order of execution, on a resume, or on the number of devices.
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
COSINE = [(-1) ** k * math.tau ** (2 * k) / math.factorial(2 * k) for k in range(TERMS)]  # in t * t, t in turns
SINE = [(-1) ** k * math.tau ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(TERMS)]  # in t * t, of sine / t
MOST_STEPS, MOST_SAMPLES, MOST_LAYERS = 2**13, 2**14, 2**4  # their product is 2**31: the number of a draw is an int32
FURTHER = 2**10  # number of banks for the first draws of layers: see `Draw.at`
ROOM = 6  # number of layers, or of draws of a regulariser, with numbers below MOST_LAYERS


class Draw(enum.IntEnum):
    """The sources of noise in a task, which `StandardNormal` numbers as layers; no two sources share a number."""

    LAYER = 0  # + n for layer n = 1.. of the backbone, if it has noise
    REGULARIZER = 6  # + n, n = 0..
    ADVERSARY = 12
    ATTACK_START = 13

    def at(self, n: int) -> int:
        """The number of the n-th draw of this source; after its first ROOM numbers, it has further ones."""
        more = max(0, n - ROOM + 1)
        return int(self) + (MOST_LAYERS * more if more else n)


def key(seed: int, stream: int) -> tf.Tensor:
    """The key of a stream, for a run with this seed (0 <= seed < 2**32)."""
    return fold(tf.constant([seed & 0xFFFF, seed >> 16], tf.int32), stream)


def fold(key: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Makes a new key from a key and a number, neither of them negative.

    tf.random.experimental.stateless_fold_in is not used: its keys can be negative, and XLA then draws other numbers.

    Args:
      key: int32, [..., 2].
      number: a Python int or scalar tensor. Or several, [n]: a key [2] then gives [n, 2], and keys [m, 2] give
        [m, n, 2].
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
    """Hashes keys [..., 2] to int32 in [0, 2**31 - 1), [...]."""
    first, second = (tf.cast(key[..., i], tf.uint64) for i in (0, 1))
    bits, _ = philox.philox(second, tf.zeros_like(second), first)
    return tf.cast(tf.math.floormod(bits, tf.constant(MAX_INT, tf.uint64)), tf.int32)


class StandardNormal:
    """The noise of one task: a call with (step, sample, layer, shape) draws N(0, 1) of this shape.

    With keys [tasks, 2] it draws the noise of several tasks, and shapes begin with tasks; each task gets the same noise
    as alone. `sample` can be several numbers, which then have the next axis. step < MOST_STEPS, sample < MOST_SAMPLES.
    """

    def __init__(self, key: tf.Tensor, dtype: tf.DType | str = tf.float32):
        self.first, self.dtype = folded(key), dtype  # folded once, to trace fewer operations for each draw

    def __call__(self, step: int, sample: int | tf.Tensor, layer: int, shape: Shape) -> tf.Tensor:
        """Draws the noise of a layer in one pass."""
        bank, place = divmod(layer, MOST_LAYERS)
        first = folded(numbered(self.first, MAX_INT - bank)) if bank else self.first
        number = (step * MOST_SAMPLES + sample) * MOST_LAYERS + place
        return normal(numbered(first, number), shape, self.dtype)


class LayerDraws:
    """The draws of a layer in one forward pass, a `types.Normal`: every call draws other numbers.

    Args:
      noise: function (layer, shape) -> N(0, 1) of this shape.
      layer: number of the layer's first draw.
      dtype: dtype of the draws; None: as `noise` returns them.
    """

    def __init__(self, noise: PassNoise, layer: int, dtype: tf.DType | None = None):
        self._noise, self._layer, self._dtype, self._n = noise, layer, dtype, 0

    def __call__(self, shape: Shape) -> tf.Tensor:
        """Draws N(0, 1) of this shape."""
        place = self._layer + (MOST_LAYERS * (FURTHER + self._n) if self._n else 0)
        self._n += 1
        drawn = self._noise(place, shape)
        return tf.cast(drawn, self._dtype) if self._dtype else drawn

    def uniform(self, shape: Shape) -> tf.Tensor:
        """Draws uniform numbers in [0, 1) of this shape: the distribution function of normal numbers."""
        place = 0.5 * tf.math.erfc(-(0.5**0.5) * self(shape))
        return tf.minimum(place, 1 - 2.0**-24)  # float32 rounds some to 1


def normal(key: tf.Tensor, shape: Shape, dtype: tf.DType | str = tf.float32) -> tf.Tensor:
    """Draws N(0, 1) of this shape by the Box-Muller transform, with 64 random bits for two numbers.

    31 bits give the radius, which is at most 6.7 (larger ones have probability 2e-10), and 32 bits the angle.

    Args:
      key: [2]; or several, [..., 2]: shape then begins with their axes.
      shape: shape of the result.
      dtype: dtype of the result.
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
    # The axis of 1 makes TensorFlow copy the part: if it shared the memory of XLA's result, it could be overwritten.
    part = drawn if size == 2 * pairs else tf.reshape(drawn, [*outer, 1, 2 * pairs])[..., :size]
    return tf.reshape(part, shape)


@functools.cache
def packed_pairs(pairs: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes a function of keys that computes `draw` in float32 and packs each pair in one uint64.

    For one result, XLA makes one loop. For two results, or their concatenation, it would draw the bits twice.
    """

    @partial(tf.function, jit_compile=True, autograph=False)
    def packed(key: tf.Tensor) -> tf.Tensor:
        first, second = (tf.cast(tf.bitcast(x, tf.uint32), tf.uint64) for x in draw(key, pairs, tf.float32))
        return tf.bitwise.bitwise_or(first, tf.bitwise.left_shift(second, tf.constant(32, tf.uint64)))

    return packed


def draw(key: tf.Tensor, pairs: int, dtype: tf.DType | str) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws two tensors of N(0, 1), [..., pairs], from keys [..., 2]."""
    # Not key[..., i, tf.newaxis]: if the key was stacked, TensorFlow's optimizer (2.21) loses the new axis.
    first, number = (tf.expand_dims(tf.cast(key[..., i], tf.uint64), -1) for i in (0, 1))
    counter = tf.range(pairs, dtype=tf.int64)
    counter = tf.cast(counter, tf.uint64) + tf.zeros_like(first)
    return box_muller(*philox.philox(counter, number + tf.zeros_like(counter), first + tf.zeros_like(counter)), dtype)


def box_muller(first: tf.Tensor, second: tf.Tensor, dtype: tf.DType | str) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes two N(0, 1) from two words of uniform bits, which give radius and angle.

    Cosine and sine are computed by their series to 1e-10: XLA's own functions take five times as long.
    """
    integer = lambda word: tf.cast(tf.bitcast(tf.cast(word, tf.uint32), tf.int32), dtype)
    # Not signed, so that small values keep all their digits; never 0, whose logarithm is infinite.
    share = integer(tf.bitwise.right_shift(first, tf.constant(1, tf.uint64))) * 2.0**-31 + 2.0**-32
    radius, turns = tf.sqrt(-2 * logarithm(share)), integer(second) * 2.0**-32
    half_turn = tf.round(2 * turns) / 2  # the nearest multiple of a half turn
    t, signed = turns - half_turn, radius * (1 - 4 * tf.abs(half_turn))
    return signed * fused.polynomial(COSINE, t * t), signed * t * fused.polynomial(SINE, t * t)


def logarithm(x: tf.Tensor) -> tf.Tensor:
    """log(x) for x in (0, 1], never above 0, to 1e-7 absolute, in half the time of XLA's own function."""
    if x.dtype != tf.float32:
        return tf.math.log(x)
    bits = tf.bitcast(x, tf.int32)
    exponent = tf.cast(tf.bitwise.right_shift(bits, 23) - 127, tf.float32)
    mantissa = tf.bitcast(tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, 0x7FFFFF), 0x3F800000), tf.float32)
    return tf.minimum(exponent * math.log(2) + fused.log1p(mantissa - 1), 0)
