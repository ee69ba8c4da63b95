"""The layers, each right to second order (TF1_BEHAVIOUR, "Traps on the way to the exact gradient")."""

import tensorflow as tf

from tf_metadrop.nn import fused

BATCH_NORM_EPSILON = 1e-3
LONG = 512  # rows


def conv(h, kernel, bias):
    """3x3 convolution, SAME, stride 1.

    Args:
      h: [..., batch, height, width, in].
      kernel: [3, 3, in, out], or [groups, 3, 3, in, out]: then h is [groups, ..., batch, height, width, in].
      bias: [out] or [groups, out].
    Returns:
      [..., batch, height, width, out].
    """
    return convs(h, (kernel, bias))[0]


def convs(h, *weights):
    """Several convolutions of one h: the result of `conv` for each (kernel, bias)."""
    if any(kernel.shape.rank == 5 for kernel, _ in weights):
        return group_convs(h, weights)
    flat = h if h.shape.rank == 4 else tf.reshape(h, [-1, *h.shape[-3:]])
    found = [add_bias(tf.nn.conv2d(flat, kernel, strides=1, padding="SAME"), bias) for kernel, bias in weights]
    return found if h.shape.rank == 4 else [tf.reshape(x, [*h.shape[:-1], x.shape[-1]]) for x in found]


def group_convs(h, weights):
    """`convs` where each group has its own kernels: one matrix product of 3x3 patches, fast on GPUs."""
    groups, (height, width, channels) = h.shape[0], h.shape[-3:]
    padded = tf.pad(h, [[0, 0]] * (h.shape.rank - 3) + [[1, 1], [1, 1], [0, 0]])
    patches = [padded[..., i : i + height, j : j + width, :] for i in range(3) for j in range(3)]
    rows = tf.reshape(tf.concat(patches, -1), [groups, -1, 9 * channels])
    own = [tf.broadcast_to(kernel, [groups, *kernel.shape[-4:]]) for kernel, _ in weights]
    x = product(rows, tf.reshape(tf.concat(own, -1), [groups, 9 * channels, -1]))
    parts = tf.split(x, [kernel.shape[-1] for kernel in own], -1)
    return [
        tf.reshape(part, [*h.shape[:-1], part.shape[-1]]) + spread(bias, h)
        for part, (_, bias) in zip(parts, weights, strict=True)
    ]


@tf.custom_gradient
def product(a, b):
    """Matrix products [groups, n, k] @ [groups, k, m], n much the largest."""
    return tf.matmul(a, b), lambda d: (product(d, tf.linalg.matrix_transpose(b)), long_product(a, d))


