"""Methods that draw for themselves, and what a noise type draws from."""

import random

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.often import often
from tf_metadrop import Config, UsageError, check_repeatable, meta_train, noise, regularizer
from tf_metadrop.methods.regularizer.none import Regularizer
from tf_metadrop.nn import rng

SMALL = dict(
    dataset="strokes", way=2, shot=1, query=1, metabatch=1, n_steps=1, n_train_iters=2, n_eval_batches=1, log_freq=1,
    blocks=2, second_order="first", wandb="disabled",
)  # fmt: skip


def noise_type(draw):
    """A type whose hidden layers' noise is draw(normal, shape)."""

    class Toy:
        SAMPLED, TRAINED_PHI = True, ("phi_kernel", "phi_bias")
        logits = staticmethod(noise.load("metadrop").logits)

        @staticmethod
        def features(site, normal):
            mu, alpha = site.maps()
            return mu * tf.nn.softplus(alpha if normal is None else alpha + draw(normal, mu.shape))

    return Toy


DRAWN_FOR_ITSELF = {
    "tf.random.uniform": lambda normal, shape: tf.random.uniform(shape),
    "in a branch": lambda normal, shape: tf.cond(
        tf.constant(True), lambda: tf.random.uniform(shape), lambda: tf.zeros(shape)
    ),
    "tf.random.Generator": lambda normal, shape: tf.random.get_global_generator().normal(shape),
    "numpy": lambda normal, shape: tf.constant(np.random.standard_normal(shape), tf.float32),
    "python": lambda normal, shape: tf.fill(shape, random.random()),
}
GOOD = {
    "several": lambda normal, shape: normal(shape) * normal(shape) + normal.uniform(shape),
}


@pytest.fixture
def toy(request):
    noise.register("toy", noise_type({**DRAWN_FOR_ITSELF, **GOOD}[request.param]))
    yield "toy"
    noise.unregister("toy")


@pytest.mark.parametrize("toy", often(DRAWN_FOR_ITSELF, ["numpy", "in a branch"]), indirect=True)
def test_a_noise_type_that_draws_for_itself_is_found(toy):
    with pytest.raises(UsageError, match="toy_blocks2 gives a different meta-gradient when it is computed again: draw"):
        check_repeatable(Config(**SMALL, noise_type=toy))


@pytest.mark.parametrize("toy", ["several"], indirect=True)
def test_one_that_draws_from_what_it_is_given_passes(toy):
    check_repeatable(Config(**SMALL | dict(noise_type=toy, second_order="exact")))


def test_noise_that_knows_no_seed_is_found():
    noise.register("toy", noise_type(lambda normal, shape: tf.ones(shape)))
    noise.load("toy").logits = staticmethod(noise.load("maml").logits)
    try:
        with pytest.raises(UsageError, match="toy_blocks2 gives the same meta-gradient for every seed"):
            check_repeatable(Config(**SMALL, noise_type="toy"))
    finally:
        noise.unregister("toy")


class Shaken(Regularizer):
    def enter(self, number, h, mixing):
        return h + tf.random.normal(h.shape)


def test_other_methods_that_draw_for_themselves_are_found_too(tmp_path):
    class module:
        @staticmethod
        def make(config, backbone):
            return Shaken()

    regularizer.register("shaken", module)
    try:
        with pytest.raises(UsageError, match="maml_shaken_blocks2 gives a different meta-gradient"):
            check_repeatable(Config(**SMALL, maml=True, regularizer="shaken"))
        with pytest.raises(
            UsageError, match=r"maml_shaken_blocks2 draws random numbers from TensorFlow \(RandomStandardNormal\)"
        ):
            meta_train(Config(**SMALL, maml=True, regularizer="shaken", savedir=str(tmp_path / "run")))
    finally:
        regularizer.unregister("shaken")


@pytest.mark.parametrize(
    ("toy", "tasks"),
    [("tf.random.uniform", "in_sequence"), ("tf.random.uniform", "at_once"), ("in a branch", "in_sequence")],
    indirect=["toy"],
)
def test_training_refuses_what_tensorflow_draws(toy, tasks, tmp_path):
    with pytest.raises(
        UsageError, match=r"toy_blocks2 draws random numbers from TensorFlow \(RandomUniform\), so two runs with one"
    ):
        meta_train(Config(**SMALL, noise_type=toy, tasks=tasks, savedir=str(tmp_path / "run")))


@pytest.mark.nightly
@pytest.mark.parametrize("name", noise.names())
def test_the_noise_types_are_repeatable(name):
    check_repeatable(Config(**SMALL, noise_type=name))


def draws(layer=1, seed=0):
    task = rng.StandardNormal(rng.key(seed, rng.TRAIN))
    return rng.LayerDraws(lambda layer, shape: task(0, 0, layer, shape), layer)


def test_uniform_noise_is_uniform_and_of_the_seed():
    n = 200_000
    first, second, normal = (draw.numpy() for draw in (lambda d: (d.uniform([n]), d.uniform([n]), d([n])))(draws()))
    for found in (first, second):
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() < 1
        assert np.abs(np.sort(found) - (np.arange(n) + 0.5) / n).max() < 1.95 / n**0.5  # Kolmogorov-Smirnov, 0.1 %
        assert abs(np.corrcoef(found, normal)[0, 1]) < 4 / n**0.5
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / n**0.5
    np.testing.assert_array_equal(draws().uniform([n]), first)
    for other in (draws(layer=2), draws(seed=1)):
        assert abs(np.corrcoef(other.uniform([n]), first)[0, 1]) < 4 / n**0.5


def test_the_first_draw_of_a_layer_is_as_it_always_was():
    task = rng.StandardNormal(rng.key(0, rng.TRAIN))
    np.testing.assert_array_equal(draws(layer=3)([5, 7]), task(0, 0, 3, [5, 7]))
