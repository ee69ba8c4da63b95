"""The fused kernels of pooling."""

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop.nn import fused


@pytest.mark.parametrize("size", [[2, 7, 7, 3], [2, 50, 51, 32]])
def test_pool_kernels_are_tensorflows(size):
    """With many ties, of odd sizes, and large enough to be compiled."""
    made = np.random.RandomState(0)
    x = tf.constant(made.randint(0, 3, size), tf.float32)
    pooled, place = fused.pool(x)
    np.testing.assert_array_equal(pooled, tf.nn.max_pool2d(x, 2, 2, "VALID"))
    d = tf.constant(made.standard_normal(pooled.shape), tf.float32)
    window = dict(ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
    put = tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=pooled, grad=d, **window)
    zero = tf.zeros([size[-1]])
    np.testing.assert_array_equal(fused.put_back(x, zero, zero, place, d), put)
    np.testing.assert_array_equal(fused.take(x, place), pooled)
    np.testing.assert_array_equal(fused.take(put, place), d)


def test_a_compiled_kernel_refuses_to_be_differentiated():
    """It has no gradient; zeros without a word would be a wrong meta-gradient."""
    x = tf.ones([2, 64, 64, 8])
    for function in (fused.softplus, fused.row_sums):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        with pytest.raises(LookupError, match="define a gradient for the function"):
            tape.gradient(y, x)
