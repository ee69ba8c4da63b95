"""The layers, right to second order."""

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop.nn import layers
from tf_metadrop.nn.normalization import batch


def test_block_in_float32_is_that_of_tensorflows_fused_batch_norm():
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 7, 7, 3]) * 2 + 3, tf.float32)
    beta = tf.constant([0.1, -0.2, 0.0])
    fused, _, _ = tf.compat.v1.nn.fused_batch_norm(x, tf.ones(3), beta, epsilon=1e-3, is_training=True)
    expected = tf.nn.max_pool2d(tf.nn.relu(fused), 2, 2, "VALID")
    assert batch.norm_relu_pool(x, beta)[0].shape == [4, 3, 3, 3]
    np.testing.assert_allclose(batch.norm_relu_pool(x, beta)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype,tolerance", [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize("gate", [layers.gate, layers.gate_first])
def test_gate_is_right_to_second_order(gate, dtype, tolerance):
    """Large enough to be compiled, against TensorFlow's own derivatives of mu * softplus(a) in float64."""
    random = np.random.RandomState(0)
    arrays = [random.standard_normal([2, 64, 64, 32]) for _ in range(4)]

    def second(gate, mu, a, u, v):
        with tf.GradientTape() as outer:
            outer.watch([mu, a])
            with tf.GradientTape() as inner:
                inner.watch([mu, a])
                x = gate(mu, a)
            d_mu, d_a = inner.gradient(x, [mu, a], output_gradients=tf.sin(x))
            total = tf.reduce_sum(d_mu * u + d_a * v)
        return [x, d_mu, d_a, *outer.gradient(total, [mu, a])]

    expected = second(lambda mu, a: mu * tf.nn.softplus(a), *[tf.constant(w, tf.float64) for w in arrays])
    compiled = tf.function(lambda *args: second(gate, *args), autograph=False)
    for ours, theirs in zip(compiled(*[tf.constant(w, dtype) for w in arrays]), expected, strict=True):
        assert np.linalg.norm(ours - theirs.numpy()) / np.linalg.norm(theirs) < tolerance
