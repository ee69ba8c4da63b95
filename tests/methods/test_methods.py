"""Each method against plain_methods.py (loss, inner step, meta-gradient) and finite differences, and its reductions."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import plain_methods
from tf_metadrop import Config, UsageError
from tf_metadrop.algorithm import inner_loop, outer_loop
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network, noise
from tf_metadrop.methods.method import load_method
from tf_metadrop.methods.regularizer import vib
from tf_metadrop.nn.backbones import conv4
from tf_metadrop.nn.rng import StandardNormal, fold

SAME_IN_REPORT = {("maml", "report"), ("metadrop", "report")}
SPEC = dataclasses.replace(DATASETS["omniglot"], filters=5)
OURS = "maml", "metadrop", "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive", "deterministic"
REPORT = "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive"
METHODS = {
    **{name: dict(noise_type=name) for name in OURS},
    **{f"{name}_report": dict(noise_type=name, noise_variant="report") for name in REPORT},
    "metasgd": dict(noise_type="maml", inner="metasgd"),
    "metasgd_metadrop": dict(inner="metasgd"),
    "maml_manifold_mixup": dict(noise_type="maml", regularizer="manifold_mixup", mixup_alpha=0.4),
    "maml_vib": dict(noise_type="maml", regularizer="vib", vib_beta=0.02),
    "maml_info_dropout": dict(noise_type="maml", regularizer="info_dropout", info_beta=2e-5),
    "metadrop_vib": dict(regularizer="vib", vib_beta=0.02),
    "metasgd_metadrop_info_dropout": dict(inner="metasgd", regularizer="info_dropout", info_beta=2e-5),
}
every_method = pytest.mark.parametrize("name", METHODS)


def test_every_noise_type_has_a_second_computation():
    """A type that METHODS does not hold to plain_methods.py is tested against nothing."""
    found = {(config.noise_name, config.noise_variant) for config in map(settings, METHODS)}
    types = {(name, "ours") for name in noise.names()}
    assert types <= found and {(name, "report") for name in noise.reported()} - SAME_IN_REPORT <= found


def settings(name, **changes):
    base = dict(way=3, shot=2, query=2, n_steps=2, inner_lr=0.2, metabatch=2)
    return Config(**{**base, **METHODS[name], **changes})


def small_method(config):
    """The config's method on a narrow network."""
    return load_method(config)._replace(backbone=conv4.make(SPEC))


def problem(name, **changes):
    """(config, method, params, task, noise): small, float64, with weights that are not tiny."""
    config, random = settings(name, **changes), np.random.RandomState(5)
    method = small_method(config)
    params = {}
    for key, shape in network.shapes(method, config.way).items():
        value = random.standard_normal(shape) * (0.3 if key.endswith("_w") else 0.1)
        params[key] = tf.constant(0.2 + 0.3 * value if key.startswith("metasgd/") else value)
    random = np.random.RandomState(6)  # the same images for every method
    images = lambda n: tf.constant(random.random_sample([config.way * n, 28, 28, 1]))
    labels = lambda n: tf.one_hot(np.repeat(range(config.way), n), config.way, dtype=tf.float64)
    task = Task(images(2), labels(2), images(2), labels(2))
    drawn = StandardNormal(tf.constant([3, 4]), tf.float64)
    # A plain function: each layer's noise is drawn alone, as plain_methods does.
    return config, method, params, task, lambda *where: drawn(*where)


def plain_name(config):
    return config.noise_name + ("_report" if config.noise_variant == "report" else "")


def relative(a, b):
    return np.linalg.norm(np.subtract(a, b)) / max(np.linalg.norm(b), 1e-9)


@every_method
def test_name_and_parameters(name):
    config = settings(name)
    assert config.method == name
    made = network.initial(load_method(config), 3, tf.constant([0, 1]))
    base = network.initial(load_method(Config()), 3, tf.constant([0, 1]))
    assert set(base) <= set(made)
    for key, value in base.items():  # the same start for every method
        np.testing.assert_array_equal(made[key], value)
    rates = {key: w for key, w in made.items() if key.startswith("metasgd/")}
    adapted = {key.removeprefix("theta/") for key in made if key.startswith("theta/")}
    assert {key.removeprefix("metasgd/") for key in rates} == (adapted if config.inner == "metasgd" else set())
    assert all(np.all(w == np.float32(0.2)) for w in rates.values())


