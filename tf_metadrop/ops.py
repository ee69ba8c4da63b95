"""The layers, each right to second order (TF1_BEHAVIOUR, "Traps on the way to the exact gradient")."""

import tensorflow as tf

BATCH_NORM_EPSILON = 1e-3


def conv(h, kernel, bias):
    """3x3 convolution, SAME, stride 1: [batch, height, width, in] -> [batch, height, width, out]."""
    return tf.nn.bias_add(tf.nn.conv2d(h, kernel, strides=1, padding="SAME"), bias)


def dense(f, kernel, bias):
    """[batch, in] -> [batch, out]."""
    return tf.matmul(f, kernel) + bias


@tf.custom_gradient
def softplus(x):
    """log(1 + exp(x)). Its gradient is written as dy * sigmoid(x), whose own derivative needs no new exponential."""
    return tf.nn.softplus(x), lambda dy: dy * tf.sigmoid(x)


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
    mean, variance = statistics(x, channel_mean(x))
    scale = tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
    return tf.nn.relu((max_pool(x) - mean) * scale + beta)


def channel_mean(x):
    """Mean over all axes but the last. BiasAddGrad is the fastest such sum on a CPU, and has a gradient itself."""
    return tf.raw_ops.BiasAddGrad(out_backprop=x) / per_channel(x)


def per_channel(x) -> float:
    """How many numbers of x [batch, height, width, channels] a channel has."""
    return float(x.shape[0] * x.shape[1] * x.shape[2])


@tf.custom_gradient
def statistics(x, mean):
    """(mean, biased variance) by channel of x [batch, height, width, channels], where `mean` is channel_mean(x).

    The gradient is that of both with respect to x alone, in one expression: mean is a function of x. That expression
    contains mean, so a second derivative does go through channel_mean.
    """
    variance = channel_mean(tf.math.squared_difference(x, mean))

    def gradient(d_mean, d_variance):
        slope = 2.0 * d_variance / per_channel(x)
        return x * slope + (d_mean / per_channel(x) - slope * mean), None

    return (tf.identity(mean), variance), gradient


@tf.custom_gradient
def constant_gradient(x):
    """Identity whose gradient is a constant to any further differentiation.

    Put before a batch norm, it leaves out every second-order term through that batch norm's backward pass, which is
    what TF 1.12 does inside tf.map_fn (TF1_BEHAVIOUR, "The meta-gradient is NOT the full second-order gradient").
    """
    return tf.identity(x), tf.stop_gradient


def max_pool(h):
    """2x2, stride 2, VALID."""
    return tf.nn.max_pool2d(h, 2, 2, "VALID")


def cross_entropy(logits, labels):
    """Mean softmax cross-entropy of logits [batch, way] against one-hot labels [batch, way]: a scalar, in nats."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def accuracy(logits, labels):
    """Share of rows where logits [batch, way] and one-hot labels [batch, way] have the same argmax: in [0, 1]."""
    correct = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
    return tf.reduce_mean(tf.cast(correct, logits.dtype))
