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


def batch_norm(x, beta):
    """Normalises by the statistics of the batch at hand, biased variance, offset but no scale.

    Never `tf.nn.moments` (nor the Keras layer, which calls it): it stops the gradient of the mean inside the variance,
    which is right to first order and wrong to second. The fused op is right to second order; it exists in float32.

    Args:
      x: [batch, height, width, channels].
      beta: [channels].
    Returns:
      [batch, height, width, channels].
    """
    if x.dtype == tf.float32:
        ones = tf.ones_like(beta)
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=ones, offset=beta, mean=[], variance=[], epsilon=BATCH_NORM_EPSILON, is_training=True
        ).y
    centred = x - tf.reduce_mean(x, axis=(0, 1, 2))
    variance = tf.reduce_mean(tf.square(centred), axis=(0, 1, 2))
    return centred * tf.math.rsqrt(variance + BATCH_NORM_EPSILON) + beta


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