@every_method
@pytest.mark.parametrize("sampling", [True, False])
def test_forward_pass(name, sampling):
    config, method, params, task, noise = problem(name)
    draw = (lambda layer, shape: noise(0, 0, layer, shape)) if sampling else None
    ours = network.loss(params, task.support_x, task.support_y, method, draw)
    theirs = plain_methods.loss(config, plain_name(config), params, task.support_x, task.support_y, draw)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.slow
@every_method
def test_inner_loop_and_meta_gradient(name):
    """Against plain_methods, and the meta-gradient against finite differences of the outer loss."""
    config, method, params, task, noise = problem(name)
    ours = inner_loop.adapt(params, task.support_x, task.support_y, config, method, noise).params
    theirs = plain_methods.adapted(config, plain_name(config), params, task.support_x, task.support_y, noise)
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert relative(ours[key], value) < 1e-9, key
    loss, gradient = plain_methods.outer(config, plain_name(config), params, task, noise)
    found, _, _ = outer_loop.task_gradient(params, task, config, method, noise)
    value = tf.function(lambda params: outer_loop.outer_loss(params, task, config, method, noise)[0], autograph=False)
    assert float(value(params)) == pytest.approx(float(loss), rel=1e-9)
    scale = max(np.linalg.norm(g) for g in found.values())
    for key, g in found.items():
        assert np.linalg.norm(g - gradient[key].numpy()) < 1e-7 * max(np.linalg.norm(g), 1e-6 * scale), key
    assert set(found) == {key for key in params if method.trained(key)}
    assert set(gradient) == set(params)
    untrained = set(params) - set(found)
    assert all(key.startswith("phi/") for key in untrained)
    assert not any(np.any(gradient[key]) for key in untrained)  # what the loss depends on is trained
    check_slopes(value, params, {key: g.numpy() for key, g in found.items()})


def check_slopes(value, params, gradient):
    """The gradient of value(params), group by group of parameters, against central differences."""
    random, step, groups = np.random.RandomState(1), 1e-7, ("theta/", "phi/", "conv", "metasgd/")
    assert set(gradient) <= set(params) and all(key.startswith(groups) for key in gradient)
    for group in groups:
        mine = {key: g for key, g in gradient.items() if key.startswith(group)}
        if not mine:
            continue
        size = sum(np.sum(g**2) for g in mine.values()) ** 0.5
        assert size > 0, group
        drawn = {key: random.standard_normal(g.shape) for key, g in mine.items()}
        length = sum(np.sum(d**2) for d in drawn.values()) ** 0.5
        direction = {key: g / size + drawn[key] / length for key, g in mine.items()}  # not across the gradient
        moved = [value({k: w + s * step * direction.get(k, 0.0) for k, w in params.items()}) for s in (1, -1)]
        slope = float(moved[0] - moved[1]) / (2 * step)
        expected = sum(np.sum(mine[key] * d) for key, d in direction.items())
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-9), group


ORDERS = [(name, "exact") for name in METHODS] + [
    ("weight_gaussian", "tf1"), ("maml_manifold_mixup", "first"),
    ("metasgd_metadrop_info_dropout", "tf1"), ("metasgd_metadrop_info_dropout", "first"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "second_order"), ORDERS)
