"""Keras models as backbones: the same numbers, gradients and runs as a network of ours."""

import dataclasses
import itertools
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import savedirs, small_problem
from tests.helpers.keras_models import SIZE, branched, copy_of_conv4
from tests.helpers.often import often
from tests.helpers.small_problem import gradient_of
from tf_metadrop import Config, MetaLearner, UsageError, backbones, meta_test, meta_train
from tf_metadrop.algorithm.outer_loop import task_loss
from tf_metadrop.data import DATASETS
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import graph, nodes, rng, windows
from tf_metadrop.nn.backbones import conv4, resnet12
from tf_metadrop.runs import finished

SPEC = dataclasses.replace(DATASETS["omniglot"], height=SIZE, width=SIZE, filters=3)
ORDERS, SETTINGS = ("exact", "tf1", "first"), ({}, dict(noise_type="weight_gaussian"), dict(normalization="support"))
EACH_ONCE = [str((order, SETTINGS[n])) for order, n in zip(ORDERS, (1, 0, 2), strict=True)]
CASE = dict(dataset="strokes", way=2, shot=2, query=3, n_steps=2, inner_lr=0.02, precision="float64")


def problem(backbone, **settings):
    return small_problem.problem(Config(**CASE | settings), backbone, SIZE, 0.5)


def keras_name(name):
    """Name in the copy of conv4 of a parameter of ours."""
    name = name.replace("phi/conb", "phi/conv")
    return name.replace("conv", "norm").replace("_bn", "") if name.endswith("beta") else name


@pytest.mark.parametrize(("order", "settings"), often(itertools.product(ORDERS, SETTINGS), EACH_ONCE, str))
def test_a_copy_of_conv4_in_keras_is_conv4_number_for_number(order, settings):
    ours = problem(conv4.make(SPEC), second_order=order, **settings)
    copy = problem(backbones.from_keras(copy_of_conv4()).make(SPEC), second_order=order, **settings)
    params = {keras_name(name): w for name, w in ours[0].items()}
    assert params.keys() == copy[0].keys()
    wanted, found = gradient_of(ours), gradient_of(copy._replace(params=params))
    assert {keras_name(name) for name in wanted} == set(found)
    for name, g in wanted.items():
        np.testing.assert_allclose(found[keras_name(name)], g, rtol=1e-7, atol=1e-11, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, dict(noise_type="weight_gaussian"), dict(regularizer="vib", maml=True)])
def test_the_exact_meta_gradient_is_that_of_finite_differences(settings):
    net = backbones.from_keras(branched()).make(SPEC)
    small_problem.check_by_finite_differences(problem(net, **settings), 1e-7)


def test_the_three_meta_gradients_differ_and_tf1_is_exact_without_normalisation():
    net = backbones.from_keras(branched()).make(SPEC)
    found = {order: gradient_of(problem(net, second_order=order)) for order in ("exact", "tf1", "first")}
    apart = lambda one, other: max(float(tf.reduce_max(abs(one[name] - other[name]))) for name in one)
    assert apart(found["exact"], found["tf1"]) > 1e-6 < apart(found["exact"], found["first"])
    of = keras.layers
    plain = [keras.Input((SIZE, SIZE, 1)), of.Conv2D(3, 3, activation="tanh"), of.Flatten(), of.Dense(2)]
    net = backbones.from_keras(keras.Sequential(plain)).make(SPEC)
    found = {order: gradient_of(problem(net, second_order=order)) for order in ("exact", "tf1", "first")}
    assert apart(found["exact"], found["tf1"]) == 0 < 1e-9 < apart(found["exact"], found["first"])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, dict(noise_type="weight_gaussian")])
def test_tasks_at_once_are_as_in_sequence(settings):
    small_problem.check_at_once(problem(backbones.from_keras(branched()).make(SPEC), **settings))


