"""The three meta-gradients against finite differences, against each other, and against the usual wrong batch norms."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import layers
from tf_metadrop.nn.backbones import conv4
from tf_metadrop.nn.normalization import batch
from tf_metadrop.nn.rng import StandardNormal, fold

SPEC = dataclasses.replace(DATASETS["omniglot"], filters=6)


def problem(name="metadrop", second_order="exact", n_steps=2):
    """A small float64 task with weights that are not tiny: (params, task, config, method, noise)."""
    config = Config(
        way=3, shot=2, query=2, n_steps=n_steps, inner_lr=0.4, second_order=second_order, maml=name == "maml"
    )
    method = load_method(config)._replace(backbone=conv4.make(SPEC))
    random = np.random.RandomState(3)
    params = {
        name: tf.constant(random.standard_normal(shape) * (0.3 if name.endswith("_w") else 0.1))
        for name, shape in network.shapes(method, config.way).items()
    }
    images = lambda n: tf.constant(random.random_sample([config.way * n, 28, 28, 1]))
    labels = lambda n: tf.one_hot(np.repeat(range(config.way), n), config.way, dtype=tf.float64)
    task = Task(images(2), labels(2), images(2), labels(2))
    keyed = StandardNormal(tf.constant([1, 2]), tf.float64)
    return params, task, config, method, lambda *where: keyed(*where)


def gradient_of(params, task, config, method, draw):
    return outer_loop.task_gradient(params, task, config, method, draw)[0]


def relative(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


@pytest.mark.slow
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
    layer = tf.keras.layers.BatchNormalization(epsilon=batch.EPSILON, scale=False, dtype=x.dtype)
    layer.build(x.shape)
    return layer(x, training=True) + beta


def moments_batch_norm(x, beta):
    mean, variance = tf.nn.moments(x, axes=(0, 1, 2))
    return tf.nn.batch_normalization(x, mean, variance, beta, None, batch.EPSILON)


def basic_batch_norm(x, beta):
    centred = x - tf.reduce_mean(x, axis=(0, 1, 2))
    variance = tf.reduce_mean(tf.square(centred), axis=(0, 1, 2))
    return centred * tf.math.rsqrt(variance + batch.EPSILON) + beta


def with_batch_norm(batch_norm, monkeypatch):
    """Our loss and meta-gradient of the problem, with this batch norm before ReLU and pool in place of ours."""
    block = lambda x, beta: (tf.nn.max_pool2d(tf.nn.relu(batch_norm(x, beta)), 2, 2, "VALID"), ())
    monkeypatch.setattr(batch, "norm_relu_pool", block)
    return outer_loop.task_gradient(*problem())


@pytest.mark.parametrize("wrong", [keras_batch_norm, moments_batch_norm])
def test_the_usual_batch_norms_give_the_same_loss_and_another_gradient(wrong, monkeypatch):
    right, loss, _ = outer_loop.task_gradient(*problem())
    gradient, same_loss, _ = with_batch_norm(wrong, monkeypatch)
    assert float(same_loss) == pytest.approx(float(loss), rel=1e-9)
    assert set(gradient) == set(right)
    assert max(relative(gradient[name], right[name]) for name in right) > 1e-2


def test_pooling_before_normalising_is_the_same_to_second_order(monkeypatch):
    right, loss, _ = outer_loop.task_gradient(*problem())
    gradient, same_loss, _ = with_batch_norm(basic_batch_norm, monkeypatch)
    assert float(same_loss) == pytest.approx(float(loss), rel=1e-12)
    assert set(gradient) == set(right)
    for name in right:
        assert relative(gradient[name], right[name]) < 1e-9, name


def test_tf1_gradient_differs_from_exact_and_has_the_same_loss():
    params, task, config, method, draw = problem()
    exact, loss, _ = outer_loop.task_gradient(params, task, config, method, draw)
    config = dataclasses.replace(config, second_order="tf1")
    tf1, same_loss, _ = outer_loop.task_gradient(params, task, config, method, draw)
    assert float(loss) == float(same_loss)
    assert set(tf1) == set(exact)
    assert np.median([relative(tf1[name], exact[name]) for name in exact]) > 0.1


def test_first_order_gradient_is_the_query_gradient_at_the_adapted_weights():
    params, task, config, method, draw = problem(second_order="first")
    gradient = gradient_of(params, task, config, method, draw)
    adapted = outer_loop.task_loss(params, task, config, method, draw)[3].params
    with tf.GradientTape() as tape:
        tape.watch(adapted)
        loss = layers.cross_entropy(network.forward(adapted, task.query_x, method), task.query_y)
    expected = tape.gradient(loss, adapted, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert set(gradient) == set(expected)
    for name in gradient:
        np.testing.assert_allclose(gradient[name], expected[name], rtol=1e-12, atol=1e-15)
    assert not np.any(gradient["phi/dense_w"]) and np.any(gradient["phi/conv1_w"])


@pytest.mark.slow
def test_metabatch_gradient_is_the_mean_over_tasks():
    params, task, config, method, _ = problem()
    draws = [StandardNormal(fold(tf.constant([1, 2]), i), tf.float64) for i in range(3)]
    each = [gradient_of(params, task, config, method, draw) for draw in draws]
    mean, _, accs = tf.function(outer_loop.meta_gradient, autograph=False)(
        params, 3, lambda _: task, config, method,
        lambda i: StandardNormal(fold(tf.constant([1, 2]), i), tf.float64),
    )  # fmt: skip
    assert accs.shape == (3,) and all(set(g) == set(mean) for g in each)
    for name in mean:
        np.testing.assert_allclose(mean[name], np.mean([g[name] for g in each], axis=0), rtol=1e-9, atol=1e-12)
