"""MetaLearner: a user's own few images."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.runs import assert_equal_arrays
from tf_metadrop import Config, MetaLearner, UsageError
from tf_metadrop.data import load_split
from tf_metadrop.methods import network, noise
from tf_metadrop.nn.params import of_theta


@pytest.fixture(scope="module")
def drawings():
    """Images [class, instance, 28, 28, 1] of strokes, uint8."""
    return load_split("strokes", "data", "val")


@pytest.fixture
def learner():
    return MetaLearner(Config(dataset="strokes", way=5, n_steps=2, blocks=2))


def test_adapt_then_predict_in_the_users_labels(learner, drawings):
    support, query = drawings[:3, :2].reshape(-1, 28, 28, 1), drawings[:3, 2:6].reshape(-1, 28, 28, 1)
    labels = np.repeat(["cat", "ant", "bee"], 2)
    before = {name: w.numpy() for name, w in learner.params.items()}
    assert learner.adapt(support, labels) is learner
    assert learner.classes.tolist() == ["ant", "bee", "cat"]
    proba = learner.predict_proba(query)
    assert proba.shape == (12, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert learner.predict(query).tolist() == [learner.classes[i] for i in proba.argmax(axis=1)]
    assert_equal_arrays(learner.params, before)


def test_uint8_floats_and_flat_channels_are_the_same_images(learner, drawings):
    support, query, labels = drawings[:2, 0], drawings[:2, 5], [0, 1]
    expected = learner.adapt(support, labels).predict_proba(query)
    as_floats = learner.adapt(support / 255.0, labels).predict_proba(query[..., 0])
    np.testing.assert_allclose(as_floats, expected, rtol=1e-4)


def test_transductive_predictions_come_from_the_query_batch_without_noise(learner, drawings):
    learner.adapt(drawings[:5, 0], range(5))
    query, predict = drawings[:5, 1], lambda x: learner.predict_proba(x, transductive=True)
    np.testing.assert_array_equal(predict(query), predict(query))
    assert np.abs(predict(query)[:2] - predict(query[:2])).max() > 1e-4
    expected = tf.nn.softmax(network.forward(learner._adapted, tf.cast(query, "float32") / 255, learner._method))
    np.testing.assert_allclose(predict(query), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("message", "x", "y"),
    [
        (r"support_x has shape \(2, 5, 5, 1\): give \[n, 28, 28, 1\]", np.zeros([2, 5, 5, 1]), [0, 1]),
        ("one label for each of the 3 images", np.zeros([3, 28, 28]), [0, 1]),
        ("has 6 classes: give 2 to 5", np.zeros([6, 28, 28]), range(6)),
        ("has 1 classes: give 2 to 5", np.zeros([2, 28, 28]), [1, 1]),
        (r"values outside \[0, 1\]", np.full([2, 28, 28], 255.0), [0, 1]),
        (r"values outside \[0, 1\]: divide by 255", np.full([2, 28, 28], 255), [0, 1]),
        ("non-finite values", np.full([2, 28, 28], np.nan), [0, 1]),
        ("holds values that are not numbers", np.full([2, 28, 28], "ink"), [0, 1]),
        ("support_y is not a list of labels", np.zeros([2, 28, 28]), [[0], [1]]),
        ("support_y is not a list of labels", np.zeros([2, 28, 28]), 3),
        ("one label for each of the 2 images", np.zeros([2, 28, 28]), []),
    ],
)
def test_images_that_do_not_fit(learner, message, x, y):
    with pytest.raises(UsageError, match=message):
        learner.adapt(x, y)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a"], ["a", "b"]),
        ((2.5, 1), [1, 2.5]),
        ([1, "b"], [1, "b"]),
        ([None, ("a", 1)], [None, ("a", 1)]),
        (np.array(["b", 1], object), ["b", 1]),
        (np.array([7, 5], np.uint8), [5, 7]),
        ({"b": 0, "a": 1}.keys(), ["a", "b"]),
    ],
)
def test_labels_come_back_as_they_were_given(learner, drawings, labels, classes):
    support = drawings[:2, 0]
    learner.adapt(support, labels)
    assert learner.classes.tolist() == classes
    likely = learner.predict_proba(support).argmax(1)
    assert learner.predict(support).tolist() == [classes[i] for i in likely]
    assert {type(label) for label in learner.classes.tolist()} == {type(label) for label in classes}


def test_another_config_is_heeded_by_the_next_adaptation(learner, drawings):
    support, labels, query = drawings[:5, 0], range(5), drawings[:5, 1]
    before = learner.adapt(support, labels).predict_proba(query)
    learner.config = dataclasses.replace(learner.config, n_steps=4, inner_lr=0.5)
    after = learner.adapt(support, labels).predict_proba(query)
    assert np.abs(after - before).max() > 1e-3
    new = MetaLearner(learner.config, learner.params).adapt(support, labels)
    np.testing.assert_array_equal(new.predict_proba(query), after)


def test_predict_before_adapt(learner, drawings):
    with pytest.raises(UsageError, match="has not been adapted"):
        learner.predict(drawings[:2, 0])


def test_registered_noise_type_is_a_value_of_the_flag(drawings):
    class Halved:
        """Plain MAML with halved features."""

        SAMPLED, TRAINED_PHI = False, ()
        logits = staticmethod(noise.load("maml").logits)

        @staticmethod
        def features(site, normal):
            return site.mu() / 2

    with pytest.raises(UsageError, match="choose one of additive"):
        Config(noise_type="halved")
    noise.register("halved", Halved)
    try:
        learner = MetaLearner(Config(dataset="strokes", way=5, n_steps=1, blocks=2, noise_type="halved"))
        assert learner.adapt(drawings[:5, 0], range(5)).predict(drawings[:5, 1]).shape == (5,)
    finally:
        noise.unregister("halved")


def test_only_theta_is_adapted(learner, drawings):
    learner.adapt(drawings[:5, 0], range(5))
    for name, w in learner.params.items():
        changed = not np.array_equal(w, learner._adapted[name])
        assert changed == (name in of_theta(learner.params)), name


def test_an_adaptation_that_diverges_is_an_error_and_changes_nothing(learner, drawings):
    support, labels = drawings[:2, :2].reshape(-1, 28, 28, 1), [0, 0, 1, 1]
    before = learner.adapt(support, labels).predict_proba(drawings[0, 3:5])
    config = learner.config
    learner.config = dataclasses.replace(config, inner_lr=1e30)
    with pytest.raises(UsageError, match="diverged to non-finite values .* at inner_lr=1e\\+30: give a lower one"):
        learner.adapt(support, labels)
    learner.config = config
    np.testing.assert_array_equal(learner.predict_proba(drawings[0, 3:5]), before)


@pytest.mark.parametrize("change", [dict(precision="float64"), dict(inner="metasgd"), dict(way=7), dict(maml=True)])
def test_what_the_weights_are_not_made_for_is_refused(change, learner):
    with pytest.raises(UsageError, match=f"learner.config cannot have another {[*change][0]}, for which"):
        learner.config = dataclasses.replace(learner.config, **change)
