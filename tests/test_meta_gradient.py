"""The three meta-gradients against finite differences, against each other, and against the usual wrong batch norms."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.data import DATASETS
from tf_metadrop.methods.method import load_method
from tf_metadrop.methods.regularizer import none
from tf_metadrop.nn import layers
from tf_metadrop.nn.backbones import conv4
from tf_metadrop.nn.rng import StandardNormal, box_muller, fold, normal

SPEC = dataclasses.replace(DATASETS["omniglot"], filters=6)


def problem(name="metadrop", second_order="exact", n_steps=2):
    """A small float64 task with weights that are not tiny: (params, task, config, method, noise)."""
    config = Config(
        way=3, shot=2, query=2, n_steps=n_steps, inner_lr=0.4, second_order=second_order, maml=name == "maml"
    )
    random = np.random.RandomState(3)
    params = {
        name: tf.constant(random.standard_normal(shape) * (0.3 if name.endswith("_w") else 0.1))
        for name, shape in conv4.shapes(SPEC, config.way).items()
    }
    images = lambda n: tf.constant(random.random_sample([config.way * n, 28, 28, 1]))
    labels = lambda n: tf.one_hot(np.repeat(range(config.way), n), config.way, dtype=tf.float64)
    task = outer_loop.Task(images(2), labels(2), images(2), labels(2))
    keyed = StandardNormal(tf.constant([1, 2]), tf.float64)
    return params, task, config, load_method(config), lambda *where: keyed(*where)


def gradient_of(params, task, config, method, draw):
    return outer_loop.task_gradient(params, task, config, method, draw)[0]


def relative(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


@pytest.mark.parametrize("name", ["metadrop", "maml"])
def test_exact_gradient_is_the_slope_of_the_loss(name):
    params, task, config, method, draw = problem(name)
    gradient = tf.function(gradient_of, autograph=False)(params, task, config, method, draw)
    loss = tf.function(lambda params: outer_loop.task_loss(params, task, config, method, draw)[0], autograph=False)
    random, step = np.random.RandomState(0), 1e-7  # a kink of a ReLU within the step is unlikely
    scale = max(np.abs(g).max() for g in gradient.values())
    for name in gradient:
        entries = np.ndindex(*params[name].shape)
        chosen = random.permutation(np.array(list(entries), dtype=int))[:4]
        for entry in map(tuple, chosen):
            moved = []
            for sign in (1, -1):
                value = params[name].numpy()
                value[entry] += sign * step
                moved.append(loss({**params, name: tf.constant(value)}))
            slope = float(moved[0] - moved[1]) / (2 * step)
            assert slope == pytest.approx(float(gradient[name][entry]), rel=1e-5, abs=1e-7 * scale), (name, entry)
        if config.maml and name.startswith("theta/conv") and name.endswith("_b"):
            assert np.abs(gradient[name]).max() < 1e-12 * scale, name
        elif name.startswith("theta/conv") and name.endswith("_b"):
            assert np.abs(gradient[name]).max() > 1e-6 * scale, name


def keras_batch_norm(x, beta):
    layer = tf.keras.layers.BatchNormalization(epsilon=layers.BATCH_NORM_EPSILON, scale=False, dtype=x.dtype)
    layer.build(x.shape)
    return layer(x, training=True) + beta


def moments_batch_norm(x, beta):
    mean, variance = tf.nn.moments(x, axes=(0, 1, 2))
    return tf.nn.batch_normalization(x, mean, variance, beta, None, layers.BATCH_NORM_EPSILON)


def basic_batch_norm(x, beta):
    centred = x - tf.reduce_mean(x, axis=(0, 1, 2))
    variance = tf.reduce_mean(tf.square(centred), axis=(0, 1, 2))
    return centred * tf.math.rsqrt(variance + layers.BATCH_NORM_EPSILON) + beta


def with_batch_norm(batch_norm, monkeypatch):
    """Our loss and meta-gradient of the problem, with this batch norm before ReLU and pool in place of ours."""
    block = lambda x, beta: tf.nn.max_pool2d(tf.nn.relu(batch_norm(x, beta)), 2, 2, "VALID")
    monkeypatch.setattr(none, "norm_relu_pool", block)
    return outer_loop.task_gradient(*problem())


@pytest.mark.parametrize("wrong", [keras_batch_norm, moments_batch_norm])
def test_the_usual_batch_norms_give_the_same_loss_and_another_gradient(wrong, monkeypatch):
    right, loss, _ = outer_loop.task_gradient(*problem())
    gradient, same_loss, _ = with_batch_norm(wrong, monkeypatch)
    assert float(same_loss) == pytest.approx(float(loss), rel=1e-9)
    assert max(relative(gradient[name], right[name]) for name in right) > 1e-2


def test_pooling_before_normalising_is_the_same_to_second_order(monkeypatch):
    right, loss, _ = outer_loop.task_gradient(*problem())
    gradient, same_loss, _ = with_batch_norm(basic_batch_norm, monkeypatch)
    assert float(same_loss) == pytest.approx(float(loss), rel=1e-12)
    for name in right:
        assert relative(gradient[name], right[name]) < 1e-9, name


def test_block_in_float32_is_that_of_tensorflows_fused_batch_norm():
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 7, 7, 3]) * 2 + 3, tf.float32)
    beta = tf.constant([0.1, -0.2, 0.0])
    fused, _, _ = tf.compat.v1.nn.fused_batch_norm(x, tf.ones(3), beta, epsilon=1e-3, is_training=True)
    expected = tf.nn.max_pool2d(tf.nn.relu(fused), 2, 2, "VALID")
    assert layers.norm_relu_pool(x, beta).shape == [4, 3, 3, 3]
    np.testing.assert_allclose(layers.norm_relu_pool(x, beta), expected, rtol=1e-5, atol=1e-6)


def test_tf1_gradient_differs_from_exact_and_has_the_same_loss():
    params, task, config, method, draw = problem()
    exact, loss, _ = outer_loop.task_gradient(params, task, config, method, draw)
    config = dataclasses.replace(config, second_order="tf1")
    tf1, same_loss, _ = outer_loop.task_gradient(params, task, config, method, draw)
    assert float(loss) == float(same_loss)
    assert np.median([relative(tf1[name], exact[name]) for name in exact]) > 0.1


def test_first_order_gradient_is_the_query_gradient_at_the_adapted_weights():
    params, task, config, method, draw = problem(second_order="first")
    gradient = gradient_of(params, task, config, method, draw)
    adapted = outer_loop.task_loss(params, task, config, method, draw)[3].params
    with tf.GradientTape() as tape:
        tape.watch(adapted)
        loss = layers.cross_entropy(conv4.forward(adapted, task.query_x, method), task.query_y)
    expected = tape.gradient(loss, adapted, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    for name in gradient:
        np.testing.assert_allclose(gradient[name], expected[name], rtol=1e-12, atol=1e-15)
    assert not np.any(gradient["phi/dense_w"]) and np.any(gradient["phi/conv1_w"])


def test_metabatch_gradient_is_the_mean_over_tasks():
    params, task, config, method, _ = problem()
    draws = [StandardNormal(fold(tf.constant([1, 2]), i), tf.float64) for i in range(3)]
    each = [gradient_of(params, task, config, method, draw) for draw in draws]
    mean, _, accs = tf.function(outer_loop.meta_gradient, autograph=False)(
        params, 3, lambda _: task, config, method,
        lambda i: StandardNormal(fold(tf.constant([1, 2]), i), tf.float64),
    )  # fmt: skip
    assert accs.shape == (3,)
    for name in mean:
        np.testing.assert_allclose(mean[name], np.mean([g[name] for g in each], axis=0), rtol=1e-9, atol=1e-12)


def test_adam_clips_and_matches_keras():
    """TF1's form of Adam is also Keras's; the clipping is ours."""
    random = np.random.RandomState(0)
    start = {"theta/a": tf.constant(random.standard_normal(5), tf.float64)}
    state, variable = outer_loop.initial_state(start, load_method(Config())), tf.Variable(start["theta/a"])
    optimizer = tf.keras.optimizers.Adam(1e-2, epsilon=outer_loop.EPSILON)
    for _ in range(4):
        gradient = 4 * random.standard_normal(5)
        state = outer_loop.adam_step(state, {"theta/a": tf.constant(gradient)}, 1e-2)
        optimizer.apply_gradients([(tf.constant(np.clip(gradient, -3, 3)), variable)])
    np.testing.assert_allclose(state.params["theta/a"], variable, rtol=1e-6)
    assert int(state.iteration) == 4


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


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_is_finite_for_every_bit_pattern_and_normal(dtype):
    most = 2**32 - 1
    words = [(radius, angle) for radius in (0, 1, 2, 2**31, most - 1, most) for angle in (0, 1, 2**30, 2**31, most)]
    first, second = np.array(words, np.uint64).T
    ours = tf.function(box_muller, jit_compile=True)(tf.constant(first), tf.constant(second), dtype)
    radius, turns = np.sqrt(-2 * np.log((first >> 1) * 2.0**-31 + 2.0**-32)), second * 2.0**-32
    for found, expected in zip(
        ours, (radius * np.cos(2 * np.pi * turns), radius * np.sin(2 * np.pi * turns)), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-8 if dtype == "float64" else 3e-4)
    assert np.isfinite(ours).all() and 6.6 < np.abs(ours).max() < 6.7
    draws = normal(tf.constant([1, 2]), [1000, 1001], dtype).numpy().astype(np.float64)
    moments = [np.mean(draws**power) for power in (1, 2, 3, 4)]
    for moment, expected, deviation in zip(moments, (0, 1, 0, 3), (1, 2**0.5, 15**0.5, 96**0.5), strict=True):
        assert moment == pytest.approx(expected, abs=5 * deviation / 1e3)  # of 1e6 draws
    for distance, share in ((1, 0.158655), (2, 0.022750), (3, 0.00134990)):
        assert np.mean(draws > distance) == pytest.approx(share, abs=5 * (share / 1e6) ** 0.5)