def test_the_network_is_the_model():
    """Beside Keras's own forward pass, with its weights, where nothing is normalised."""
    of = keras.layers
    x = keras.Input((28, 28, 1))
    h = of.MaxPooling2D(3, strides=2)(of.Conv2D(4, 5, strides=(2, 1), padding="same", activation="leaky_relu")(x))
    h = of.Add()([of.Conv2D(4, 3, padding="same", activation="elu")(h), h])
    h = of.Dense(5, activation="relu6")(of.GlobalAveragePooling2D()(h))
    model = keras.Model(x, of.Dense(3)(h))
    for weight in model.weights:
        weight.assign(np.random.RandomState(0).standard_normal(weight.shape) * 0.5)
    module = backbones.from_keras(model, keep_weights=True)
    method = load_method(Config(dataset="strokes", way=3, maml=True))._replace(
        backbone=module.make(DATASETS["strokes"])
    )
    params = network.initial(method, 3, rng.key(0, rng.INITIAL_WEIGHTS))
    images = np.random.RandomState(1).random_sample([6, 28, 28, 1]).astype("f")
    np.testing.assert_allclose(
        network.forward(params, tf.constant(images), method), model(images), rtol=1e-4, atol=1e-5
    )
    assert sorted(params) == sorted(network.shapes(method, 3))


def test_weights_start_so_that_a_signal_comes_through():
    """As everywhere where a normalisation follows, as Glorot's where none does."""
    of = keras.layers
    plain = [of.Dense(64, activation="relu") for _ in range(6)]
    model = keras.Sequential([keras.Input((28, 28, 1)), of.Conv2D(32, 3), of.BatchNormalization(), of.Conv2D(16, 5)])
    for layer in (of.GlobalAveragePooling2D(), *plain, of.Dense(3)):
        model.add(layer)
    net = backbones.from_keras(model).make(DATASETS["strokes"])
    method = load_method(Config(dataset="strokes", way=3, maml=True))._replace(backbone=net)
    params = network.initial(method, 3, rng.key(0, rng.INITIAL_WEIGHTS))
    sd = lambda name: float(tf.math.reduce_std(params[name]))
    assert sd("theta/conv1_w") == pytest.approx(0.0176, rel=0.1)  # of 0.02, cut at two of these
    assert sd("theta/conv2_w") == pytest.approx(0.88 * np.sqrt(2 / (25 * (32 + 16))), rel=0.05)
    assert sd("theta/dense3_w") == pytest.approx(0.88 * np.sqrt(2 / 128), rel=0.05)
    images = tf.constant(np.random.RandomState(1).random_sample([8, 28, 28, 1]).astype("f"))
    assert float(tf.math.reduce_std(network.hidden(params, images, method), 0).numpy().mean()) > 1e-4


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "strides"), [([3, 3], [1, 1]), ([2, 2], [2, 2]), ([3, 2], [2, 1]), ([5, 1], [3, 2])])
def test_windows_are_those_of_tensorflow(size, strides, padding):
    random = np.random.RandomState(0)
    x = tf.constant(random.standard_normal([2, 7, 8, 3]))
    kernel = tf.constant(random.standard_normal([2, *size, 3, 4]))
    options = dict(strides=strides, padding=padding)
    wanted = tf.nn.conv2d(x, kernel[0], strides, padding.upper())
    np.testing.assert_allclose(windows.convs(x, (kernel[0], None), **options)[0], wanted, atol=1e-12)
    both = windows.convs(tf.stack([x, x]), (kernel, None), **options)[0]
    np.testing.assert_allclose(both[0], wanted, atol=1e-12)
    np.testing.assert_allclose(both[1], tf.nn.conv2d(x, kernel[1], strides, padding.upper()), atol=1e-12)
    for pool, of in ((windows.max_pool, tf.nn.max_pool2d), (windows.average_pool, tf.nn.avg_pool2d)):
        np.testing.assert_allclose(pool(x, size, **options), of(x, size, strides, padding.upper()), atol=1e-12)


@pytest.mark.parametrize("net", [conv4.make(SPEC, 3, 3), resnet12.make(SPEC, "2,3,3,4")])
@pytest.mark.parametrize("settings", [{}, dict(maml=True, normalization="support")])
def test_our_own_networks_have_the_nodes_that_they_compute(net, settings):
    """conv4 and resnet12 beside a network made of their nodes."""
    case = problem(net, **settings)
    beside = as_graph(net.nodes(2))
    params = {name: w for name, w in case[0].items() if name in beside.shapes(2)}
    method = case[3]._replace(backbone=beside)
    by = lambda method: network.for_queries(case[0], case[1].support_x, method)
    wanted = network.forward(case[0], case[1].query_x, by(case[3]))
    np.testing.assert_allclose(network.forward(params, case[1].query_x, by(method)), wanted, atol=1e-9)


def as_graph(found):
    """A `Graph` of these nodes; a convolution without noise is done by one of the images' kind."""
    return graph.Graph(found, (SIZE, SIZE, 1), {})


