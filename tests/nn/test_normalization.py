"""Normalisations: their definitions, that they do not look at the neighbours, and their meta-gradients."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import small_problem
from tests.helpers.often import often
from tf_metadrop import Config, MetaLearner, UsageError, attack_model, export_features, meta_test, meta_train
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.data import DATASETS
from tf_metadrop.nn import fused, layers, normalization
from tf_metadrop.nn.backbones import conv4

EPSILON = 1e-3
ALONE = "support", "tasknorm", "instance", "layer"  # which do not look at the neighbours
CHANGES = {}, dict(maml=True), dict(inner="metasgd", maml=True)
EACH_ONCE = [str((name, CHANGES[n])) for name, n in zip(ALONE, (2, 0, 0, 1), strict=True)]
CASE = dict(dataset="omniglot", way=2, shot=2, query=3, n_steps=2, inner_lr=0.1, metabatch=2, precision="float64")
SPEC = dataclasses.replace(DATASETS["omniglot"], filters=4)


def moments(x, axes):
    mean = x.mean(axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def mixed(x, support, s=0.0, o=0.0):
    """TaskNorm-I's m and v, in NumPy."""
    (m_s, v_s), (m_x, v_x) = moments(support, (0, 1, 2)), moments(x, (1, 2))
    share = 1 / (1 + np.exp(-(s * len(support) + o)))
    m = share * m_s + (1 - share) * m_x
    return m, share * (v_s + (m_s - m) ** 2) + (1 - share) * (v_x + (m_x - m) ** 2)


