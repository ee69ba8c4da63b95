"""Elementwise arithmetic on whole feature maps, each kernel one pass over memory.

On a CPU a meta-training step spends more time in such passes than in convolutions when every multiplication is an
operation of its own, so XLA compiles each of these into one loop. They are plain functions of tensors: XLA would
differentiate them one operation at a time, so `ops` gives them their derivatives.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

# Of log(1 + z) / z on [0, 1], right to 1e-9: numpy.polynomial.Chebyshev.interpolate(f, 10, [0, 1])
LOG1P = (
    0.999999999156, -0.499999794914, 0.333324975431, -0.249864964542, 0.198858202547,
    -0.160876229039, 0.123779956401, -0.0818804061412, 0.0410065711263, -0.0131878253768,
    0.00198669635839,
)  # fmt: skip
ROUGH_EXP2 = (0.999924557, 0.693136734, 0.242639479, 0.0558382829)  # of 2**x on [-1/2, 1/2]
ROUGH_LOG1P = (0.999936822, -0.496788748, 0.305399977, -0.156029527, 0.0406634376)
SMALLEST = 2**15  # elements; below it starting a compiled kernel, and compiling it, costs more than it saves


def kernel(
    function: Callable[..., Any], down: bool = True, low: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """`function` compiled by XLA where its first argument has a large static shape; nothing is differentiated.

    Of maps in bfloat16 it computes in float32.

    Args:
      down: whether its results are maps too, in bfloat16 then; sums are not.
      low: what stands for it there; None: itself.
    """

    def computed(*args: tf.Tensor) -> Any:
        if all(arg.dtype != tf.bfloat16 for arg in args):
            return function(*args)
        found = (low or function)(*[tf.cast(arg, tf.float32) if arg.dtype == tf.bfloat16 else arg for arg in args])
        as_map = lambda t: tf.cast(t, tf.bfloat16) if down and t.dtype == tf.float32 else t
        return tf.nest.map_structure(as_map, found)

    compiled = tf.function(computed, jit_compile=True, autograph=False)

    @tf.custom_gradient
    def run(*args: tf.Tensor) -> Any:
        # A tape that watched the arguments would make the compiled function return all its intermediate results.
        return compiled(*[tf.stop_gradient(arg) for arg in args]), no_gradient

    def call(*args: tf.Tensor) -> Any:
        if args[0].shape.num_elements() < SMALLEST:
            return computed(*args)
        compile_ahead(compiled, *args)
        return run(*args)

    call.__doc__ = function.__doc__
    return call


def no_gradient(*_: tf.Tensor) -> None:
    """Of a compiled kernel; else one that was forgotten would be zero without a word."""
    raise LookupError("a compiled kernel was differentiated: what calls it needs a gradient of its own")


sums = partial(kernel, down=False)


def exp_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` of a function with an argument `exp`: a rougher one for maps in bfloat16."""
    return kernel(function, low=partial(function, exp=rough_exp))


class BackgroundCompilation:
    """While a step is traced, XLA compiles its kernels in another thread; else each waits for its first use.

    A context manager, of the thread that enters it alone: what `compile_ahead` is given inside is compiled, if that is
    wanted (not where XLA compiles the whole step). Leaving it does not wait.
    """

    def __init__(self, wanted: bool = True):
        self.wanted, self.pool = wanted, concurrent.futures.ThreadPoolExecutor(1)
        self.seen: set[tuple[Any, ...]] = set()

    def __enter__(self) -> None:
        self._token = _background.set(self if self.wanted else None)

    def __exit__(self, *exception: object) -> None:
        _background.reset(self._token)
        self.pool.shutdown(wait=False)


_background: contextvars.ContextVar[BackgroundCompilation | None] = contextvars.ContextVar("background", default=None)


def compile_ahead(compiled: Callable[..., Any], *args: tf.Tensor) -> None:
    """Has `compiled`, a function of these tensors, called on zeros like them."""
    background, like = _background.get(), tuple((tuple(a.shape), a.dtype) for a in args)
    if background and (compiled, like) not in background.seen:
        background.seen.add((compiled, like))
        background.pool.submit(run_on_zeros, compiled, like)


def run_on_zeros(compiled: Callable[..., Any], like: Sequence[tuple[tuple[int, ...], tf.DType]]) -> None:
    """Calls it through a function, as a step does: what TensorFlow compiles for a call by itself is kept apart."""
    call = tf.function(lambda *args: compiled(*args), autograph=False)
    call = call.get_concrete_function(*[tf.TensorSpec(*a) for a in like])
    call(*[tf.zeros(*a) for a in like])