SMALL = dict(
    dataset="strokes", way=2, shot=1, query=2, metabatch=2, n_steps=2, wandb="disabled", n_train_iters=1,
    n_eval_batches=1,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "precision"),
    often([("exact", "float32"), ("tf1", "bfloat16"), ("first", "float64")], ["tf1"], lambda case: case[0]),
)
def test_a_run_keeps_its_network(order, precision, tmp_path, registered):
    """Trained from a .keras file; tested, adapted and given away where neither file nor registration is left."""
    file = tmp_path / "net.keras"
    branched(28).save(file)
    savedir = str(tmp_path / "run")
    meta_train(Config(savedir=savedir, backbone=str(file), second_order=order, precision=precision, **SMALL))
    file.unlink()
    backbones.unregister("net")
    result = meta_test(Config(savedir=savedir, n_test_iters=2, metabatch=1, n_test_mc_samp=2, wandb="disabled"))
    assert np.isfinite(result["cent"]) and result["config"]["backbone"] == "net"
    learner = MetaLearner.load(savedir)
    x = np.random.RandomState(0).random_sample([4, 28, 28, 1]).astype("f")
    learner.adapt(x[:2], ["a", "b"]).save(tmp_path / "classifier")
    wanted, pickled = learner.predict_proba(x), pickle.dumps(learner)
    backbones.unregister("net")
    np.testing.assert_allclose(pickle.loads(pickled).predict_proba(x), wanted, atol=1e-6)
    backbones.unregister("net")
    np.testing.assert_allclose(MetaLearner.load(tmp_path / "classifier").predict_proba(x), wanted, atol=1e-6)
    registered("net", backbones.from_keras(copy_of_conv4(size=28)))
    with pytest.raises(UsageError, match="has a network net that differs from the one named net here"):
        MetaLearner.load(savedir)


def test_nothing_imports_keras_where_it_is_not_used():
    code = (
        "import sys, tensorflow\n"
        "before = set(sys.modules)\n"
        "from tf_metadrop import Config, MetaLearner, backbones\n"
        "learner = MetaLearner(Config(dataset='strokes', way=2))\n"
        "import numpy as np; learner.adapt(np.zeros([2, 28, 28, 1], 'f'), [0, 1])\n"
        "more = [name for name in set(sys.modules) - before if name.split('.')[0] in ('keras', 'tf_keras')]\n"
        "assert not more, more"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_options_of_nodes_are_complete():
    for node in (*conv4.make(SPEC).nodes(2), *resnet12.make(SPEC, "2,3,3,4").nodes(2)):
        assert node.options.keys() == nodes.KINDS[node.kind].keys()


def test_a_moved_run_knows_its_network(tmp_path, registered):
    """In a process that has never seen it, as for `metadrop tables`."""
    registered("mine", backbones.from_keras(copy_of_conv4(size=28)))
    savedirs.finished(tmp_path / "run", np.full(4, 0.5), backbone="mine")
    backbones.keep(tmp_path / "run", "mine")
    backbones.unregister("mine")
    (tmp_path / "run").rename(tmp_path / "moved")
    (run,) = finished.find([tmp_path])
    assert run.config.method == "metadrop_mine"


@pytest.mark.parametrize("noise_type", ["metadrop", "additive"])
def test_noise_samples_at_once_are_as_one_after_the_other(noise_type):
    """The first convolution, whose maps the samples share, changes the size of the maps."""
    params, task, config, method, noise = problem(backbones.from_keras(branched()).make(SPEC), noise_type=noise_type)
    logits = tf.function(lambda at_once: task_loss(params, task, config, method, noise, 4, at_once)[2], autograph=False)
    wanted = logits(1)
    for at_once in 2, 4:
        np.testing.assert_allclose(logits(at_once), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", nodes.ACTIVATIONS)
def test_activations_have_a_second_derivative(name):
    """The exact meta-gradient needs it; beside differences of the first, away from the kinks."""
    x, step = tf.constant([-2.3, -0.7, 0.4, 1.9, 7.0], tf.float64), 1e-5

    def first(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = graph.ACTIVATIONS[name](x)
        return tape.gradient(y, x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        slope = first(x)
    second = tape.gradient(slope, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_allclose(second, (first(x + step) - first(x - step)) / (2 * step), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(graph.ACTIVATIONS[name](x), keras.activations.get(name)(x), rtol=1e-6)
