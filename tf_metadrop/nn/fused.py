"""Elementwise arithmetic on whole feature maps; each compiled kernel is one pass over memory.

If every multiplication is a separate operation, a meta-training step on a CPU spends more time in such passes than in
convolutions. XLA therefore compiles each of these functions into one loop. The functions have no gradients, because
XLA would differentiate one operation at a time: `layers` defines the gradients.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

# Coefficients of log(1 + z) / z on [0, 1], to 1e-9: numpy.polynomial.Chebyshev.interpolate(f, 10, [0, 1])
LOG1P = (
    0.999999999156, -0.499999794914, 0.333324975431, -0.249864964542, 0.198858202547,
    -0.160876229039, 0.123779956401, -0.0818804061412, 0.0410065711263, -0.0131878253768,
    0.00198669635839,
)  # fmt: skip
ROUGH_EXP2 = (0.999924557, 0.693136734, 0.242639479, 0.0558382829)  # of 2**x on [-1/2, 1/2]
ROUGH_LOG1P = (0.999936822, -0.496788748, 0.305399977, -0.156029527, 0.0406634376)
SMALLEST = 2**15  # elements; for fewer, compiling and starting a kernel costs more time than it saves


def kernel(
    function: Callable[..., Any], down: bool = True, low: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """Compiles `function` with XLA if its first argument has a large static shape; the result has no gradient.

    With maps in bfloat16 it computes in float32.

    Args:
      function: a function of tensors.
      down: whether the results are maps too, and are cast to bfloat16 with the arguments; sums are not.
      low: the function to use for maps in bfloat16; None: the same function.
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
        # If a tape watched the arguments, the compiled function would return all its intermediate results.
        return compiled(*[tf.stop_gradient(arg) for arg in args]), no_gradient

    def call(*args: tf.Tensor) -> Any:
        if args[0].shape.num_elements() < SMALLEST:
            return computed(*args)
        compile_ahead(compiled, *args)
        return run(*args)

    call.__doc__ = function.__doc__
    return call


def no_gradient(*_: tf.Tensor) -> None:
    """The gradient of a compiled kernel: an error, since a missing gradient would otherwise silently be zero."""
    raise LookupError("a compiled kernel was differentiated: define a gradient for the function that calls it")


sums = partial(kernel, down=False)


