"""Layers, correct to second order (docs/reference/tf1_behaviour.md, "Traps on the way to the exact gradient")."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tf_metadrop.nn import fused
from tf_metadrop.nn.low_products import low_product

LONG = 512  # rows of a part: see `long_product`
# Time of the gradient of a bfloat16 convolution with respect to its kernel, in milliseconds, on an AMD EPYC with 2
# cores, for 20 and for 300 images and 64 filters. Each call of a TensorFlow function takes about 0.2 ms of it.
#
#   maps          28x28x1      14x14x64      7x7x64       3x3x64
#   bfloat16      0.33  1.68   0.73   7.05   0.42  2.46   0.34  1.02
#   float32       0.44  5.73   0.94  12.76   0.48  2.47   0.35  0.91   with the casts of the maps
#   3x3 patches   0.55  6.33   0.83  17.87   0.38  4.54   0.21  0.70   one matrix product
PATCHES_UP_TO = 9  # pixels of a map

Weights: TypeAlias = tuple[tf.Tensor, tf.Tensor | None]  # kernel and bias, if there is one
Differentiated: TypeAlias = tuple[Any, Callable[..., Any]]  # for `tf.custom_gradient`: a result, and its gradient


def conv(h: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """A 3x3 convolution with padding SAME and stride 1.

    Args:
      h: [..., batch, height, width, in].
      kernel: [3, 3, in, out], or [groups, 3, 3, in, out]; then h is [groups, ..., batch, height, width, in].
      bias: [out] or [groups, out]; None: no bias.
    Returns:
      [..., batch, height, width, out].
    """
    return convs(h, (kernel, bias))[0]


def convs(h: tf.Tensor, *weights: Weights) -> list[tf.Tensor]:
    """Several convolutions of the same h: the result of `conv` for each (kernel, bias)."""
    if any(kernel.shape.rank == 5 for kernel, _ in weights):
        return group_convs(h, weights)
    convolve = conv_bfloat16 if h.dtype == tf.bfloat16 else conv2d
    flat = h if h.shape.rank == 4 else tf.reshape(h, [-1, *h.shape[-3:]])
    found = [convolve(flat, kernel) for kernel, _ in weights]
    found = [x if bias is None else add_bias(x, bias) for x, (_, bias) in zip(found, weights, strict=True)]
    return found if h.shape.rank == 4 else [tf.reshape(x, [*h.shape[:-1], x.shape[-1]]) for x in found]


def conv2d(h: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """TensorFlow's convolution with padding SAME and stride 1."""
    return low_product(lambda h, kernel: tf.nn.conv2d(h, kernel, strides=1, padding="SAME"), h, kernel)


@tf.custom_gradient
def conv_bfloat16(h: tf.Tensor, kernel: tf.Tensor) -> Differentiated:
    """Convolves maps h in bfloat16 with a float32 kernel, which is rounded; bfloat16 [batch, height, width, out]."""
    x = conv2d(h, tf.cast(kernel, h.dtype))
    return x, lambda d: (conv_by_input(d, kernel, h.shape), conv_by_kernel(h, d, kernel.shape))