def test_tasks_at_once_are_the_same_as_in_sequence(name, second_order):
    """And several noise samples at once, as in a meta-test. Compiled: algorithm/test_steps.py and modes/."""
    config, method, params, task, _ = problem(name, second_order=second_order, n_steps=1, n_test_mc_samp=2)
    get_task = lambda index: Task(*[tf.gather(tf.stack([part, part[::-1]]), index) for part in task])
    get_noise = lambda index: StandardNormal(fold(tf.constant([1, 2]), index), tf.float64)
    one, loss, _ = outer_loop.meta_gradient(params, 2, get_task, config, method, get_noise)
    every, same_loss, _ = outer_loop.vectorised_gradient(params, 2, get_task, config, method, get_noise)
    assert float(same_loss) == pytest.approx(float(loss), rel=1e-9)
    assert set(one) == set(every)
    scale = max(np.linalg.norm(g) for g in one.values())
    for key, g in one.items():
        assert np.linalg.norm(every[key] - g) < 1e-8 * max(np.linalg.norm(g), 1e-6 * scale), key
    if second_order == "exact":
        test = lambda params, index, at_once: outer_loop.task_loss(
            params, get_task(index), config, method, get_noise(index), 2, at_once
        )[0]
        together = test(outer_loop.for_each_task(params, 2), tf.range(2), 2)
        np.testing.assert_allclose(together, [test(params, index, 1) for index in (0, 1)], rtol=1e-9)


@functools.cache
def losses(name, noise=None, change=None, **changes):
    """Outer loss and gradient of a method; `change` edits its parameters, `noise` replaces the drawn."""
    config, method, params, task, drawn = problem(name, **changes)
    start = change(params) if change else params
    gradient, cent, _ = outer_loop.task_gradient(start, task, config, method, noise or drawn)
    return float(cent), gradient


def assert_same(a, b, only=()):
    """The same loss, and the same gradient by the same parameters.

    Args:
      only: what the names begin with of those that one of the two trains alone.
    """
    assert a[0] == pytest.approx(b[0], rel=1e-10)
    (ours, theirs), alone = (a[1], b[1]), tuple(only)
    assert set(ours) ^ set(theirs) == {key for key in {**ours, **theirs} if key.startswith(alone)}
    for key in set(ours) & set(theirs):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-7, atol=1e-10, err_msg=key)


def assert_same_without(a, b, only):
    """`assert_same`, where the parameters that one trains alone change nothing."""
    assert_same(a, b, only)
    every = {**a[1], **b[1]}
    unused = set(a[1]) ^ set(b[1])
    assert unused and not any(np.any(every[key]) for key in unused)


def zeros(step, sample, layer, shape):
    return tf.zeros(shape, tf.float64)


@pytest.mark.parametrize("noise_type", ["maml", "metadrop"])
def test_metasgd_with_constant_rates_is_sgd(noise_type):
    constant = lambda params: {
        key: tf.fill(w.shape, tf.constant(0.2, tf.float64)) if key.startswith("metasgd/") else w
        for key, w in params.items()
    }
    name = "metasgd" if noise_type == "maml" else "metasgd_metadrop"
    assert_same(losses(name, change=constant), losses(noise_type), only=["metasgd/"])


def test_independent_gaussian_is_metadrop_with_phis_kernels_at_zero():
    no_kernels = lambda params: {
        key: tf.zeros_like(w) if key.startswith("phi/") and key.endswith("_w") else w for key, w in params.items()
    }
    ours, metadrop = losses("independent_gaussian"), losses("metadrop", change=no_kernels)
    assert_same(ours, metadrop, only=[*[f"phi/conv{layer}_w" for layer in range(1, 5)], "phi/dense_w"])


def test_deterministic_is_metadrop_without_noise():
    assert_same(losses("deterministic"), losses("metadrop", noise=zeros))


def test_mixup_with_lambda_one_is_maml():
    def noise(step, sample, layer, shape):  # the second number makes lambda
        drawn = StandardNormal(tf.constant([3, 4]), tf.float64)(step, sample, layer, shape)
        return tf.tensor_scatter_nd_update(drawn, [[1]], [tf.constant(40.0, tf.float64)])

    assert_same(losses("maml_manifold_mixup", noise=noise), losses("maml"))


@pytest.mark.parametrize(("name", "beta"), [("maml_vib", "vib_beta"), ("maml_info_dropout", "info_beta")])
def test_bottlenecks_without_weight_and_noise_are_maml(name, beta):
    own = {"vib_beta": "theta/vib_", "info_beta": "theta/info"}[beta]
    assert_same_without(losses(name, noise=zeros, **{beta: 0.0}), losses("maml"), only=[own])
    assert losses(name)[0] != pytest.approx(losses("maml")[0], rel=1e-6)