def exp_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` of a function with an argument `exp`, which is a less exact one for maps in bfloat16."""
    return kernel(function, low=partial(function, exp=rough_exp))


class BackgroundCompilation:
    """A context manager: while a step is traced in it, another thread compiles the step's kernels with XLA.

    Without it, each kernel is compiled at its first use. The functions that `compile_ahead` gets inside are compiled if
    `wanted` is true; it is false if XLA compiles the whole step. The context manager affects only the thread that
    enters it, and does not wait at its end.
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
    """Has a compiled function of these tensors called in the background, on zeros of their shapes and dtypes."""
    background, like = _background.get(), tuple((tuple(a.shape), a.dtype) for a in args)
    if background and (compiled, like) not in background.seen:
        background.seen.add((compiled, like))
        background.pool.submit(run_on_zeros, compiled, like)


def run_on_zeros(compiled: Callable[..., Any], like: Sequence[tuple[tuple[int, ...], tf.DType]]) -> None:
    """Calls `compiled` inside another function, as a step does: TensorFlow caches a direct call separately."""
    call = tf.function(lambda *args: compiled(*args), autograph=False)
    call = call.get_concrete_function(*[tf.TensorSpec(*a) for a in like])
    call(*[tf.zeros(*a) for a in like])


def polynomial(coefficients: Sequence[float], x: tf.Tensor) -> tf.Tensor:
    """Evaluates a polynomial by Horner's rule; the constant coefficient comes first."""
    total = tf.constant(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def log1p(z: tf.Tensor) -> tf.Tensor:
    """log(1 + z) for z in [0, 1]; in float32 twice as fast as XLA's log1p, which handles special cases."""
    return z * polynomial(LOG1P, z) if z.dtype == tf.float32 else tf.math.log1p(z)


def rough_exp(x: tf.Tensor) -> tf.Tensor:
    """exp(x) for x <= 0 to a precision of 1e-4, for results in bfloat16, whose steps are 40 times as large."""
    x = tf.maximum(x * (1 / math.log(2)), -126)
    whole = tf.round(x)
    scale = tf.bitcast(tf.bitwise.left_shift(tf.cast(whole, tf.int32) + 127, 23), tf.float32)
    return polynomial(ROUGH_EXP2, x - whole) * scale


def rough_softplus(a: tf.Tensor) -> tf.Tensor:
    """softplus(a) to a relative precision of 2e-4."""
    z = rough_exp(-tf.abs(a))
    return tf.maximum(a, 0) + z * polynomial(ROUGH_LOG1P, z)


@partial(kernel, low=rough_softplus)
def softplus(a: tf.Tensor) -> tf.Tensor:
    """log(1 + exp(a)), in float32 to 3e-7 absolute, which is enough before a batch norm with epsilon 1e-3."""
    return tf.maximum(a, 0) + log1p(tf.exp(-tf.abs(a)))


def gate(mu: tf.Tensor, a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(mu * s, s) with s = softplus(a); all arguments here and below have the same shape."""
    s = softplus(a)
    return mu * s, s


def gate_gradient(mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of sum(d * mu * softplus(a)) with respect to mu and a; the slope of softplus is 1 - exp(-s)."""
    return d * s, gate_gradient_by_a(mu, s, d)


@exp_kernel
def gate_gradient_by_a(mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor, exp: Any = tf.exp) -> tf.Tensor:
    """The second result of `gate_gradient`."""
    return d * mu * (1 - exp(-s))


@exp_kernel
def gate_second_gradient(
    mu: tf.Tensor, s: tf.Tensor, d: tf.Tensor, u: tf.Tensor, v: tf.Tensor, exp: Any = tf.exp
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gradients of sum(u * d_mu + v * d_a) with respect to mu, a and d, where d_mu, d_a = gate_gradient(mu, s, d)."""
    rest = exp(-s)
    vs = v * (1 - rest)
    return vs * d, d * (1 - rest) * (u + mu * v * rest), u * s + vs * mu


# Partial sums over one axis only: for sums over two axes, or over more than 32 numbers, XLA would first write the whole
# map in float32.


def part(length: int, longest: int = 32) -> int:
    """The largest divisor of an axis' length up to `longest`; the length itself if that would be less than 4."""
    found = max(n for n in range(1, longest + 1) if length % n == 0)
    return found if found >= 4 else length


def column_sums(x: tf.Tensor) -> tf.Tensor:
    """Partial sums of x [batch, height, width, channels] over width: [batch, height * parts, channels]."""
    batch, height, width, channels = x.shape
    n = part(width, 24)  # in bfloat16, sums of 28 products take almost three times as long as sums of 14 do
    return tf.reduce_sum(tf.reshape(x, [batch, height * width // n, n, channels]), 2)


@sums
def row_sums(x: tf.Tensor) -> tf.Tensor:
    """Partial sums of x [batch, height, width, channels] over height: [batch, parts * width, channels]."""
    batch, height, width, channels = x.shape
    n = part(height)
    rows = tf.reshape(x, [batch, height // n, n, width * channels])
    return tf.reshape(tf.reduce_sum(rows, 2), [batch, -1, channels])


@sums
def squared_difference_sums(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    """`column_sums` of (x - mean)**2, for a mean that can be broadcast against x."""
    return column_sums(tf.math.squared_difference(x, mean))


@sums
def product_sums(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """`column_sums` of x * y."""
    return column_sums(x * y)


@kernel
def relu_affine(x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """relu((x + shift) * scale + offset); for this and the next functions see affine.py."""
    return tf.maximum((x + shift) * scale + offset, 0)


@kernel
def passed_product(y: tf.Tensor, d: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """d * scale where y > 0, otherwise 0."""
    return tf.where(y > 0, d * scale, tf.zeros([], d.dtype))


@kernel
def passed_affine(y: tf.Tensor, x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """(x + shift) * scale where y > 0, otherwise 0."""
    return tf.where(y > 0, (x + shift) * scale, tf.zeros([], x.dtype))


@sums
def passed_sums(y: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    """`column_sums` of d where y > 0."""
    return column_sums(tf.where(y > 0, d, tf.zeros([], d.dtype)))


@sums
def passed_dots(y: tf.Tensor, d: tf.Tensor, x: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """`column_sums` of d * (x + shift) where y > 0."""
    return column_sums(tf.where(y > 0, d * (x + shift), tf.zeros([], d.dtype)))


@kernel
def pool(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """2x2 maxima of x [..., height, width, channels], and the place of each (the first of four), 0..3 in int8."""
    a, b, c, d = quarters(x)
    pooled = tf.maximum(tf.maximum(a, b), tf.maximum(c, d))
    place = tf.where(a == pooled, 0, tf.where(b == pooled, 1, tf.where(c == pooled, 2, 3)))
    return pooled, tf.cast(place, tf.int8)


@kernel
def take(u: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The elements of u [..., height, width, channels] at `place`; see `pool`."""
    a, b, c, d = quarters(u)
    return tf.where(place == 0, a, tf.where(place == 1, b, tf.where(place == 2, c, d)))


@kernel
def put_back(x: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor, place: tf.Tensor, d_pooled: tf.Tensor) -> tf.Tensor:
    """x * slope + offset, plus d_pooled at `place` (see `pool`); slope and offset can be broadcast against x."""
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
