"""A small task in float64, and what a meta-gradient must be there."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.methods import network
from tf_metadrop.methods.method import Method, load_method
from tf_metadrop.nn import rng


class Problem(NamedTuple):
    """Arguments of `outer_loop.task_gradient`, in order."""

    params: dict
    task: Task
    config: Config
    method: Method
    noise: rng.StandardNormal


def problem(config: Config, backbone, size: int, sd: float) -> Problem:
    """4 support and 6 query images of two classes, size x size; kernels of standard deviation sd, which is not tiny.

    Args:
      backbone: for such images.
    """
    random = np.random.RandomState(3)
    method = load_method(config)
    method = method._replace(backbone=backbone or method.backbone)
    params = {
        key: tf.constant(random.standard_normal(shape) * (sd if key.endswith("_w") else 0.1))
        for key, shape in network.shapes(method, config.way).items()
    }
    images = lambda n: tf.constant(random.random_sample([n, size, size, 1]))
    labels = lambda n: tf.constant(np.eye(2)[np.repeat([0, 1], n // 2)])
    task = Task(images(4), labels(4), images(6), labels(6))
    return Problem(params, task, config, method, rng.StandardNormal(rng.key(1, rng.TRAIN), tf.float64))


def gradient_of(case: Problem) -> dict:
    """The meta-gradient."""
    rest = case[1:]
    return tf.function(lambda p: outer_loop.task_gradient(p, *rest)[0], autograph=False)(case.params)


def check_by_finite_differences(case: Problem, step: float, near: float = 1e-6) -> dict:
    """Holds the meta-gradient to them, along a random direction in each parameter; returns it.

    Args:
      step: small, or it crosses the kinks of ReLUs and max-pools.
      near: what may be missing of the largest parameter's gradient.
    """
    rest = case[1:]
    loss = tf.function(lambda p: outer_loop.outer_loss(p, *rest)[0], autograph=False)
    random, found = np.random.RandomState(0), gradient_of(case)
    assert set(found) == {key for key in case.params if case.method.trained(key)}
    largest = max(float(tf.norm(g)) for g in found.values())
    for key, g in found.items():
        direction = random.standard_normal(g.shape)
        direction /= np.linalg.norm(direction)
        moved = [{**case.params, key: case.params[key] + sign * step * direction} for sign in (1, -1)]
        up, down = (float(loss(params)) for params in moved)
        wanted = (up - down) / (2 * step)
        assert float(np.sum(g * direction)) == pytest.approx(wanted, rel=1e-4, abs=near * max(largest, 1)), key
    return found


def check_at_once(case: Problem, near: float = 1e-9) -> None:
    """Holds the meta-gradient of two tasks at once to that of one after the other."""
    params, task, config, method, _ = case
    tasks = Task(*[tf.stack([part, part[::-1]]) for part in task])
    noise = lambda index: rng.StandardNormal(rng.fold(rng.key(1, rng.TRAIN), index), tf.float64)
    cut = lambda index: Task(*[tf.gather(part, index) for part in tasks])
    found, wanted = (
        function(params, 2, cut, config, method, noise)
        for function in (outer_loop.vectorised_gradient, outer_loop.meta_gradient)
    )
    for key, g in wanted[0].items():
        np.testing.assert_allclose(found[0][key], g, rtol=1e-7, atol=near, err_msg=key)
