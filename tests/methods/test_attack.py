"""The attacks' norms: projections, starts and directions."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import plain_methods
from tf_metadrop.methods import attack, attack_variant
from tf_metadrop.nn import rng

NORMS = {"l1": 12.0, "l2": 1.5, "linf": 0.12}
every_norm = pytest.mark.parametrize("norm", NORMS)
size_of = {
    "l1": lambda d: np.abs(d).sum(-1), "l2": lambda d: np.sqrt((d**2).sum(-1)), "linf": lambda d: np.abs(d).max(-1)
}  # fmt: skip


@every_norm
def test_projection(norm):
    """Inside: not moved. Outside: the closest point, by another algorithm. On the ball: not moved."""
    made, eps = np.random.RandomState(0), NORMS[norm]
    project = lambda d: attack.load(norm).project(tf.constant(d), tf.constant(eps, tf.float64)).numpy()
    for dimension in (1, 2, 50):
        d = made.standard_normal([40, dimension]) * made.choice([0.01, 1, 30], [40, 1])
        d[0] = 0
        found, size = project(d), size_of[norm](d)
        for ours, point in zip(found, d, strict=True):
            np.testing.assert_allclose(ours, plain_methods.project(point, eps, norm), atol=1e-10)
        np.testing.assert_array_equal(found[size <= eps], d[size <= eps])
        np.testing.assert_allclose(size_of[norm](found[size > eps]), eps, rtol=1e-12)
        np.testing.assert_allclose(project(found), found, rtol=1e-12, atol=1e-15)
    with_ties = np.array([[3.0, 3.0, -3.0, 1.0]]) * eps
    np.testing.assert_allclose(project(with_ties)[0], plain_methods.project(with_ties[0], eps, norm), atol=1e-10)
    np.testing.assert_array_equal(attack.load(norm).project(tf.constant(d), tf.constant(0.0, tf.float64)), 0 * d)


@every_norm
def test_size(norm):
    d = np.random.RandomState(0).standard_normal([2, 3, 50])
    np.testing.assert_allclose(attack.load(norm).size(tf.constant(d))[..., 0], size_of[norm](d), rtol=1e-12)


@every_norm
@pytest.mark.parametrize("eps", [0.0, 0.3, [0.1, 2.0]])
def test_gradient_goes_along_the_gradient_itself(norm, eps):
    """Beside the same in NumPy, step by step, for a loss whose gradient is known: sum((a x - 1)^3) of an image."""
    random = np.random.RandomState(0)
    x, a = random.random_sample([2, 3, 4, 4, 1]).round(1), random.standard_normal([2, 3, 4, 4, 1])
    x[0, 0, :2] = 0  # at the edge of the box
    of_batch = np.broadcast_to(np.reshape(eps, [-1, 1, 1]), [2, 1, 1])
    flat, slopes = x.reshape(2, 3, 16), a.reshape(2, 3, 16)
    point = flat
    for _ in range(4):
        g = 3 * (slopes * point - 1) ** 2 * slopes
        point = np.clip(point + of_batch / 4 * g / size_of[norm](g)[..., None], 0, 1)
    loss = lambda x: tf.reduce_sum((a * x - 1) ** 3, [-4, -3, -2, -1])
    with tf.GradientTape() as tape:
        start = tf.constant(x)
        tape.watch(start)
        found = attack_variant.load("gradient").perturb(start, loss, attack.load(norm), tf.constant(eps), 4)
    np.testing.assert_allclose(found.numpy().reshape(2, 3, 16), point, atol=1e-6)
    assert found.shape == x.shape and tape.gradient(found, start) is None
    assert np.all(size_of[norm](found.numpy().reshape(2, 3, 16) - flat) <= of_batch[..., 0] * (1 + 1e-6))
    wanted = np.asarray(loss(tf.constant(x))) * (1 + 1e-12)
    assert np.all(loss(found) >= wanted) or np.max(eps) == 0


def test_gradient_of_a_flat_loss_moves_nothing():
    x = tf.constant(np.random.RandomState(0).random_sample([2, 4, 4, 1]))
    found = attack_variant.load("gradient").perturb(x, lambda x: 0 * tf.reduce_sum(x), attack.load("l2"), 1.0, 3)
    np.testing.assert_array_equal(found, x)


@every_norm
def test_start_is_uniform_in_the_ball(norm):
    draw = rng.normal(tf.constant([1, 2]), [4000, 4], tf.float64)
    size = size_of[norm](attack.load(norm).start(draw, 2.0).numpy())
    assert size.max() <= 2.0 * (1 + 1e-12)
    for share in (0.5, 0.9):  # of a ball in 3 dimensions, so much of the volume lies within share**(1/3) of the radius
        assert np.mean(size <= 2 * share ** (1 / 3)) == pytest.approx(share, abs=0.03)


@every_norm
def test_ascent_has_size_one_and_survives_tiny_and_zero_gradients(norm):
    g = tf.constant(np.random.RandomState(0).standard_normal([5, 784]), tf.float32)
    direction = attack.load(norm).ascent(g * 1e-30).numpy()
    np.testing.assert_allclose(size_of[norm](direction), 1, rtol=1e-5)
    np.testing.assert_allclose(direction, [plain_methods.ascent(row, norm) for row in g.numpy()], rtol=1e-4, atol=1e-6)
    assert np.all(attack.load(norm).ascent(tf.zeros_like(g)) == 0)
