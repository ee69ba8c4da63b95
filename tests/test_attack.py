"""Attacks: projections, the loop against foolbox, and --mode=attack."""

import csv
import json
from functools import partial

import foolbox
import numpy as np
import plain_methods
import pytest
import tensorflow as tf

from tf_metadrop import Config
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.cli import main
from tf_metadrop.data import DATASETS, load_split
from tf_metadrop.methods import attack, pgd
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.backbones import conv4

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


@pytest.fixture(scope="module")
def victim():
    """Networks adapted to five 5-way 5-shot tasks of strokes."""
    config = Config(dataset="strokes", way=5, shot=5, query=15, n_steps=10, inner_lr=0.3, maml=True)
    images, method = load_split("strokes", "data", "test"), load_method(config)
    initial = conv4.initial(DATASETS["strokes"], 5, rng.key(0, 0), method)
    draw, flat, cases = rng.StandardNormal(rng.key(0, 1)), tf.constant(images.reshape(-1, 28, 28, 1)), []
    run = tf.function(lambda x, y: adapt(initial, x, y, config, method, draw).params, autograph=False)
    for task in range(5):
        first = np.arange(5 * task, 5 * task + 5)[:, None] * 20
        support, query = (first + np.arange(5)).ravel(), (first + np.arange(5, 20)).ravel()
        episode = outer_loop.gather_task(flat, tf.constant(support), tf.constant(query), 5, 5, 15)
        cases.append((run(episode.support_x, episode.support_y), episode.query_x, episode.query_y))
    return Victim(method, cases)


class Victim:
    """Adapted networks: `cases`, a list of (params, query images, labels), and compiled functions for all of them."""

    def __init__(self, method, cases):
        self.method, self.cases, self.attackers = method, cases, {}
        self.logits = tf.function(lambda params, x: conv4.forward(params, x, method), autograph=False)

    def attacked(self, case, norm, eps, steps=20, start=False):
        """The query images of a case after a PGD attack of this radius."""
        normal = (lambda shape: rng.normal(tf.constant([5, 6]), shape)) if start else None

        def perturb(params, x, y, eps):
            loss = lambda x: conv4.loss(params, x, y, self.method)[0]
            return pgd.perturb(x, loss, attack.load(norm), eps, steps, normal)

        key = norm, steps, start
        attacker = self.attackers.setdefault(key, tf.function(perturb, autograph=False))
        return attacker(*case, tf.constant(eps, tf.float32))

    def accuracy(self, case, x):
        """Percent of these images that the network of a case puts in the query images' classes."""
        params, _, y = case
        return 100 * np.mean(np.argmax(self.logits(params, x), -1) == np.argmax(y, -1))


@every_norm
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


@every_norm
def test_larger_radii_and_more_steps_hurt_more(norm, victim):
    after = lambda case, eps, steps: victim.accuracy(case, victim.attacked(case, norm, eps, steps, start=True))
    of = lambda eps, steps: np.mean([after(case, eps, steps) for case in victim.cases[:2]])
    by_radius = [of(factor * NORMS[norm], 20) for factor in (0, 0.25, 0.5, 1, 2)]
    assert all(later <= earlier + 1.5 for earlier, later in zip(by_radius, by_radius[1:], strict=False)), by_radius
    assert by_radius[-1] < by_radius[0] - 20
    by_steps = [of(0.5 * NORMS[norm], steps) for steps in (1, 5, 20)]
    assert all(later <= earlier + 3 for earlier, later in zip(by_steps, by_steps[1:], strict=False)), by_steps


SMALL = (
    "--dataset=strokes --way=2 --shot=1 --query=2 --metabatch=2 --n_steps=1 --n_train_iters=1 --save_freq=1 "
    "--eval_freq=5 --n_eval_batches=1 --wandb=disabled"
).split()
ATTACK = "--mode=attack --n_test_iters=4 --attack_steps=2 --wandb=disabled".split()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    savedir = tmp_path_factory.mktemp("attacked") / "run"
    assert main.main(["main.py", *SMALL, f"--savedir={savedir}"]) == 0
    return savedir


