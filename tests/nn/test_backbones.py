"""The backbones: conv4 of any width and depth, and resnet12."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import small_problem
from tests.helpers.often import often
from tf_metadrop import Config, MetaLearner, UsageError, meta_test, meta_train
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import layers
from tf_metadrop.nn.backbones import conv4, resnet12

SIZE = 16
SPEC = dataclasses.replace(DATASETS["omniglot"], height=SIZE, width=SIZE, filters=3)
RESNET = dict(backbone="resnet12", widths="2,3,3,4")
CASE = dict(dataset="strokes", way=2, shot=2, query=3, n_steps=2, inner_lr=0.02, precision="float64")
METHODS = {
    "maml": dict(maml=True),
    "metadrop": {},
    "additive": dict(noise_type="additive"),
    "fixed": dict(noise_type="fixed_gaussian"),
    "independent": dict(noise_type="independent_gaussian"),
    "weight": dict(noise_type="weight_gaussian"),
    "deterministic": dict(noise_type="deterministic"),
    "metasgd": dict(maml=True, inner="metasgd"),
    "vib": dict(maml=True, regularizer="vib"),
    "info_dropout": dict(maml=True, regularizer="info_dropout"),
    "manifold_mixup": dict(maml=True, regularizer="manifold_mixup"),
    "support": dict(normalization="support"),
    "tasknorm": dict(maml=True, normalization="tasknorm"),
    "layer": dict(normalization="layer"),
    "conv4, 3 blocks": dict(backbone="conv4", widths="64,160,320,640", filters=3, blocks=3),
}
OFTEN = "metadrop", "info_dropout", "conv4, 3 blocks"


def problem(**settings):
    config = Config(**CASE | RESNET | settings)
    backbone = conv4.make(SPEC, config.filters, config.blocks) if config.backbone == "conv4" else None
    return small_problem.problem(config, backbone, SIZE, 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("name", often(METHODS, OFTEN))
def test_the_exact_meta_gradient_is_that_of_finite_differences(name):
    steps = dict(n_steps=2 if name in ("maml", "metadrop") else 1)  # one is enough for the others, and half the time
    small_problem.check_by_finite_differences(problem(**METHODS[name], **steps), 1e-8)


def test_resnet12_has_all_three_meta_gradients():
    found = {}
    for order in ("exact", "tf1", "first"):
        params, task, config, method, noise = problem(second_order=order)
        found[order] = outer_loop.task_gradient(params, task, config, method, noise)[0]
    length = lambda gradient: np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradient.values()))
    for order in ("tf1", "first"):
        apart = length({name: found[order][name] - found["exact"][name] for name in found["exact"]})
        assert 1e-3 * length(found["exact"]) < apart, order


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metadrop", "weight", "support"])
def test_tasks_at_once_are_as_in_sequence(name):
    small_problem.check_at_once(problem(**METHODS[name]))


def test_resnet12_is_that_of_its_definition():
    """Beside the same in TensorFlow's own operations, without noise."""
    params, task, _, method, _ = problem(maml=True)

    def norm(x, beta):
        return tf.nn.batch_normalization(x, *tf.nn.moments(x, [0, 1, 2]), params[beta], None, 1e-3)

    h = task.query_x
    for block in range(1, 5):
        z = h
        for conv in (1, 2, 3):
            z = tf.nn.conv2d(z, params[f"theta/block{block}_conv{conv}_w"], 1, "SAME")
            z = norm(z, f"block{block}_conv{conv}_bn/beta")
            z = z if conv == 3 else tf.nn.leaky_relu(z, 0.1)
        beside = tf.nn.conv2d(h, params[f"theta/block{block}_shortcut_w"], 1, "SAME")
        z = tf.nn.leaky_relu(z + norm(beside, f"block{block}_shortcut_bn/beta"), 0.1)
        h = tf.nn.max_pool2d(z, 2, 2, "VALID")
    wanted = tf.reduce_mean(h, [1, 2]) @ params["theta/dense_w"] + params["theta/dense_b"]
    np.testing.assert_allclose(network.forward(params, task.query_x, method), wanted, atol=1e-9)