def conv_by_input(d: tf.Tensor, kernel: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """The gradient of `conv_bfloat16` with respect to h, which has this shape."""

    @tf.custom_gradient
    def run(d: tf.Tensor, kernel: tf.Tensor) -> Differentiated:
        by_input = lambda kernel, d: tf.compat.v1.nn.conv2d_backprop_input(shape, kernel, d, [1, 1, 1, 1], "SAME")
        h = low_product(by_input, tf.cast(kernel, d.dtype), d)
        return h, lambda u: (conv_bfloat16(u, kernel), conv_by_kernel(u, d, kernel.shape))

    return run(d, kernel)


def conv_by_kernel(h: tf.Tensor, d: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """The gradient of `conv_bfloat16` with respect to its kernel, which has this shape; in float32."""

    @tf.custom_gradient
    def run(h: tf.Tensor, d: tf.Tensor) -> Differentiated:
        if math.prod(h.shape[1:3]) <= PATCHES_UP_TO:
            g = matmul(tf.reshape(patches(h), [-1, 9 * h.shape[-1]]), tf.reshape(d, [-1, d.shape[-1]]), True)
            g = tf.reshape(g, shape)
        else:
            by_kernel = lambda h, d: tf.compat.v1.nn.conv2d_backprop_filter(h, shape, d, [1, 1, 1, 1], "SAME")
            g = low_product(by_kernel, h, d)
        return tf.cast(g, tf.float32), lambda w: (conv_by_input(d, w, h.shape), conv_bfloat16(h, w))

    return run(h, d)


def group_convs(
    h: tf.Tensor, weights: Sequence[Weights], patches_of: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> list[tf.Tensor]:
    """`convs` if each group has its own kernels: one matrix product of patches (`patches`), fast on GPUs."""
    groups, cut = h.shape[0], (patches_of or patches)(h)
    rows = tf.reshape(cut, [groups, -1, cut.shape[-1]])
    own = [tf.broadcast_to(tf.cast(kernel, h.dtype), [groups, *kernel.shape[-4:]]) for kernel, _ in weights]
    x = product(rows, tf.reshape(tf.concat(own, -1), [groups, cut.shape[-1], -1]))
    parts = tf.split(x, [kernel.shape[-1] for kernel in own], -1)
    found = [tf.reshape(part, [*cut.shape[:-1], part.shape[-1]]) for part in parts]
    return [x if bias is None else x + as_map(bias, x) for x, (_, bias) in zip(found, weights, strict=True)]


def pointwise(h: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A 1x1 convolution without bias.

    Args:
      h: [..., batch, height, width, in].
      kernel: [1, 1, in, out], or [groups, 1, 1, in, out]; then h is [groups, ..., batch, height, width, in].
    Returns:
      [..., batch, height, width, out].
    """
    rows = tf.reshape(h, [*h.shape[:-4], math.prod(h.shape[-4:-1]), h.shape[-1]])
    outer = [*kernel.shape[:-4], *[1] * (rows.shape.rank - 3)] if kernel.shape.rank == 5 else []
    x = matmul(rows, tf.reshape(tf.cast(kernel, h.dtype), [*outer, *kernel.shape[-2:]]))
    return tf.reshape(x, [*h.shape[:-1], kernel.shape[-1]])


def matmul(a: tf.Tensor, b: tf.Tensor, transpose_a: bool = False) -> tf.Tensor:
    """Matrix products a @ b, with a transposed or not."""
    return low_product(lambda a, b: tf.matmul(a, b, transpose_a), a, b)


def patches(h: tf.Tensor) -> tf.Tensor:
    """The inputs of a 3x3 convolution for each pixel: [..., height, width, 9 * channels], in the kernel's row order."""
    height, width = h.shape[-3:-1]
    padded = tf.pad(h, [[0, 0]] * (h.shape.rank - 3) + [[1, 1], [1, 1], [0, 0]])
    return tf.concat([padded[..., i : i + height, j : j + width, :] for i in range(3) for j in range(3)], -1)


def as_map(bias: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
    """`spread`, in the dtype of h; in bfloat16 as a whole map, so that its gradient is summed in float32."""
    if h.dtype == bias.dtype:
        return spread(bias, h)
    return tf.cast(tf.broadcast_to(spread(bias, h), [*h.shape[:-1], bias.shape[-1]]), h.dtype)


@tf.custom_gradient
def product(a: tf.Tensor, b: tf.Tensor) -> Differentiated:
    """Matrix products [groups, n, k] @ [groups, k, m], where n is by far the largest."""
    return matmul(a, b), lambda d: (product(d, tf.linalg.matrix_transpose(b)), long_product(a, d))


@tf.custom_gradient
def long_product(a: tf.Tensor, d: tf.Tensor) -> Differentiated:
    """Products of the transposed a [groups, n, k] with d [groups, n, m], n by far the largest: [groups, k, m].

    They are split along n: otherwise a GPU has too few blocks to work on, and is several times slower.
    """
    groups, n, k = a.shape
    parts = next(parts for parts in range(max(n // LONG, 1), 0, -1) if n % parts == 0)
    cut = lambda t: tf.reshape(t, [groups, parts, n // parts, t.shape[-1]])
    total = tf.reduce_sum(matmul(cut(a), cut(d), True), 1)
    return total, lambda u: (product(d, tf.linalg.matrix_transpose(u)), product(a, u))


def spread(v: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """v [channels] or [groups, ..., channels], reshaped to be broadcast against x [groups, ..., channels]."""
    if v.shape.rank == 1:
        return v
    return tf.reshape(v, [*v.shape[:-1], *[1] * (x.shape.rank - v.shape.rank), v.shape[-1]])


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor) -> Differentiated:
    """x [batch, height, width, channels] + bias [channels]."""

    def gradient(d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Without the reshape, TensorFlow on a CPU fuses this sum into the kernel's gradient: 4 times slower in layer 1.
        return d, channel_sum(d if d.dtype == tf.bfloat16 else tf.reshape(d, [d.shape[0], -1, d.shape[-1]]))

    return tf.nn.bias_add(x, tf.cast(bias, x.dtype)), gradient


def dense(f: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """A dense layer: f [..., batch, in], kernel [in, out] or [groups, in, out] -> [..., batch, out]."""
    if kernel.shape.rank == 3:  # otherwise matmul would match the groups with another axis
        kernel = tf.reshape(kernel, [kernel.shape[0], *[1] * (f.shape.rank - 3), *kernel.shape[1:]])
    x = tf.matmul(f, kernel)
    return x if bias is None else x + spread(bias, f)


def denses(f: tf.Tensor, *weights: Weights) -> list[tf.Tensor]:
    """Several dense layers of the same f: the result of `dense` for each (kernel, bias)."""
    return [dense(f, kernel, bias) for kernel, bias in weights]


@tf.custom_gradient
def softplus(x: tf.Tensor) -> Differentiated:
    """log(1 + exp(x)), with the gradient dy * sigmoid(x), whose own derivative needs no new exponential."""
    return tf.nn.softplus(x), lambda dy: dy * tf.sigmoid(x)


@tf.custom_gradient
def gate(mu: tf.Tensor, a: tf.Tensor) -> Differentiated:
    """mu * softplus(a) for tensors of the same shape; can be differentiated twice."""
    x, s = fused.gate(mu, a)

    @tf.custom_gradient
    def gradient(mu: tf.Tensor, a: tf.Tensor, d: tf.Tensor) -> Differentiated:
        return fused.gate_gradient(mu, s, d), lambda u, v: fused.gate_second_gradient(mu, s, d, u, v)

    return x, lambda d: gradient(mu, a, d)


@tf.custom_gradient
def gate_first(mu: tf.Tensor, a: tf.Tensor) -> Differentiated:
    """`gate` for the first layer; the inner loop needs no gradient with respect to a there, and computes none."""
    x, s = fused.gate(mu, a)
    return x, lambda d: (gate_by_mu(d, a, s), gate_by_a(mu, a, s, d))


@tf.custom_gradient
def gate_by_mu(d: tf.Tensor, a: tf.Tensor, s: tf.Tensor) -> Differentiated:
    """d * s, where s = softplus(a)."""
    return d * tf.stop_gradient(s), lambda u: (*fused.gate_gradient(d, s, u), None)


@tf.custom_gradient
def gate_by_a(mu: tf.Tensor, a: tf.Tensor, s: tf.Tensor, d: tf.Tensor) -> Differentiated:
    """d * mu * sigmoid(a), where s = softplus(a)."""

    def gradient(v: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        by_mu, by_a, by_d = fused.gate_second_gradient(mu, s, d, tf.zeros_like(v), v)
        return by_mu, by_a, None, by_d

    return fused.gate_gradient_by_a(mu, s, d), gradient


def pool(x: tf.Tensor) -> tf.Tensor:
    """A 2x2 max-pool, stride 2, VALID, of x [..., height, width, channels]; can be differentiated twice."""
    a, b, c, d = fused.quarters(x)
    return tf.maximum(tf.maximum(a, b), tf.maximum(c, d))


@tf.custom_gradient
def permute(x: tf.Tensor, order: tf.Tensor) -> Differentiated:
    """Reorders x [..., batch, ...] along its batch; order [..., batch] is a permutation for each group."""
    back = tf.argsort(order, -1)
    return tf.gather(x, order, batch_dims=order.shape.rank - 1), lambda d: (permute(d, back), None)


def reshape_flat(h: tf.Tensor) -> tf.Tensor:
    """Flattens maps h [..., height, width, channels] to features [..., height * width * channels]."""
    return tf.reshape(h, [*h.shape[:-3], h.shape[-3] * h.shape[-2] * h.shape[-1]])


def up(x: tf.Tensor) -> tf.Tensor:
    """Casts maps in bfloat16 to float32."""
    return tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x


def channel_sum(x: tf.Tensor) -> tf.Tensor:
    """Sum of x [..., batch, height, width, channels] over batch, height and width."""
    if x.shape.rank > 4:
        return tf.reduce_sum(up(x), [-4, -3, -2])
    if x.dtype == tf.bfloat16:
        return channel_sum_of_bfloat16(x)
    return tf.raw_ops.BiasAddGrad(out_backprop=x)  # the fastest such sum on a CPU


@tf.custom_gradient
def channel_sum_of_bfloat16(x: tf.Tensor) -> Differentiated:
    """Sum of x over batch, height and width, computed in float32; BiasAddGrad would sum in bfloat16."""
    total = tf.reduce_sum(fused.row_sums(x), [0, 1])
    return total, lambda d: tf.cast(tf.broadcast_to(d, x.shape), x.dtype)


@tf.custom_gradient
def constant_gradient(x: tf.Tensor) -> Differentiated:
    """The identity, with a gradient that is a constant for any further differentiation.

    Before a batch norm, it removes all second-order terms through the backward pass of that batch norm. TF 1.12 does
    the same inside tf.map_fn: docs/reference/tf1_behaviour.md, "The meta-gradient is NOT the full second-order
    gradient".
    """
    return tf.identity(x), tf.stop_gradient


def max_pool(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A 2x2 max-pool, stride 2, VALID: the maxima of x and the place of each; see `fused.pool`."""
    return fused.pool(x)


def max_pool_take(u: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """The elements of u at the places of the maxima; see `max_pool`."""
    return fused.take(u, place)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean softmax cross-entropy in nats of logits [..., batch, way] against one-hot labels of this shape: [...]."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits), -1)


def accuracy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Fraction of the batch for which logits [..., batch, way] and labels have the same argmax: [...], in [0, 1]."""
    correct = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
    return tf.reduce_mean(tf.cast(correct, logits.dtype), -1)
