"""--precision=bfloat16: what is rounded and what is not."""

import dataclasses
import functools
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.decisions import with_decisions
from tests.helpers.often import often
from tests.helpers.runs import assert_equal_arrays
from tf_metadrop import Config, UsageError, meta_test, meta_train
from tf_metadrop.algorithm import execution, flops
from tf_metadrop.algorithm.inner_loop import mean_over_samples
from tf_metadrop.algorithm.outer_loop import task_gradient
from tf_metadrop.algorithm.steps import make_train_step
from tf_metadrop.algorithm.tasks import Task
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import fused, layers, low_products, moments, normalization, rng
from tf_metadrop.nn.normalization import batch
from tf_metadrop.nn.params import cast
from tf_metadrop.nn.rounded import Rounded
from tf_metadrop.util import environment

LOW, STEP = tf.bfloat16, 2.0**-8  # between two numbers, in parts of them
LARGE = [300, 14, 14, 64]  # 58,800 pixels; in bfloat16 ones add up to 256 and no further


def random(shape, seed=0):
    return tf.cast(np.random.RandomState(seed).standard_normal(shape), LOW)


def close(found, wanted, tolerance=2 * STEP):
    """To so many parts of the largest."""
    found, wanted = (np.asarray(tf.cast(t, tf.float32)) for t in (found, wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def bias_gradient(x):
    bias = tf.zeros([64])
    with tf.GradientTape() as tape:
        tape.watch(bias)
        y = layers.add_bias(x, bias)
    return tape.gradient(y, bias, tf.ones_like(y))


def offset_gradient(x):
    """Of the features' offset after the normalisation, a quarter of them."""
    offset = tf.ones([64]) * 9
    with tf.GradientTape() as tape:
        tape.watch(offset)
        y, _ = batch.norm_relu_pool(x, offset)
    return 4 * tape.gradient(y, offset, tf.ones_like(y))


@pytest.mark.parametrize(
    "total",
    [
        layers.channel_sum,
        lambda x: layers.channel_sum(tf.stack([x, x]))[0],
        lambda x: moments.dot(x, x, False),
        lambda x: moments.squares(x, tf.zeros([64]), False),
        lambda x: tf.reduce_sum(moments.total(x, True), 0),
        lambda x: tf.reduce_sum(moments.dot(x, x, True), 0),
        lambda x: tf.reduce_sum(moments.squares(x, tf.zeros([x.shape[0], 64]), True), 0),
        lambda x: moments.pool_and_moments(x)[1] * 58_800,
        lambda x: moments.pool_and_moments(x + 1)[1] * 29_400,
        lambda x: Rounded(batch).statistics(x)[0][0, 0] * 58_800,
        bias_gradient,
        offset_gradient,
    ],
)
def test_every_sum_over_a_map_is_in_float32(total):
    found = total(tf.ones(LARGE, LOW))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(np.broadcast_to(np.asarray(found), [1, 64]), 58_800, rtol=1e-6)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", normalization.names())
def test_every_fast_block_rounds_only_its_maps(name, given):
    """Its output and its gradients are those in float32 to the precision of bfloat16, with statistics in float32."""
    random, norm = np.random.RandomState(0), normalization.load(name)
    x, d = tf.constant(random.standard_normal([5, 28, 28, 64]), LOW), tf.constant(random.random([5, 14, 14, 64]), LOW)
    offset = tf.zeros([64])

    def block(x, d):
        statistics = norm.statistics(tf.cast(x, tf.float32) + 1) if given else None
        with tf.GradientTape() as tape:
            tape.watch([x, offset])
            y, found = norm.norm_relu_pool(x, offset, statistics)
        assert all(each.dtype == tf.float32 for each in found)
        return [y, *tape.gradient(y, [x, offset], d)]

    low, high = block(x, d), block(*[tf.cast(t, tf.float32) for t in (x, d)])
    assert [t.dtype for t in low] == [LOW, LOW, tf.float32]
    for ours, theirs in zip(low, high, strict=True):
        assert np.linalg.norm(tf.cast(ours, tf.float32) - theirs) < 0.01 * np.linalg.norm(theirs)


@pytest.fixture(params=["natively", "in float32"])
def products(request, monkeypatch):
    """Once as on this processor, and once as where TensorFlow sums products of bfloat16 in bfloat16."""
    if request.param == "in float32":
        monkeypatch.setattr(low_products, "sums_in_float32", lambda: False)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("shape", [[2, 6, 6, 3], [20, 14, 14, 8], [8, 28, 28, 1]])  # kernels' gradients both ways
def test_convolutions_and_all_their_derivatives(shape):
    """Beside float32's of the same rounded numbers."""
    h, kernel = random(shape), tf.cast(random([3, 3, shape[-1], 5], 1), tf.float32)
    weights = [tf.cast(random([*shape[:3], 5], 2), tf.float32), tf.cast(random(kernel.shape, 3), tf.float32)]

    def derivatives(convolve, h, kernel):
        with tf.GradientTape() as outer:
            outer.watch([h, kernel])
            with tf.GradientTape() as inner:
                inner.watch([h, kernel])
                x = convolve(h, kernel)
                loss = tf.reduce_sum(tf.cast(x, tf.float32) ** 2 * weights[0])
            by_h, by_kernel = inner.gradient(loss, [h, kernel])
            total = tf.reduce_sum(tf.cast(by_h, tf.float32) ** 2) + tf.reduce_sum(by_kernel * weights[1])
        return x, by_h, by_kernel, *outer.gradient(total, [h, kernel])

    found = derivatives(layers.conv_bfloat16, h, kernel)
    wanted = derivatives(layers.conv2d, tf.cast(h, tf.float32), kernel)
    assert [t.dtype for t in found] == [LOW, LOW, tf.float32, LOW, tf.float32]
    for ours, theirs in zip(found, wanted, strict=True):
        close(ours, theirs, 4 * STEP)


@pytest.mark.parametrize("gate", [layers.gate, layers.gate_first])
@pytest.mark.parametrize("shape", [[3, 4, 4, 2], [8, 28, 28, 8]])  # without XLA and with it
def test_the_gate_and_its_derivatives(gate, shape):
    mu, a, d = random(shape), 4 * random(shape, 1), random(shape, 2)

    def derivatives(gate, mu, a, d):
        with tf.GradientTape() as outer:
            outer.watch([mu, a, d])
            with tf.GradientTape() as inner:
                inner.watch([mu, a])
                x = gate(mu, a)
            by_mu, by_a = inner.gradient(x, [mu, a], d)
            total = tf.reduce_sum(tf.cast(by_mu, tf.float64) ** 2) + tf.reduce_sum(tf.cast(by_a, tf.float64) ** 2)
        return x, by_mu, by_a, *outer.gradient(total, [mu, a, d])

    exact = [tf.cast(t, tf.float64) for t in (mu, a, d)]
    found, wanted = derivatives(gate, mu, a, d), derivatives(lambda mu, a: mu * tf.math.softplus(a), *exact)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == LOW
        close(ours, theirs, 4 * STEP)


def test_rough_functions_are_finer_than_bfloat16():
    x = tf.concat([tf.linspace(-200.0, 200.0, 40_001), tf.linspace(-0.01, 0.01, 101)], 0)
    exact = np.asarray(x, np.float64)
    wanted = np.maximum(exact, 0) + np.log1p(np.exp(-np.abs(exact)))
    np.testing.assert_allclose(fused.rough_softplus(x), wanted, rtol=STEP / 16, atol=1e-37)
    np.testing.assert_allclose(fused.rough_exp(-tf.abs(x)), np.exp(-np.abs(exact)), rtol=STEP / 16, atol=1e-37)


@pytest.mark.parametrize("size", [[2, 6, 6, 3], [8, 28, 28, 8]])
def test_of_equal_maxima_the_first_wins_in_both_derivatives(size):
    """In bfloat16 many are equal."""
    x = tf.cast(np.random.RandomState(0).randint(0, 3, size), LOW)
    pooled, place = fused.pool(x)
    windows = np.stack([np.asarray(tf.cast(q, tf.float32)) for q in fused.quarters(x)])
    np.testing.assert_array_equal(place, windows.argmax(0))  # NumPy's is the first
    assert (np.diff(np.sort(windows, 0)[-2:], axis=0) == 0).mean() > 0.3
    d, zero = random(pooled.shape, 1), tf.zeros([size[-1]])
    put = np.asarray(tf.cast(fused.put_back(x, zero, zero, place, d), tf.float32))
    where = np.stack([put[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    np.testing.assert_array_equal(where.sum(0), tf.cast(d, tf.float32))
    np.testing.assert_array_equal((where != 0).argmax(0), windows.argmax(0))
    np.testing.assert_array_equal(tf.cast(fused.take(x, place), tf.float32), tf.cast(pooled, tf.float32))


SMALL = dict(dataset="strokes", way=2, shot=1, query=2, metabatch=2, n_steps=2, wandb="disabled")
METHODS = {
    "maml": dict(maml=True),
    "metadrop": {},
    "metadrop tf1": dict(second_order="tf1"),
    "metadrop first": dict(second_order="first"),
    "metasgd": dict(inner="metasgd"),
    "additive": dict(noise_type="additive"),
    "weight": dict(noise_type="weight_gaussian"),
    "independent": dict(noise_type="independent_gaussian"),
    "fixed": dict(noise_type="fixed_gaussian"),
    "mixup": dict(maml=True, regularizer="manifold_mixup"),
    "vib": dict(maml=True, regularizer="vib"),
    "info": dict(maml=True, regularizer="info_dropout"),
    "report": dict(noise_type="additive", noise_variant="report"),
    **{name: dict(maml=True, normalization=name) for name in ("support", "tasknorm", "instance", "layer")},
}
OFTEN = ("metadrop", "tasknorm")


def gradients(config):
    """The meta-gradient of a small task in float64, and in the config's precision with the same decisions."""
    images = np.random.RandomState(0).random_sample([14, 28, 28, 1])
    labels = lambda n: np.eye(2)[np.arange(n) % 2]

    def compute(precision):
        c = dataclasses.replace(config, precision=precision)
        method = load_method(c)
        start = cast(network.initial(method, c.way, rng.key(0, rng.INITIAL_WEIGHTS)), c.dtype)
        task = Task(*[tf.constant(part, c.dtype) for part in (images[:4], labels(4), images[4:], labels(10))])
        noise = rng.StandardNormal(rng.key(0, rng.TRAIN), c.dtype)
        run = with_decisions(lambda p, task: task_gradient(p, task, c, method, noise)[:2], pytest.MonkeyPatch.context)
        return lambda given: run(start, task, given)

    wanted, decisions = compute("float64")(None)
    return compute(config.precision)(decisions)[0], wanted


def apart(found, wanted):
    """The norm of the gradients' difference, in parts of that of those wanted."""
    found, wanted = (np.concatenate([np.ravel(g[name]) for name in wanted]) for g in (found, wanted))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", often(METHODS, OFTEN))
def test_but_for_rounding_every_gradient_is_that_of_float64(name, monkeypatch):
    """With float32 in the place of bfloat16 nothing is rounded; rough functions are right to 2e-4."""
    monkeypatch.setattr(tf, "bfloat16", tf.float32)
    monkeypatch.setattr(Config, "maps_dtype", Config.dtype)
    (found, loss), (wanted, exact) = gradients(Config(**SMALL | METHODS[name], precision="bfloat16"))
    np.testing.assert_allclose(loss, exact, rtol=1e-3)
    assert apart(found, wanted) < 5e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maml", "metadrop"])
def test_rounding_moves_the_meta_gradient_little(name):
    """First order alone would be 0.6 to 1 away from exact,."""
    (found, loss), (wanted, exact) = gradients(Config(**SMALL | METHODS[name], precision="bfloat16"))
    assert loss.dtype == tf.float32 and abs(float(loss) / float(exact) - 1) < 0.03
    assert {g.dtype for g in found.values()} == {tf.float32}
    assert apart(found, wanted) < 0.1


def test_a_run_in_bfloat16(tmp_path):
    settings = SMALL | dict(n_train_iters=2, n_eval_batches=1, precision="bfloat16", second_order="first")
    run = lambda name, **more: meta_train(Config(**settings | dict(savedir=str(tmp_path / name)) | more))
    first = run("a")
    assert_equal_arrays(run("b").params, first.params)  # the same bits in two runs
    assert {w.dtype for w in first.params.values()} == {tf.float32}
    for precision, words in (("float32", "holds a run with --precision=bfloat16"), ("tf32", "--precision=tf32")):
        with pytest.raises(UsageError, match=words):
            run("a", precision=precision, n_train_iters=4)
    test = dict(n_test_iters=2, metabatch=1, n_test_mc_samp=2, savedir=str(tmp_path / "a"), wandb="disabled")
    low, full = (meta_test(Config(**test, precision=p), {*test, "precision"}) for p in ("bfloat16", "float32"))
    assert abs(low["cent"] - full["cent"]) < 0.1 * full["cent"]


@pytest.mark.usefixtures("products")
def test_convolutions_of_several_tasks_at_once_are_those_of_each():
    """Where tasks run at once each has its own kernels."""
    h, upstream = random([2, 3, 6, 6, 4]), tf.cast(random([2, 3, 6, 6, 5], 3), tf.float32)
    kernel, bias = tf.cast(random([2, 3, 3, 4, 5], 1), tf.float32), tf.cast(random([2, 5], 2), tf.float32)

    def result_and_gradients(h, kernel, bias, upstream):
        with tf.GradientTape() as tape:
            tape.watch([h, kernel, bias])
            x = layers.conv(h, kernel, bias)
            loss = tf.reduce_sum(tf.cast(x, tf.float32) * upstream)
        return x, *tape.gradient(loss, [h, kernel, bias])

    at_once = result_and_gradients(h, kernel, bias, upstream)
    assert [t.dtype for t in at_once] == [LOW, LOW, tf.float32, tf.float32]
    for task in range(2):
        alone = result_and_gradients(h[task], kernel[task], bias[task], upstream[task])
        for ours, theirs in zip(at_once, alone, strict=True):
            close(ours[task], theirs, 4 * STEP)


def test_sums_in_bfloat16_are_found():
    convolve, by_input, by_kernel, multiply = low_products.products()
    h, d = multiply[1:]
    in_parts = lambda h, d: functools.reduce(tf.add, [tf.matmul(h[i::98], d[i::98], True) for i in range(98)])
    assert low_products.error(in_parts, h, d) > low_products.TOLERANCE
    for product, *tensors in (convolve, by_input, by_kernel, multiply):
        error = low_products.error(functools.partial(low_products.low_product, product), *tensors)
        assert 0 < error < low_products.TOLERANCE


@pytest.mark.parametrize(
    "more",
    [
        {},
        dict(tasks="at_once"),
        pytest.param(dict(backbone="resnet12", widths="4,4,4,4"), marks=pytest.mark.nightly),
    ],
)
def test_every_product_is_in_float32_where_sums_would_not_be(more, monkeypatch):
    """Those of a whole step, with all derivatives."""
    config = Config(**SMALL | dict(precision="bfloat16", n_steps=1) | more)

    def of_bfloat16():
        method, *arguments = flops.arguments(config)
        graph = make_train_step(config, method).get_concrete_function(*arguments).graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        products = [node for node in nodes if re.search("Conv|MatMul|Einsum", node.op)]
        return [node.name for node in products if node.attr["T"].type == LOW.as_datatype_enum]

    if not more:
        monkeypatch.setattr(low_products, "sums_in_float32", lambda: True)
        assert of_bfloat16()
    monkeypatch.setattr(low_products, "sums_in_float32", lambda: False)
    assert not of_bfloat16()


def test_a_processor_that_emulates_it_is_told(monkeypatch, capsys):
    config = Config(**SMALL, precision="bfloat16")
    execution.say_emulated.cache_clear()
    monkeypatch.setattr(environment, "computes_bfloat16", lambda: True)
    execution.prepare(config)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(environment, "computes_bfloat16", lambda: False)
    execution.prepare(config)
    execution.prepare(config)  # a MetaLearner's
    assert capsys.readouterr().err.count("this processor has no instructions for it") == 1


def test_the_mean_over_samples_is_in_float32():
    """8 bits of a sum keep no sample after the 256th."""
    ones = tf.ones([3]), tf.ones([3], LOW)
    gradient = lambda sample: (ones, tf.zeros([]), None)
    (full, low), _ = mean_over_samples(gradient, ones, 1000, 1, 1)
    assert low.dtype == LOW and full.dtype == tf.float32
    for found in low, full:
        np.testing.assert_allclose(tf.cast(found, tf.float32), 1, rtol=1e-5)