def test_sizes():
    net = resnet12.make(DATASETS["mimgnet"], "64,160,320,640")
    assert net.features == 640 and len(net.kernels) == 12 and net.kernels[-1] == (3, 3, 640, 640)
    theta = sum(np.prod(shape) for name, shape in net.shapes(5).items() if name.startswith("theta/"))
    own = 12_424_320 - 2 * 4 * (64 + 160 + 320 + 640)  # MetaOptNet's, less scale and offset of 16 normalisations
    assert theta == own + 640 * 5 + 5
    assert conv4.make(DATASETS["omniglot"]).shapes(5) == conv4.make(DATASETS["omniglot"], 64, 4).shapes(5)
    assert conv4.make(DATASETS["mimgnet"], 48, 2).features == 21 * 21 * 48


def test_pointwise_is_a_1x1_convolution():
    random = np.random.RandomState(0)
    h, kernel = tf.constant(random.random_sample([2, 4, 5, 3])), tf.constant(random.random_sample([2, 1, 1, 3, 6]))
    one = layers.pointwise(h, kernel[0])
    np.testing.assert_allclose(one, tf.nn.conv2d(h, kernel[0], 1, "SAME"), atol=1e-12)
    two = layers.pointwise(tf.stack([h, h + 1]), kernel)
    np.testing.assert_allclose(two[0], one, atol=1e-12)
    np.testing.assert_allclose(two[1], tf.nn.conv2d(h + 1, kernel[1], 1, "SAME"), atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(widths="8,8,8,8"), "--widths=8,8,8,8 is not for --backbone=conv4"),
        (dict(backbone="resnet12", filters=8), "--filters=8 is not for --backbone=resnet12"),
        (dict(backbone="resnet12", widths="8,8"), "--widths=8,8 is not four positive integers"),
        (dict(blocks=5), "--blocks=5 halves an image 5 times, and strokes with 28x28 pixels is too small"),
    ],
)
def test_options_that_cannot_be_used(settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        load_method(Config(dataset="strokes", **settings))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "method"),
    [
        pytest.param(
            dict(backbone="resnet12", widths="4,4,4,4"), "metadrop_resnet12_widths4-4-4-4", marks=pytest.mark.nightly
        ),
        (dict(filters=8, blocks=2), "metadrop_filters8_blocks2"),
        (dict(backbone="resnet12", widths="4,4,4,4", precision="bfloat16"), "metadrop_resnet12_widths4-4-4-4"),
    ],
)
def test_in_every_mode(settings, method, tmp_path):
    small = dict(
        dataset="strokes", way=2, shot=1, query=2, metabatch=2, n_steps=1, second_order="first", wandb="disabled"
    )  # fmt: skip
    config = Config(**small | settings, n_train_iters=1, n_eval_batches=1, savedir=str(tmp_path / "run"))
    assert config.method == method
    meta_train(config)
    result = meta_test(Config(savedir=config.savedir, n_test_iters=2, metabatch=1, n_test_mc_samp=2, wandb="disabled"))
    assert np.isfinite(result["cent"]) and result["config"]["backbone"] == config.backbone
    learner = MetaLearner.load(config.savedir)
    x = np.random.RandomState(0).random_sample([4, 28, 28, 1]).astype("f")
    learner.adapt(x[:2], [0, 1]).save(tmp_path / "classifier")
    again = MetaLearner.load(tmp_path / "classifier")
    np.testing.assert_allclose(again.predict_proba(x), learner.predict_proba(x), atol=1e-6)
    with pytest.raises(UsageError, match="was trained with"):
        meta_test(Config(savedir=config.savedir, filters=5, n_test_iters=2, metabatch=1), {"savedir", "filters"})
