"""Elementwise arithmetic on whole feature maps, each kernel one pass over memory.

On a CPU a meta-training step spends more time in such passes than in convolutions when every multiplication is an
operation of its own, so XLA compiles each of these into one loop. They are plain functions of tensors: XLA would
differentiate them one operation at a time, so `ops` gives them their derivatives.
"""

import tensorflow as tf

SMALLEST = 2**15  # elements; below it starting a compiled kernel, and compiling it, costs more than it saves


def kernel(function):
    """`function` compiled by XLA where its first argument has a large static shape; nothing is differentiated."""
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def call(*args):
        if args[0].shape.num_elements() < SMALLEST:
            return function(*args)
        # A tape that watched the arguments would make the compiled function return all its intermediate results.
        return compiled(*[tf.stop_gradient(arg) for arg in args])

    call.__doc__ = function.__doc__
    return call


@kernel
def gate(mu, a):
    """(mu * s, s) with s = softplus(a); all arguments here and below have one shape.

    s is right to 1e-7 absolute in float32, not relative: it multiplies what a batch norm of epsilon 1e-3 will divide.
    """
    s = tf.maximum(a, 0) + tf.math.log(1 + tf.exp(-tf.abs(a)))
    return mu * s, s


@kernel
def gate_gradient(mu, s, d):
    """Gradients of sum(d * mu * softplus(a)) with respect to mu and a. The slope of softplus is 1 - exp(-s)."""
    return d * s, d * mu * (1 - tf.exp(-s))


@kernel
def gate_gradient_by_a(mu, s, d):
    """The second of gate_gradient's results."""
    return d * mu * (1 - tf.exp(-s))


@kernel
def gate_second_gradient(mu, s, d, u, v):
    """Gradients of sum(u * d_mu + v * d_a), where d_mu, d_a = gate_gradient(mu, s, d), by mu, a and d."""
    rest = tf.exp(-s)
    vs = v * (1 - rest)
    return vs * d, d * (1 - rest) * (u + mu * v * rest), u * s + vs * mu


@kernel
def pool(x):
    """2x2 maxima of x [..., height, width, channels], and which of the four each is (the first), int8."""
    a, b, c, d = quarters(x)
    pooled = tf.maximum(tf.maximum(a, b), tf.maximum(c, d))
    place = tf.where(a == pooled, 0, tf.where(b == pooled, 1, tf.where(c == pooled, 2, 3)))
    return pooled, tf.cast(place, tf.int8)


@kernel
def take(u, place):
    """The elements of u [..., height, width, channels] at `place`, see `pool`."""
    a, b, c, d = quarters(u)
    return tf.where(place == 0, a, tf.where(place == 1, b, tf.where(place == 2, c, d)))


@kernel
def put_back(x, slope, offset, place, d_pooled):
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


def quarters(x):
    """The four elements of every 2x2 window, row by row: 4 tensors [..., height // 2, width // 2, channels]."""
    height, width = x.shape[-3] // 2 * 2, x.shape[-2] // 2 * 2
    return [x[..., i:height:2, j:width:2, :] for i in (0, 1) for j in (0, 1)]