def test_mode_attack(trained, capsys):
    assert main.main(["main.py", *ATTACK, f"--savedir={trained}", "--metabatch=2", "--attack_restarts=2"]) == 0
    out = capsys.readouterr().out
    with open(trained / "attack.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["norm"] for row in rows] == ["l1"] * 6 + ["l2"] * 6 + ["linf"] * 6
    assert [float(row["epsilon"]) for row in rows[12:]] == [0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert {row["tasks"] for row in rows} == {"4"} and {row["restarts"] for row in rows} == {"2"}
    kept = json.loads((trained / "attack.json").read_text())
    assert len(kept["rows"]) == 18
    assert "linf  0.1    accuracy : " in out and (trained / "attack.png").stat().st_size > 10_000
    assert main.main(["main.py", "--mode=meta_test", *ATTACK[1:2], "--metabatch=2", f"--savedir={trained}"]) == 0
    clean = json.loads((trained / "meta_test.json").read_text())["accuracy"]
    for row in kept["rows"]:
        assert row["epsilon"] > 0 or row["accuracy_percent"] == pytest.approx(clean, abs=1e-4)  # see below


def accuracies(savedir, *arguments):
    """Of the rows of an attack under Linf with 18 query images a class."""
    command = "main.py", *ATTACK, f"--savedir={savedir}", "--attack_norms=linf", "--query=18", *arguments
    assert main.main(command) == 0
    return [row["accuracy_percent"] for row in json.loads((savedir / "attack.json").read_text())["rows"]]


def test_attack_is_the_same_however_tasks_and_radii_run(trained):
    paths = ["--metabatch=1"], ["--metabatch=4"], ["--metabatch=4", "--tasks=at_once"]
    found = [accuracies(trained, "--attack_radii=0,0.3", *path) for path in paths]
    assert found[0] == found[1] == found[2] and len(set(found[0])) == 2


def test_an_image_must_withstand_every_start_and_is_of_a_meta_test_s_tasks(trained):
    arguments = "--metabatch=2", "--attack_radii=0,0.1,0.3", "--attack_steps=1"
    one, three = [accuracies(trained, *arguments, f"--attack_restarts={n}") for n in (1, 3)]
    assert one[0] == three[0] and all(b <= a for a, b in zip(one, three, strict=True)) and three[1:] != one[1:]
    clean = []
    for seed in (0, 1):
        test = "--mode=meta_test", ATTACK[1], "--metabatch=2", "--query=18", f"--savedir={trained}", f"--seed={seed}"
        assert main.main(["main.py", *test]) == 0
        clean.append(json.loads((trained / "meta_test.json").read_text())["accuracy"])
    assert one[0] == pytest.approx(clean[0], abs=1e-4) and clean[0] != clean[1]


@pytest.mark.parametrize(
    ("pattern", "arguments"),
    [
        ("--attack_norms=l1,l3 names 'l3': choose among l1, l2, linf", ["--attack_norms=l1,l3"]),
        ("--attack_radii=0.1 is for one norm", ["--attack_radii=0.1"]),
        ("--attack_radii=a is no list of radii", ["--attack_norms=l2", "--attack_radii=a"]),
        ("--attack_radii=-1 is no list of radii", ["--attack_norms=l2", "--attack_radii=-1"]),
        ("--attack_steps=0 is too small", ["--attack_steps=0"]),
        ("--n_test_iters=4 is less than one --metabatch=8", ["--metabatch=8"]),
    ],
)
def test_what_cannot_be_attacked_is_said(trained, pattern, arguments, capsys):
    before = sorted(trained.iterdir())
    assert main.main(["main.py", *ATTACK, f"--savedir={trained}", *arguments]) == 2
    assert pattern in capsys.readouterr().err and sorted(trained.iterdir()) == before
