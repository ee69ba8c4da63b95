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


SIDES = 84, 42, 41, 28, 21  # miniImageNet's and Omniglot's, and a prime number


@pytest.mark.parametrize("side", SIDES)
def test_partial_sums_add_up(side):
    made = np.random.RandomState(0)
    x, y, mean = made.standard_normal([3, side, side + 1, 8]), made.standard_normal([3, side, side + 1, 8]), 0.3
    of_images = lambda parts: tf.reduce_sum(parts, 1)
    np.testing.assert_allclose(of_images(fused.row_sums(tf.constant(x))), x.sum((1, 2)), atol=1e-11)
    np.testing.assert_allclose(
        of_images(fused.product_sums(*map(tf.constant, (x, y)))), (x * y).sum((1, 2)), atol=1e-11
    )
    means = tf.constant(np.full([3, 1, 1, 8], mean))
    squares = of_images(fused.squared_difference_sums(tf.constant(x), means))
    np.testing.assert_allclose(squares, ((x - mean) ** 2).sum((1, 2)), atol=1e-10)


@pytest.mark.parametrize("side", [84, 42, 28, 21, 14])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_xla_sums_a_map_in_one_pass(side, dtype):
    """XLA splits a sum over more than 32 numbers: it writes the map in float32 and sums its windows."""
    x, mean = tf.ones([4, side, side, 32], dtype), tf.ones([1, 1, 1, 32])
    for function, args in (
        (fused.row_sums, [x]),
        (fused.product_sums, [x, x]),
        (fused.squared_difference_sums, [x, mean]),
        (fused.passed_sums, [x, x]),
        (fused.passed_dots, [x, x, x, mean]),
    ):
        compiled = tf.function(function, jit_compile=True)
        program = compiled.experimental_get_compiler_ir(*args)(stage="optimized_hlo")
        assert "reduce(" in program and "reduce-window" not in program
