"""Elementwise arithmetic on whole feature maps, each kernel one pass over memory.

On a CPU a meta-training step spends more time in such passes than in convolutions when every multiplication is an
operation of its own, so XLA compiles each of these into one loop. They are plain functions of tensors: XLA would
differentiate them one operation at a time, so `ops` gives them their derivatives.
"""

import tensorflow as tf

SMALLEST = 2**18  # elements; below it starting a compiled kernel, and compiling it, costs more than it saves


def kernel(function):
    """`function` compiled by XLA where its first argument has a large static shape; nothing is differentiated."""
    compiled = tf.function(function, jit_compile=True, autograph=False)

    def call(*args):
        # A tape that watched the arguments would make the compiled function return all its intermediate results.
        args = [tf.stop_gradient(arg) for arg in args]
        return (compiled if args[0].shape.num_elements() >= SMALLEST else function)(*args)

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
def gate_second_gradient(mu, s, d, u, v):
    """Gradients of sum(u * d_mu + v * d_a), where d_mu, d_a = gate_gradient(mu, s, d), by mu, a and d."""
    rest = tf.exp(-s)
    vs = v * (1 - rest)
    return vs * d, d * (1 - rest) * (u + mu * v * rest), u * s + vs * mu


@kernel
def scale_and_add(x, slope, offset, y):
    """x * slope + offset + y, with slope and offset [channels]."""
    return x * slope + offset + y
