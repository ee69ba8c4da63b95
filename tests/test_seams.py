"""What can be added as one file: each seam is shown by a toy that is registered, trained, tested and taken back."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import tf_metadrop
from tests.helpers.often import often
from tests.helpers.runs import stop_after_one
from tf_metadrop import Config, MetaLearner, UsageError, export_features, meta_test, meta_train
from tf_metadrop.algorithm import outer_loop
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.config import identity
from tf_metadrop.config.setting import Role
from tf_metadrop.methods import metric, network, noise
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import backbones, layers, normalization, rng
from tf_metadrop.nn.site import Block, Site, Weights
from tf_metadrop.runs import checkpoint
from tf_metadrop.util.registry import Registry, members

SMALL = dict(
    dataset="strokes", way=3, shot=1, query=3, metabatch=2, n_steps=2, n_train_iters=3, save_freq=1, log_freq=1,
    eval_freq=3, n_eval_batches=2, wandb="disabled",
)  # fmt: skip
WIDTH, LAYERS = 12, (1, 2)
REGISTRIES = (
    *"noise inner regularizer adversary attack attack_variant".split(),
    *"backbones normalization metric meta_optimizer".split(),
)


class FullyConnected:
    """Two hidden layers of WIDTH units: normalised over the batch, ReLU, no pooling."""

    def __init__(self, spec):
        self.kernels, self.features = ((spec.pixels, WIDTH), (WIDTH, WIDTH)), WIDTH

    def shapes(self, way):
        found = {}
        for part in ("theta", "phi"):
            for layer, kernel in zip(LAYERS, self.kernels, strict=True):
                found |= {f"{part}/full{layer}_w": kernel, f"{part}/full{layer}_b": kernel[-1:]}
            last = way if part == "theta" else 1
            found |= {f"{part}/dense_w": (WIDTH, last), f"{part}/dense_b": (last,)}
        return found | {f"offset{layer}": (WIDTH,) for layer in LAYERS}

    def site(self, params, layer, h):
        weights = [
            Weights(params[f"{part}/full{layer}_w"], params[f"{part}/full{layer}_b"]) for part in ("theta", "phi")
        ]
        return Site(layer, h, layers.denses, *weights, first=layer == 1)

    def first(self, params, x):
        return self.site(params, 1, layers.reshape_flat(x))

    def hidden(self, params, x, blocks):
        h, as_map = layers.reshape_flat(x), lambda t: t[..., tf.newaxis, tf.newaxis, :]
        affine = lambda h, kernel, bias: as_map(layers.dense(h, kernel, bias))
        for layer in LAYERS:
            h = blocks.enter(layer, h)
            perturbed = as_map(blocks.perturb(self.site(params, layer, h)))
            h = blocks.leave(Block(layer, h, perturbed, params[f"offset{layer}"], None, affine))[..., 0, 0, :]
        return h

    def last(self, params, f):
        return Site(len(LAYERS) + 1, f, layers.denses, *both(params, "dense"))


def both(params, layer):
    """The weights of a layer, of theta and of phi."""
    return [Weights(params[f"{part}/{layer}_w"], params[f"{part}/{layer}_b"]) for part in ("theta", "phi")]


class Toy:
    make = FullyConnected


@pytest.fixture(autouse=True)
def _toys():
    backbones.register("toy", Toy)
    yield
    backbones.unregister("toy")


def problem(**settings):
    """A float64 task for the toy backbone: (params, task, config, method, noise)."""
    config = Config(**SMALL | dict(backbone="toy", inner_lr=0.4, shot=2) | settings)
    random, method = np.random.RandomState(3), load_method(config)
    params = {
        name: tf.constant(random.standard_normal(shape) * (0.3 if name.endswith("_w") else 0.1))
        for name, shape in network.shapes(method, config.way).items()
    }
    images = lambda n: tf.constant(random.random_sample([config.way * n, 28, 28, 1]))
    labels = lambda n: tf.one_hot(np.repeat(range(config.way), n), config.way, dtype=tf.float64)
    task = Task(images(2), labels(2), images(3), labels(3))
    return params, task, config, method, rng.StandardNormal(tf.constant([1, 2]), tf.float64)


def test_a_backbone_s_exact_meta_gradient_is_the_slope_of_its_loss():
    params, task, config, method, draw = problem()
    gradient = tf.function(outer_loop.task_gradient, autograph=False)(params, task, config, method, draw)[0]
    loss = tf.function(lambda params: outer_loop.task_loss(params, task, config, method, draw)[0], autograph=False)
    random, step = np.random.RandomState(0), 1e-6
    scale = max(np.abs(g).max() for g in gradient.values())
    assert gradient.keys() == params.keys()
    for name in gradient:
        for entry in random.permutation(np.array([*np.ndindex(*params[name].shape)]))[:3]:
            moved = []
            for sign in (1, -1):
                value = params[name].numpy()
                value[tuple(entry)] += sign * step
                moved.append(loss({**params, name: tf.constant(value)}))
            slope = float(moved[0] - moved[1]) / (2 * step)
            assert slope == pytest.approx(float(gradient[name][tuple(entry)]), rel=1e-5, abs=1e-7 * scale), name


def test_a_backbone_has_all_three_meta_gradients():
    found = {}
    for kind in ("exact", "tf1", "first"):
        params, task, config, method, draw = problem(second_order=kind)
        found[kind] = tf.function(outer_loop.task_gradient, autograph=False)(params, task, config, method, draw)[0]
    length = lambda gradient: np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradient.values()))
    for kind in ("tf1", "first"):
        apart = length({name: found[kind][name] - found["exact"][name] for name in found["exact"]})
        assert 1e-3 * length(found["exact"]) < apart < 10 * length(found["exact"]), kind


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", often([{}, dict(inner="metasgd"), dict(second_order="tf1", tasks="at_once")], ["{}"], str), ids=str
)
def test_a_backbone_is_trained_resumed_tested_and_exported(settings, tmp_path):
    config = Config(**SMALL | dict(backbone="toy", savedir=str(tmp_path / "run")) | settings)
    assert config.method.endswith("_toy")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        meta_train(config)
    meta_train(config)
    whole = dataclasses.replace(config, savedir=str(tmp_path / "whole"))
    meta_train(whole)
    for name in ("metrics.jsonl", "model.data-00000-of-00001"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    result = meta_test(Config(savedir=str(tmp_path / "run"), n_test_iters=4, metabatch=2, wandb="disabled"))
    assert result["config"]["backbone"] == "toy" and np.isfinite(result["cent"])
    exported = export_features(Config(savedir=str(tmp_path / "run"), mode="export"))
    assert exported[0]["htr"].shape == (3, 2, WIDTH) and exported[0]["w"].shape == (3, WIDTH, 2)
    learner = MetaLearner.load(str(tmp_path / "run"))
    x = np.random.RandomState(0).random_sample([3, 28, 28, 1])
    assert learner.adapt(x, range(3)).predict(x).shape == (3,)


@pytest.mark.parametrize("name", sorted({*noise.names()} - {"metadrop"}))
def test_every_noise_type_perturbs_what_another_backbone_hands_it(name):
    for variant in noise.VARIANTS if name in noise.reported() else ("ours",):
        params, task, config, method, draw = problem(noise_type=name, noise_variant=variant)
        gradient, cent, _ = outer_loop.task_gradient(params, task, config, method, draw)
        assert np.isfinite(cent) and all(np.isfinite(g).all() for g in gradient.values())
        assert {n for n in params if not n.startswith("phi/")} <= gradient.keys()


class Instance:
    """Statistics of each image alone."""

    FROM_SUPPORT = False

    @staticmethod
    def statistics(x):
        return ()

    @staticmethod
    def norm_relu(x, offset, statistics=None):
        centred = x - tf.reduce_mean(x, [-3, -2], keepdims=True)
        return tf.nn.relu(centred * tf.math.rsqrt(tf.reduce_mean(centred**2, [-3, -2], keepdims=True) + 1e-3) + offset)


@pytest.mark.slow
def test_a_normalisation_is_trained_and_tested(tmp_path):
    normalization.register("instance_toy", Instance)
    try:
        config = Config(**SMALL | dict(normalization="instance_toy", savedir=str(tmp_path / "run"), n_train_iters=1))
        learner = meta_train(config)
        images = np.random.RandomState(0).random_sample([6, 28, 28, 1]).astype(np.float32)
        method = load_method(config)
        alone = network.forward(learner.params, tf.constant(images[:1]), method)
        beside = network.forward(learner.params, tf.constant(images), method)[:1]
        np.testing.assert_allclose(alone, beside, atol=1e-5)  # which batch normalisation does not give
        assert meta_test(Config(savedir=config.savedir, n_test_iters=2, metabatch=1, wandb="disabled"))["episodes"] == 2
        with pytest.raises(UsageError, match="was trained with --normalization=instance_toy"):
            given = {"normalization", "n_test_iters"}
            meta_test(Config(savedir=config.savedir, n_test_iters=2, metabatch=1, wandb="disabled"), given)
    finally:
        normalization.unregister("instance_toy")


class Confidence:
    """Mean probability of the class that is chosen."""

    @staticmethod
    def value(logits, labels):
        return tf.reduce_mean(tf.reduce_max(tf.nn.softmax(logits), -1), -1)


def test_a_metric_is_in_logs_and_results(tmp_path):
    metric.register("confidence", Confidence)
    try:
        config = Config(**SMALL | dict(maml=True, savedir=str(tmp_path / "run"), n_train_iters=0))
        meta_train(config)
        result = meta_test(Config(savedir=config.savedir, n_test_iters=3, metabatch=1, wandb="disabled"))
    finally:
        metric.unregister("confidence")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert 1 / 3 <= lines[-1]["test_confidence"] <= 1 and list(lines[-1])[2:] == [
        "test_cent",
        "test_acc",
        "test_confidence",
    ]
    assert ", acc " in (log := (tmp_path / "run" / "meta_train.log").read_text()) and ", confidence 0." in log
    rows = list(csv.DictReader((tmp_path / "run" / "meta_test.csv").read_text().splitlines()))
    assert list(rows[0]) == ["cent", "accuracy", "confidence"] and len(rows) == 3
    assert result["confidence"] == pytest.approx(np.mean([float(row["confidence"]) for row in rows]), abs=1e-5)


@pytest.mark.slow
def test_another_outer_optimiser_keeps_its_own_state(tmp_path):
    config = Config(**SMALL | dict(maml=True, meta_optimizer="sgd", meta_lr=0.1, savedir=str(tmp_path / "run")))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", stop_after_one(checkpoint.save))
        meta_train(config)
    saved = checkpoint.load(tmp_path / "run")
    assert saved.state.slots == {}
    with pytest.raises(UsageError, match="holds a run with --meta_optimizer=sgd, not --meta_optimizer=adam"):
        meta_train(dataclasses.replace(config, meta_optimizer="adam"))
    meta_train(config)
    meta_train(dataclasses.replace(config, savedir=str(tmp_path / "whole")))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_registries_say_what_is_missing_and_leave_out_private_files(tmp_path):
    class Half:
        SAMPLED = True
        features = staticmethod(lambda site, normal: site.mu())

    with pytest.raises(
        UsageError, match=r"half cannot be used in \S+noise, because it lacks TRAINED_PHI, logits: see .* NoiseType"
    ):
        tf_metadrop.noise.register("half", Half)
    assert "half" not in noise.names()
    for name in ("one", "_two"):
        (tmp_path / f"{name}.py").write_text("")
    assert Registry("package", [str(tmp_path)], noise.NoiseType).names() == ("one",)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_public_registries_hold_what_their_contracts_ask_for(registry):
    package = getattr(tf_metadrop, registry)
    assert package.names()
    for name in package.names():
        package.load(name)  # which checks it
    with pytest.raises(UsageError, match="it lacks"):
        package.register("nothing", object())
    assert members(noise.NoiseType) == ["SAMPLED", "TRAINED_PHI", "features", "logits"]


def test_every_setting_has_a_role_and_only_local_ones_leave_a_run_the_same():
    roles = {field.name: field.metadata["role"] for field in dataclasses.fields(Config)}
    assert {*roles.values()} == {*Role}
    base = Config()
    other = {int: 2, float: 0.125, bool: True, str: "x"}
    for field in dataclasses.fields(Config):
        value = other[type(field.default) if field.default is not None else str]
        changed = base.as_dict() | {field.name: value}
        assert base.differences(changed) == ([] if roles[field.name] is Role.LOCAL else [field.name]), field.name
    assert identity.apart({"seed": 0}, {"seed": 0, "precision": "tf32"}, ["precision"]) == ["precision"]  # an older run
    assert identity.apart({}, {"seed": 0, "precision": "tf32"}, ["precision"]) == []  # it is not known