def polynomial(coefficients: Sequence[float], x: tf.Tensor) -> tf.Tensor:
    """Horner's rule; the constant comes first."""
    total = tf.constant(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def log1p(z: tf.Tensor) -> tf.Tensor:
    """log(1 + z) for z in [0, 1]. In float32 without the special cases that make XLA's own twice as slow."""
    return z * polynomial(LOG1P, z) if z.dtype == tf.float32 else tf.math.log1p(z)


def rough_exp(x: tf.Tensor) -> tf.Tensor:
    """exp(x) for x <= 0, right to 1e-4: for results in bfloat16, whose steps are 40 times as large."""
    x = tf.maximum(x * (1 / math.log(2)), -126)
    whole = tf.round(x)
    scale = tf.bitcast(tf.bitwise.left_shift(tf.cast(whole, tf.int32) + 127, 23), tf.float32)
    return polynomial(ROUGH_EXP2, x - whole) * scale


def rough_softplus(a: tf.Tensor) -> tf.Tensor:
    """`softplus`, right to 2e-4 of it."""
    z = rough_exp(-tf.abs(a))
    return tf.maximum(a, 0) + z * polynomial(ROUGH_LOG1P, z)


@partial(kernel, low=rough_softplus)
def softplus(a: tf.Tensor) -> tf.Tensor:
    """log(1 + exp(a)), in float32 right to 3e-7 absolute: enough for what a batch norm of epsilon 1e-3 will divide."""
    return tf.maximum(a, 0) + log1p(tf.exp(-tf.abs(a)))


def gate(mu: tf.Tensor, a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(mu * s, s) with s = softplus(a); all arguments here and below have one shape."""
    s = softplus(a)
    return mu * s, s


def gate_gradient(mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of sum(d * mu * softplus(a)) with respect to mu and a. The slope of softplus is 1 - exp(-s)."""
    return d * s, gate_gradient_by_a(mu, s, d)


@exp_kernel
def gate_gradient_by_a(mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor, exp: Any = tf.exp) -> tf.Tensor:
    """The second of gate_gradient's results."""
    return d * mu * (1 - exp(-s))


@exp_kernel
def gate_second_gradient(
    mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor, u: tf.Tensor, v: tf.Tensor, exp: Any = tf.exp
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gradients of sum(u * d_mu + v * d_a), where d_mu, d_a = gate_gradient(mu, s, d), by mu, a and d."""
    rest = exp(-s)
    vs = v * (1 - rest)
    return vs * d, d * (1 - rest) * (u + mu * v * rest), u * s + vs * mu


# Sums over one axis alone: of two, XLA would write the whole map of what is to be added up, in float32.


@sums
def row_sums(x: tf.Tensor) -> tf.Tensor:
    """Sum of x [batch, height, width, channels] over height: [batch, width * channels]."""
    batch, height, width, channels = x.shape
    return tf.reduce_sum(tf.reshape(x, [batch, height, width * channels]), 1)


@sums
def squared_difference_sums(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    """Sum of (x - mean)**2 over width, [batch, height, channels]."""
    return tf.reduce_sum(tf.math.squared_difference(x, mean), 2)


@sums
def product_sums(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The same of x * y."""
    return tf.reduce_sum(x * y, 2)


@kernel
def pool(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """2x2 maxima of x [..., height, width, channels], and which of the four each is (the first), int8."""
    a, b, c, d = quarters(x)
    pooled = tf.maximum(tf.maximum(a, b), tf.maximum(c, d))
    place = tf.where(a == pooled, 0, tf.where(b == pooled, 1, tf.where(c == pooled, 2, 3)))
    return pooled, tf.cast(place, tf.int8)


@kernel
def take(u: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The elements of u [..., height, width, channels] at `place`, see `pool`."""
    a, b, c, d = quarters(u)
    return tf.where(place == 0, a, tf.where(place == 1, b, tf.where(place == 2, c, d)))


@kernel
def put_back(x: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor, place: tf.Tensor, d_pooled: tf.Tensor) -> tf.Tensor:
    """x * slope + offset, plus d_pooled at `place`, see `pool`; slope and offset can be broadcast against x."""
    *outer, height, width, channels = x.shape
    row, column = height // 2, width // 2
    number = tf.reshape(tf.constant([0, 1, 2, 3], tf.int8), [2, 1, 2, 1])
    up = lambda t: tf.reshape(t, [*outer, row, 1, column, 1, channels])
    put = tf.where(up(place) == number, up(d_pooled), tf.zeros([], x.dtype))
    put = tf.reshape(put, [*outer, 2 * row, 2 * column, channels])
    if (height, width) != (2 * row, 2 * column):
        put = tf.pad(put, [[0, 0]] * len(outer) + [[0, height % 2], [0, width % 2], [0, 0]])
    return x * slope + offset + put


def quarters(x: tf.Tensor) -> list[tf.Tensor]:
    """The four elements of every 2x2 window, row by row: 4 tensors [..., height // 2, width // 2, channels]."""
    height, width = x.shape[-3] // 2 * 2, x.shape[-2] // 2 * 2
    return [x[..., i:height:2, j:width:2, :] for i in (0, 1) for j in (0, 1)]
