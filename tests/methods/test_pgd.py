"""The loop of the attacks, against foolbox and its own bounds."""

import itertools
from functools import partial

import foolbox
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.often import often
from tf_metadrop import Config
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.algorithm.tasks import gather_task
from tf_metadrop.data import load_split
from tf_metadrop.methods import attack, network
from tf_metadrop.methods.attack_variant import pgd
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng

NORMS = {"l1": 12.0, "l2": 1.5, "linf": 0.12}
every_norm = pytest.mark.parametrize("norm", NORMS)
size_of = {
    "l1": lambda d: np.abs(d).sum(-1), "l2": lambda d: np.sqrt((d**2).sum(-1)), "linf": lambda d: np.abs(d).max(-1)
}  # fmt: skip


@pytest.fixture(scope="module")
def victim():
    """Networks adapted to five 5-way 5-shot tasks of strokes."""
    config = Config(dataset="strokes", way=5, shot=5, query=15, n_steps=10, inner_lr=0.3, maml=True)
    images, method = load_split("strokes", "data", "test"), load_method(config)
    initial = network.initial(method, 5, rng.key(0, 0))
    draw, flat, cases = rng.StandardNormal(rng.key(0, 1)), tf.constant(images.reshape(-1, 28, 28, 1)), []
    run = tf.function(lambda x, y: adapt(initial, x, y, config, method, draw).params, autograph=False)
    for task in range(5):
        first = np.arange(5 * task, 5 * task + 5)[:, None] * 20
        support, query = (first + np.arange(5)).ravel(), (first + np.arange(5, 20)).ravel()
        episode = gather_task(flat, tf.constant(support), tf.constant(query), 5, 5, 15)
        cases.append((run(episode.support_x, episode.support_y), episode.query_x, episode.query_y))
    return Victim(method, cases)


class Victim:
    """Adapted networks: `cases`, a list of (params, query images, labels), and compiled functions for all of them."""

    def __init__(self, method, cases):
        self.method, self.cases, self.attackers = method, cases, {}
        self.logits = tf.function(lambda params, x: network.forward(params, x, method), autograph=False)

    def attacked(self, case, norm, eps, steps=20, start=False):
        """The query images of a case after a PGD attack of this radius."""
        normal = (lambda shape: rng.normal(tf.constant([5, 6]), shape)) if start else None

        def perturb(params, x, y, eps):
            loss = lambda x: network.loss(params, x, y, self.method)[0]
            return pgd.perturb(x, loss, attack.load(norm), eps, steps, normal)

        key = norm, steps, start
        attacker = self.attackers.setdefault(key, tf.function(perturb, autograph=False))
        return attacker(*case, tf.constant(eps, tf.float32))

    def accuracy(self, case, x):
        """Percent of these images that the network of a case puts in the query images' classes."""
        params, _, y = case
        return 100 * np.mean(np.argmax(self.logits(params, x), -1) == np.argmax(y, -1))


@pytest.mark.slow
@pytest.mark.parametrize("norm", often(NORMS, ["l1"]))
def test_as_strong_as_foolbox(norm, victim):
    """Same adapted network, radius, number and size of steps, no random start: at most a point less success."""
    steps, eps = 20, NORMS[norm]
    kinds = {
        "l1": lambda **a: foolbox.attacks.SparseL1DescentAttack(quantile=0.99, **a),
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
    }
    ours, theirs, clean = [], [], []
    for case in victim.cases:
        params, x, y = case
        clean.append(victim.accuracy(case, x))
        ours.append(victim.accuracy(case, victim.attacked(case, norm, eps, steps)))
        network = foolbox.TensorFlowModel(partial(victim.logits, params), bounds=(0, 1), device="/CPU:0")
        kind = kinds[norm](rel_stepsize=2.5 / steps, steps=steps, random_start=False)
        _, found, _ = kind(network, x, tf.argmax(y, -1), epsilons=eps)
        theirs.append(victim.accuracy(case, found))
    assert np.mean(clean) > 70 and np.mean(theirs) < np.mean(clean) - 20, (clean, theirs)
    assert np.mean(ours) <= np.mean(theirs) + 1, (ours, theirs)


@every_norm
def test_images_stay_in_ball_and_box(norm, victim):
    case, eps = victim.cases[0], NORMS[norm]
    found = victim.attacked(case, norm, eps, start=True).numpy()
    d = (found - case[1].numpy()).reshape(len(found), -1).astype(np.float64)
    assert found.min() >= -1e-5 and found.max() <= 1 + 1e-5
    assert size_of[norm](d).max() <= eps * (1 + 1e-5)
    np.testing.assert_array_equal(victim.attacked(case, norm, 0.0), case[1])


@pytest.mark.slow
@pytest.mark.parametrize("norm", often(NORMS, ["l1"]))
def test_larger_radii_and_more_steps_hurt_more(norm, victim):
    after = lambda case, eps, steps: victim.accuracy(case, victim.attacked(case, norm, eps, steps, start=True))
    of = lambda eps, steps: np.mean([after(case, eps, steps) for case in victim.cases[:2]])
    by_radius = [of(factor * NORMS[norm], 20) for factor in (0, 0.25, 0.5, 1, 2)]
    assert all(later <= earlier + 1.5 for earlier, later in itertools.pairwise(by_radius)), by_radius
    assert by_radius[-1] < by_radius[0] - 20
    by_steps = [of(0.5 * NORMS[norm], steps) for steps in (1, 5, 20)]
    assert all(later <= earlier + 3 for earlier, later in itertools.pairwise(by_steps)), by_steps