DEFINITIONS = {
    "batch": lambda x, support: moments(x, (0, 1, 2)),
    "support": lambda x, support: moments(support, (0, 1, 2)),
    "tasknorm": mixed,
    "instance": lambda x, support: moments(x, (1, 2)),
    "layer": lambda x, support: moments(x, (1, 2, 3)),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions(name):
    """docs/reference/methods/normalization.md: y = relu((x - m) / sqrt(v + epsilon) + b)."""
    assert set(DEFINITIONS) == set(normalization.names())
    random = np.random.RandomState(0)
    x, support, offset = 3 + random.standard_normal([5, 4, 6, 3]), random.standard_normal([7, 4, 6, 3]), np.arange(3.0)
    norm = normalization.load(name)
    given = norm.statistics(tf.constant(support)) if norm.FROM_SUPPORT else None
    m, v = DEFINITIONS[name](x, support)
    wanted = np.maximum((x - m) / np.sqrt(v + EPSILON) + offset, 0)
    np.testing.assert_allclose(norm.norm_relu(tf.constant(x), tf.constant(offset), given), wanted, atol=1e-12)
    m, v = DEFINITIONS[name](support, support)  # of the support set by its own
    own = norm.norm_relu(tf.constant(support), tf.constant(offset))
    np.testing.assert_allclose(own, np.maximum((support - m) / np.sqrt(v + EPSILON) + offset, 0), atol=1e-12)


def test_what_tasknorm_has_learned():
    random = np.random.RandomState(0)
    x, support = random.standard_normal([5, 4, 6, 3]), 1 + random.standard_normal([7, 4, 6, 3])
    params = {"tasknorm/s2": tf.constant(-0.3, tf.float64), "tasknorm/o2": tf.constant(0.7, tf.float64)}
    norm = normalization.at(normalization.load("tasknorm"), params, 2)
    m, v = mixed(x, support, -0.3, 0.7)
    found = norm.norm_relu(tf.constant(x), tf.zeros([3], tf.float64), norm.statistics(tf.constant(support)))
    np.testing.assert_allclose(found, np.maximum((x - m) / np.sqrt(v + EPSILON), 0), atol=1e-12)


@pytest.mark.parametrize("outer", [[], [2]], ids=["sequence", "at_once"])  # tasks
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_fast_block_is_the_plain_one_to_second_order(name, given, outer):
    """norm_relu_pool against TensorFlow's own derivatives of norm_relu and pool, with maps that are compiled."""
    random, norm = np.random.RandomState(0), normalization.load(name)
    support = tf.constant(1 + random.standard_normal([*outer, 3, 7, 5, 16]))
    x = tf.constant(random.standard_normal([*outer, 8, 37, 38, 16]))
    offset = tf.constant(0.2 * random.standard_normal(16))
    weights = tf.constant(random.standard_normal([*outer, 8, 18, 19, 16]))
    assert outer or weights.shape.num_elements() > fused.SMALLEST  # of the pooled map

    def plain(x, offset, statistics):
        return layers.pool(norm.norm_relu(x, offset, statistics)), statistics or norm.statistics(x)

    def derivatives(block):
        with tf.GradientTape() as outer_tape:
            outer_tape.watch([x, offset, support])
            statistics = norm.statistics(support) if given else None
            with tf.GradientTape() as tape:
                tape.watch([x, offset])
                y, found = block(x, offset, statistics)
                total = tf.reduce_sum(weights * tf.sin(y)) + sum(tf.reduce_sum(tf.cos(each)) for each in found[:2])
            first = tape.gradient(total, [x, offset])
            second = sum(tf.reduce_sum(d**2) for d in first)
        return [y, *found, *first, *outer_tape.gradient(second, [x, offset, support], unconnected_gradients="zero")]

    for ours, theirs in zip(derivatives(norm.norm_relu_pool), derivatives(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * (1 + np.abs(theirs).max()))


def problem(name, **changes):
    return small_problem.problem(Config(**CASE | dict(normalization=name) | changes), conv4.make(SPEC), 28, 0.3)


@pytest.mark.parametrize("name", ALONE)
def test_a_query_image_is_not_looked_at_by_its_neighbours(name):
    params, task, config, method, noise = problem(name)
    logits = lambda x: outer_loop.task_loss(params, task._replace(query_x=x, query_y=task.query_y[: len(x)]),
                                            config, method, noise)[2]  # fmt: skip
    together = logits(task.query_x)
    np.testing.assert_allclose(logits(task.query_x[:1]), together[:1], rtol=0, atol=1e-11)
    np.testing.assert_allclose(logits(task.query_x[::-1])[::-1], together, rtol=0, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), often(itertools.product(ALONE, CHANGES), EACH_ONCE, str))
def test_the_exact_meta_gradient_is_that_of_finite_differences(name, changes):
    """Along random directions in each parameter: right to second order, moments included."""
    gradient = small_problem.check_by_finite_differences(problem(name, **changes), 1e-6, 1e-7)
    assert name != "tasknorm" or all(abs(float(gradient[f"tasknorm/{n}1"])) > 0 for n in "so")


@pytest.mark.parametrize("name", ALONE)
def test_tf1_is_neither_exact_nor_first_order(name):
    """It has their loss and a gradient of its own; the goldens hold it to be the right one, for `batch` alone."""
    params, task, config, method, noise = problem(name, second_order="tf1", maml=True, n_steps=1)
    exact = dataclasses.replace(config, second_order="exact")
    found, loss, _ = outer_loop.task_gradient(params, task, config, method, noise)
    other, same, _ = outer_loop.task_gradient(params, task, exact, method, noise)
    assert float(loss) == float(same)
    key = "theta/conv1_w"
    assert np.linalg.norm(found[key] - other[key]) > 1e-3 * np.linalg.norm(other[key])
    first = dataclasses.replace(config, second_order="first")
    truncated, _, _ = outer_loop.task_gradient(params, task, first, method, noise)
    assert np.linalg.norm(found[key] - truncated[key]) > 1e-4 * np.linalg.norm(truncated[key])


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("second_order", ["exact", "tf1"])
def test_tasks_at_once_are_as_in_sequence(name, second_order):
    small_problem.check_at_once(problem(name, second_order=second_order), 1e-10)


def test_instance_normalisation_of_one_pixel_is_refused():
    with pytest.raises(UsageError, match="--normalization=instance has nothing to normalise in maps of 1x1 pixels"):
        normalization.load("instance").norm_relu(tf.ones([2, 1, 1, 3]), tf.zeros([3]))
    for name in "tasknorm", "layer":
        assert normalization.load(name).norm(tf.ones([2, 1, 1, 3]), tf.zeros([3])).shape == [2, 1, 1, 3]


SMALL = dict(
    dataset="strokes", way=2, shot=1, query=2, metabatch=2, n_steps=1, blocks=2, n_train_iters=1, n_eval_batches=1,
    second_order="first", wandb="disabled",
)  # fmt: skip
TEST = dict(n_test_iters=2, metabatch=1, wandb="disabled")


@pytest.mark.slow
@pytest.mark.parametrize("name", often(ALONE, ["tasknorm"]))
def test_every_mode_takes_it(name, tmp_path):
    savedir = str(tmp_path / "run")
    meta_train(Config(**SMALL, normalization=name, savedir=savedir, regularizer="info_dropout"))
    assert meta_test(Config(savedir=savedir, **TEST | dict(n_test_mc_samp=3)))["config"]["normalization"] == name
    attack_model(Config(savedir=savedir, attack_norms="l2", attack_radii="0,1", attack_steps=1, **TEST))
    attack_model(
        Config(savedir=savedir, attack_norms="l2", attack_radii="0,1", attack_steps=1, tasks="at_once", **TEST)
    )
    export_features(Config(savedir=savedir, **TEST))
    images = np.random.RandomState(0).random_sample([4, 28, 28, 1]) / 2
    learner = MetaLearner.load(savedir).adapt(images, [0, 0, 1, 1])
    learner.save(tmp_path / "c")
    found = MetaLearner.load(tmp_path / "c").predict_proba(images)
    np.testing.assert_array_equal(found, learner.predict_proba(images))
    np.testing.assert_allclose(found[:1], learner.predict_proba(images[0]), atol=1e-5)


@pytest.mark.slow
def test_a_model_trained_with_batch_is_tested_with_support(tmp_path):
    savedir = str(tmp_path / "run")
    meta_train(Config(**SMALL, savedir=savedir))
    given = {"savedir", "eval_normalization", *TEST}
    batch = meta_test(Config(savedir=savedir, **TEST), given - {"eval_normalization"})
    support = meta_test(Config(savedir=savedir, eval_normalization="support", **TEST), given)
    assert support["config"]["eval_normalization"] == "support" and support["trained_with"]["normalization"] == "batch"
    assert batch["cent"] != support["cent"]
    with pytest.raises(UsageError, match="has no variable tasknorm"):
        meta_test(Config(savedir=savedir, eval_normalization="tasknorm", **TEST), given)
