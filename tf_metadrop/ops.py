"""The layers, each right to second order (TF1_BEHAVIOUR, "Traps on the way to the exact gradient")."""

import tensorflow as tf

from tf_metadrop import kernels

BATCH_NORM_EPSILON = 1e-3


def conv(h, kernel, bias):
    """3x3 convolution, SAME, stride 1: [batch, height, width, in] -> [batch, height, width, out]."""
    return add_bias(tf.nn.conv2d(h, kernel, strides=1, padding="SAME"), bias)


@tf.custom_gradient
def add_bias(x, bias):
    """x [batch, height, width, channels] + bias [channels]."""

    def gradient(d):
        # Reshaped, or TensorFlow on a CPU fuses this sum into the kernel's gradient: 4 times slower in layer 1.
        return d, channel_sum(tf.reshape(d, [d.shape[0], -1, d.shape[-1]]))

    return tf.nn.bias_add(x, bias), gradient


def dense(f, kernel, bias):
    """[batch, in] -> [batch, out]."""
    return tf.matmul(f, kernel) + bias


@tf.custom_gradient
def softplus(x):
    """log(1 + exp(x)). Its gradient is written as dy * sigmoid(x), whose own derivative needs no new exponential."""
    return tf.nn.softplus(x), lambda dy: dy * tf.sigmoid(x)


@tf.custom_gradient
def gate(mu, a):
    """mu * softplus(a), of tensors of one shape; can be differentiated twice."""
    x, s = kernels.gate(mu, a)

    @tf.custom_gradient
    def gradient(mu, a, d):
        return kernels.gate_gradient(mu, s, d), lambda u, v: kernels.gate_second_gradient(mu, s, d, u, v)

    return x, lambda d: gradient(mu, a, d)


def norm_relu_pool(x, beta):
    """max_pool(relu(batch_norm(x) + beta)): statistics of the batch at hand, biased variance, no scale.

    The pool comes first: subtracting the mean, dividing by the deviation, adding beta and the ReLU are all monotone, so
    the result is the same, and only a quarter of the map goes through them.

    Never take the statistics from `tf.nn.moments` (nor the Keras layer, which calls it): it stops the gradient of the
    mean inside the variance, which is right to first order and wrong to second.

    Args:
      x: [batch, height, width, channels].
      beta: [channels].
    Returns:
      [batch, height // 2, width // 2, channels].
    """
    pooled, mean, variance = pool_and_statistics(x)
    scale = tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
    return tf.nn.relu((pooled - mean) * scale + beta)


def pool_and_statistics(x):
    """2x2 maxima, mean and biased variance by channel of x; can be differentiated twice.

    Args:
      x: [batch, height, width, channels].
    Returns:
      ([batch, height // 2, width // 2, channels], [channels], [channels]).
    """
    n = float(x.shape[0] * x.shape[1] * x.shape[2])

    @tf.custom_gradient
    def run(x):
        mean = channel_sum(x) / n
        variance = channel_sum(tf.math.squared_difference(x, mean)) / n
        pooled = max_pool(x)

        def gradient(d_pooled, d_mean, d_variance):
            # The mean taken here is run's own result, so that a second derivative meets d_mean and not another map.
            slope = 2 / n * d_variance
            return pool_and_affine_gradient(x, pooled, d_pooled, slope, d_mean / n - slope * results[1])

        return (pooled, mean, variance), gradient

    results = run(x)
    return results


@tf.custom_gradient
def pool_and_affine_gradient(x, pooled, d_pooled, slope, offset):
    """d_pooled put back where the maxima of x were, plus x * slope + offset."""
    put_back = max_pool_gradient(x, pooled, d_pooled)

    def gradient(u):
        chosen = max_pool_gradient(x, pooled, tf.ones_like(pooled))  # 1 where x is the maximum, 0 elsewhere
        u_pooled = 4 * tf.nn.avg_pool2d(u * chosen, 2, 2, "VALID")
        return u * slope, None, u_pooled, channel_dot(u, x), channel_sum(u)

    return kernels.scale_and_add(x, slope, offset, put_back), gradient


def channel_sum(x):
    """Sum over all axes but the last. BiasAddGrad is the fastest such sum on a CPU."""
    return tf.raw_ops.BiasAddGrad(out_backprop=x)


def channel_dot(x, y):
    """Sum of x * y [batch, height, width, channels] over all axes but the last."""
    return channel_sum(x * y)


@tf.custom_gradient
def constant_gradient(x):
    """Identity whose gradient is a constant to any further differentiation.

    Put before a batch norm, it leaves out every second-order term through that batch norm's backward pass, which is
    what TF 1.12 does inside tf.map_fn (TF1_BEHAVIOUR, "The meta-gradient is NOT the full second-order gradient").
    """
    return tf.identity(x), tf.stop_gradient


def max_pool(x):
    """2x2, stride 2, VALID."""
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def max_pool_gradient(x, pooled, d_pooled):
    """d_pooled at the first maximum of each 2x2 window of x, 0 elsewhere: the shape of x."""
    window = dict(ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
    return tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=pooled, grad=d_pooled, **window)


def cross_entropy(logits, labels):
    """Mean softmax cross-entropy of logits [batch, way] against one-hot labels [batch, way]: a scalar, in nats."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def accuracy(logits, labels):
    """Share of rows where logits [batch, way] and one-hot labels [batch, way] have the same argmax: in [0, 1]."""
    correct = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
    return tf.reduce_mean(tf.cast(correct, logits.dtype))