@tf.custom_gradient
def long_product(a, d):
    """Matrix products of the transposed a [groups, n, k] with d [groups, n, m], n much the largest: [groups, k, m].

    Cut along n, or a GPU has too few blocks to work on: several times slower.
    """
    groups, n, k = a.shape
    parts = next(parts for parts in range(max(n // LONG, 1), 0, -1) if n % parts == 0)
    cut = lambda t: tf.reshape(t, [groups, parts, n // parts, t.shape[-1]])
    total = tf.reduce_sum(tf.matmul(cut(a), cut(d), transpose_a=True), 1)
    return total, lambda u: (product(d, tf.linalg.matrix_transpose(u)), product(a, u))


def spread(v, x):
    """v [channels] or [groups, ..., channels], reshaped to be broadcast against x [groups, ..., channels]."""
    if v.shape.rank == 1:
        return v
    return tf.reshape(v, [*v.shape[:-1], *[1] * (x.shape.rank - v.shape.rank), v.shape[-1]])


@tf.custom_gradient
def add_bias(x, bias):
    """x [batch, height, width, channels] + bias [channels]."""

    def gradient(d):
        # Reshaped, or TensorFlow on a CPU fuses this sum into the kernel's gradient: 4 times slower in layer 1.
        return d, channel_sum(tf.reshape(d, [d.shape[0], -1, d.shape[-1]]))

    return tf.nn.bias_add(x, bias), gradient


def dense(f, kernel, bias):
    """f [..., batch, in], kernel [in, out] or [groups, in, out] -> [..., batch, out]."""
    if kernel.shape.rank == 3:  # or matmul would take the groups for an axis further in
        kernel = tf.reshape(kernel, [kernel.shape[0], *[1] * (f.shape.rank - 3), *kernel.shape[1:]])
    return tf.matmul(f, kernel) + spread(bias, f)


@tf.custom_gradient
def softplus(x):
    """log(1 + exp(x)). Its gradient is written as dy * sigmoid(x), whose own derivative needs no new exponential."""
    return tf.nn.softplus(x), lambda dy: dy * tf.sigmoid(x)


@tf.custom_gradient
def gate(mu, a):
    """mu * softplus(a), of tensors of one shape; can be differentiated twice."""
    x, s = fused.gate(mu, a)

    @tf.custom_gradient
    def gradient(mu, a, d):
        return fused.gate_gradient(mu, s, d), lambda u, v: fused.gate_second_gradient(mu, s, d, u, v)

    return x, lambda d: gradient(mu, a, d)


@tf.custom_gradient
def gate_first(mu, a):
    """`gate` for the first layer, where the inner loop needs no gradient with respect to a: it is not computed then."""
    x, s = fused.gate(mu, a)
    return x, lambda d: (gate_by_mu(d, a, s), gate_by_a(mu, a, s, d))


@tf.custom_gradient
def gate_by_mu(d, a, s):
    """d * s, where s = softplus(a)."""
    return d * tf.stop_gradient(s), lambda u: (*fused.gate_gradient(d, s, u), None)


@tf.custom_gradient
def gate_by_a(mu, a, s, d):
    """d * mu * sigmoid(a), where s = softplus(a)."""

    def gradient(v):
        by_mu, by_a, by_d = fused.gate_second_gradient(mu, s, d, tf.zeros_like(v), v)
        return by_mu, by_a, None, by_d

    return fused.gate_gradient_by_a(mu, s, d), gradient


def norm_relu_pool(x, beta):
    """max_pool(relu(batch_norm(x) + beta)): statistics of the batch at hand, biased variance, no scale.

    The pool comes first: subtracting the mean, dividing by the deviation, adding beta and the ReLU are all monotone, so
    the result is the same, and only a quarter of the map goes through them.

    Never take the statistics from `tf.nn.moments` (nor the Keras layer, which calls it): it stops the gradient of the
    mean inside the variance, which is right to first order and wrong to second.

    Args:
      x: [..., batch, height, width, channels].
      beta: [channels].
    Returns:
      [..., batch, height // 2, width // 2, channels].
    """
    pooled, mean, variance = pool_and_statistics(x)
    scale = tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
    # Plus -mean, not minus mean: its derivative would negate a whole map before adding it up.
    return tf.nn.relu((pooled + spread(-mean, x)) * spread(scale, x) + beta)


def norm_relu(x, beta):
    """relu(batch_norm(x) + beta), not pooled: `norm_relu_pool` in basic operations, for what has to come in between."""
    axes = [-4, -3, -2]
    centred = x - tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(centred**2, axes, keepdims=True)
    return tf.nn.relu(centred * tf.math.rsqrt(variance + BATCH_NORM_EPSILON) + beta)


def pool(x):
    """2x2 max-pool, stride 2, VALID, of x [..., height, width, channels]; can be differentiated twice."""
    a, b, c, d = fused.quarters(x)
    return tf.maximum(tf.maximum(a, b), tf.maximum(c, d))


@tf.custom_gradient
def permute(x, order):
    """x [..., batch, ...] in another order along its batch; order [..., batch] is a permutation in each group."""
    back = tf.argsort(order, -1)
    return tf.gather(x, order, batch_dims=order.shape.rank - 1), lambda d: (permute(d, back), None)


def pool_and_statistics(x):
    """2x2 maxima, mean and biased variance by channel of each batch in x; can be differentiated twice.

    Args:
      x: [..., batch, height, width, channels].
    Returns:
      ([..., batch, height // 2, width // 2, channels], [..., channels], [..., channels]).
    """
    n = float(x.shape[-4] * x.shape[-3] * x.shape[-2])

    @tf.custom_gradient
    def run(x):
        mean = channel_sum(x) / n
        variance = squares_sum(x, mean) / n
        pooled, place = max_pool(x)

        def gradient(d_pooled, d_mean, d_variance):
            # The mean taken here is run's own result, so that a second derivative meets d_mean and not another map.
            slope = 2 / n * d_variance
            return pool_and_affine_gradient(x, place, d_pooled, slope, 1 / n * d_mean - slope * results[1])

        return (pooled, mean, variance), gradient

    results = run(x)
    return results


def pool_and_affine_gradient(x, place, d_pooled, slope, offset):
    """d_pooled put back where the maxima of x were, plus x * slope + offset."""

    @tf.custom_gradient
    def run(x, d_pooled, slope, offset):
        def gradient(u):
            return u * spread(slope, x), max_pool_take(u, place), channel_dot(u, x), channel_sum(u)

        return fused.put_back(x, spread(slope, x), spread(offset, x), place, d_pooled), gradient

    return run(x, d_pooled, slope, offset)


def channel_sum(x):
    """Sum of x [..., batch, height, width, channels] over batch, height and width."""
    if x.shape.rank <= 4:
        return tf.raw_ops.BiasAddGrad(out_backprop=x)  # the fastest such sum on a CPU
    return tf.reduce_sum(x, [-4, -3, -2])


def channel_dot(x, y):
    """Sum of x * y [..., batch, height, width, channels] over batch, height and width."""
    return channel_sum(x * y) if x.shape.rank > 4 else tf.reduce_sum(fused.product_sums(x, y), 0)


def squares_sum(x, mean):
    """Sum of (x - mean)**2 over batch, height and width, for mean [..., channels]."""
    if x.shape.rank > 4:
        return channel_sum(tf.math.squared_difference(x, spread(mean, x)))
    return tf.reduce_sum(fused.squared_difference_sums(x, mean), 0)


@tf.custom_gradient
def constant_gradient(x):
    """Identity whose gradient is a constant to any further differentiation.

    Put before a batch norm, it leaves out every second-order term through that batch norm's backward pass, which is
    what TF 1.12 does inside tf.map_fn (TF1_BEHAVIOUR, "The meta-gradient is NOT the full second-order gradient").
    """
    return tf.identity(x), tf.stop_gradient


def max_pool(x):
    """2x2, stride 2, VALID: the maxima of x, and which of the four each is; see `fused.pool`."""
    return fused.pool(x)


def max_pool_take(u, place):
    """The elements of u where max_pool found the maxima."""
    return fused.take(u, place)


def cross_entropy(logits, labels):
    """Mean softmax cross-entropy in nats of logits [..., batch, way] against one-hot labels of this shape: [...]."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits), -1)


def accuracy(logits, labels):
    """Share of the batch where logits [..., batch, way] and one-hot labels have the same argmax: [...], in [0, 1]."""
    correct = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
    return tf.reduce_mean(tf.cast(correct, logits.dtype), -1)
