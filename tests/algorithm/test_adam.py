"""The step of Adam."""

import numpy as np
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.methods.meta_optimizer import adam
from tf_metadrop.methods.method import load_method


def test_adam_clips_and_matches_keras():
    """TF1's form of Adam is also Keras's; the clipping is ours."""
    random = np.random.RandomState(0)
    start = {"theta/a": tf.constant(random.standard_normal(5), tf.float64)}
    state, variable = outer_loop.initial_state(start, load_method(Config())), tf.Variable(start["theta/a"])
    optimizer = tf.keras.optimizers.Adam(1e-2, epsilon=adam.EPSILON)
    for _ in range(4):
        gradient = 4 * random.standard_normal(5)
        state = outer_loop.meta_step(state, {"theta/a": tf.constant(gradient)}, 1e-2, adam)
        optimizer.apply_gradients([(tf.constant(np.clip(gradient, -3, 3)), variable)])
    np.testing.assert_allclose(state.params["theta/a"], variable, rtol=1e-6)
    assert int(state.iteration) == 4