@pytest.mark.parametrize("where", ["inner", "query"])
def test_adversary_of_radius_zero_is_none(where):
    assert_same(losses("metadrop", adv_train=where, adv_eps=0.0), losses("metadrop"))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("where", ["inner", "query"])
def test_adversarial_training_is_training_on_pgd_examples(where, norm):
    """One inner step, with the examples from plain_methods.pgd put in by hand: the same loss and gradient."""
    eps = {"linf": 0.05, "l2": 1.0, "l1": 8.0}[norm]
    changes = dict(adv_train=where, adv_norm=norm, adv_eps=eps, adv_steps=3, n_steps=1)
    config, method, params, task, noise = problem("metadrop", **changes)
    from tf_metadrop.methods import attack

    def examples(params, x, y, step):
        flat = np.reshape(x, [len(x), -1])
        start = attack.load(norm).start(noise(step, 0, 12, [len(x), flat.shape[1] + 1]), eps)
        value = lambda x: plain_methods.loss(config, "metadrop", params, x, y, None)[0]
        return tf.constant(plain_methods.pgd(x.numpy(), value, norm, eps, 3, start.numpy()))

    if where == "inner":
        by_hand = task._replace(support_x=examples(params, task.support_x, task.support_y, 0))
    else:
        after = plain_methods.adapted(config, "metadrop", params, task.support_x, task.support_y, noise)
        by_hand = task._replace(query_x=examples(after, task.query_x, task.query_y, 1))
    plain = dataclasses.replace(config, adv_train="none")
    expected = outer_loop.task_gradient(params, by_hand, plain, small_method(plain), noise)
    found = outer_loop.task_gradient(params, task, config, method, noise)
    changed = "support_x" if where == "inner" else "query_x"
    assert np.abs(getattr(by_hand, changed) - getattr(task, changed)).max() > 0.01
    assert float(found[1]) == pytest.approx(float(expected[1]), rel=1e-8)
    assert set(found[0]) == set(expected[0])
    for key, g in expected[0].items():
        assert relative(found[0][key], g) < 1e-6, key
    clean = outer_loop.task_loss(params, task, config, method, noise)[0]  # a meta-test attacks no query
    _, loss, _ = outer_loop.task_gradient(params, task, plain, small_method(plain), noise)
    assert (float(clean) == pytest.approx(float(loss), rel=1e-9)) == (where == "query")


def test_mixup_draws_every_layer_and_mixes_labels():
    config, method, _, task, _ = problem("maml_manifold_mixup")
    seen = set()
    for seed in range(40):
        draw = StandardNormal(tf.constant([seed, 7]), tf.float64)
        of_layer = lambda number, shape, draw=draw: draw(0, 0, number, shape)
        labels, (layer, share, order) = method.regularizer.mix(task.support_y, of_layer)
        seen.add(int(layer))
        assert 0 <= float(share) <= 1 and sorted(order.numpy()) == list(range(6))
        np.testing.assert_allclose(tf.reduce_sum(labels, -1), 1, rtol=1e-12)
    assert seen == {1, 2, 3, 4}


def test_report_has_no_deterministic_noise():
    with pytest.raises(UsageError, match="--noise_variant=report has no --noise_type=deterministic"):
        Config(noise_type="deterministic", noise_variant="report")


@pytest.mark.parametrize("x", [-300.0, -100.0, -18.0, -16.0, -5.0, 0.0, 20.0])
def test_the_bottleneck_s_log_deviation_is_right_where_float32_has_none(x):
    """Value, slope and curvature of log(softplus(x)) in float32, against float64 and, far down, the line that it is."""
    found = []
    for dtype in (tf.float32, tf.float64):
        at = tf.constant(x, dtype)
        with tf.GradientTape() as outer:
            outer.watch(at)
            with tf.GradientTape() as inner:
                inner.watch(at)
                value = vib.log_softplus(at) if dtype == tf.float32 else tf.math.log(tf.math.softplus(at))
            slope = inner.gradient(value, at)
        found.append([value, slope, outer.gradient(slope, at)])
    expected = found[1] if x > -100 else [x, 1.0, 0.0]
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=2e-6)
