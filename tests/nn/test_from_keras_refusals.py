"""Keras models, settings and descriptions of networks that cannot be used: each is refused by name."""

import json
import warnings

import keras
import pytest

from tests.helpers.keras_models import SIZE, copy_of_conv4
from tf_metadrop import Config, MetaLearner, UsageError, backbones

of = keras.layers  # for what cannot be taken


def chain(*layers, shape=(28, 28, 1)):
    return lambda: keras.Sequential([keras.Input(shape), *layers])


def twice():
    x, conv = keras.Input((28, 28, 1)), of.Conv2D(1, 3, padding="same")
    return keras.Model(x, of.Dense(5)(of.Flatten()(conv(conv(x)))))


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Subclassed, "Subclassed is not a Sequential or functional Keras model"),
        (object, "object is not a Sequential or functional Keras model"),
        (
            chain(of.Flatten(), of.Dropout(0.5, name="drop"), of.Dense(5)),
            r"the layer drop \(Dropout\) cannot be converted",
        ),
        (
            chain(keras.Sequential([of.Flatten()], name="inner"), of.Dense(5)),
            r"inner \(Sequential\) cannot be converted",
        ),
        (chain(of.Conv2D(3, 3, dilation_rate=2), of.Flatten(), of.Dense(5)), "has a dilation, groups, or channels"),
        (chain(of.Conv2D(2, 3, kernel_regularizer="l2"), of.Flatten(), of.Dense(5)), "has a kernel_regularizer"),
        (chain(of.Conv2D(2, 3, activation="hard_tanh"), of.Flatten(), of.Dense(5)), "has the activation hard_tanh"),
        (chain(of.Conv2D(2, 3, activation="softmax"), of.Flatten(), of.Dense(5)), "has a softmax before its end"),
        (chain(of.Dense(5)), r"dense \(Dense\) gets maps of shape \(28, 28, 1\)"),
        (chain(of.Conv2D(2, 3), of.Flatten()), "does not end in a Dense"),
        (chain(of.Flatten(), of.Dense(5, use_bias=False)), "does not end in a Dense with bias"),
        (chain(of.BatchNormalization(), of.Flatten(), of.Dense(5)), "comes before the first Conv2D or Dense"),
        (chain(of.GlobalMaxPooling2D(), of.Dense(5), shape=(None, None, 1)), "must be the only input, of images"),
        (lambda: keras.Sequential([of.Flatten(), of.Dense(5)]), "has no input shape: begin it with keras.Input"),
        (twice, "is used 2 times"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(model, sentence):
    with pytest.raises(UsageError, match=sentence):
        backbones.from_keras(model())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(way=3), "the last Dense of --backbone has 2 units, but a task has --way=3"),
        (dict(dataset="mimgnet"), "is a network for images of 28x28x1, but mimgnet has 84x84x3"),
        (dict(regularizer="info_dropout"), "acts in blocks, but --backbone=mine has none"),
        (dict(regularizer="manifold_mixup"), "acts in blocks, but --backbone=mine has none"),
        (dict(filters=8), "--filters=8 is not for --backbone=mine"),
        (dict(backbone="yours"), "--backbone=yours is not known: choose one of conv4, mine, resnet12, or a Keras file"),
        (dict(backbone="yours.keras"), "yours.keras is not a file that Keras"),
    ],
)
def test_settings_that_do_not_fit(settings, sentence, registered):
    registered("mine", backbones.from_keras(copy_of_conv4(size=28)))
    with pytest.raises(UsageError, match=sentence):
        MetaLearner(Config(**dict(dataset="strokes", way=2, backbone="mine") | settings))


def test_batch_normalisation_is_said_to_be_replaced(capsys):
    backbones.from_keras(copy_of_conv4())
    out = capsys.readouterr().out
    assert out.count("BatchNormalization is replaced by this program's") == 1 and "correct to second order" in out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda found: "{", "is not a description of a network"),
        (lambda found: json.dumps({**found, "format": 9}), r"^\S+ has the format 9, but this version reads 1: [^:]*$"),
        (lambda found: json.dumps({**found, "nodes": found["nodes"][:-1]}), "does not end in a dense layer"),
        (lambda found: json.dumps({**found, "nodes": [{**found["nodes"][0], "padding": "odd"}]}), "padding='odd'"),
        (lambda found: json.dumps({**found, "nodes": [{**found["nodes"][0], "inputs": [7]}]}), "that do not exist"),
    ],
)
def test_descriptions_that_are_broken(change, sentence, tmp_path, registered):
    registered("mine", backbones.from_keras(copy_of_conv4(size=28)))
    backbones.keep(tmp_path, "mine")
    assert backbones.read(tmp_path / "backbone.json")[1].nodes == backbones.load("mine").nodes
    found = json.loads((tmp_path / "backbone.json").read_text())
    (tmp_path / "backbone.json").write_text(change(found))
    with pytest.raises(UsageError, match=sentence):
        Config(savedir=str(tmp_path), backbone="mine")


def test_what_would_be_another_network_is_refused_or_said():
    of = keras.layers
    x = keras.Input((SIZE, SIZE, 1))
    h = of.Conv2D(3, 3)(x)
    model = keras.Model(x, of.Dense(2)(of.Flatten(data_format="channels_first")(h)))
    with pytest.raises(UsageError, match="has channels first: leave that out"):
        backbones.from_keras(model)
    model = copy_of_conv4()
    model.layers[0].trainable = False
    with pytest.raises(UsageError, match="is frozen, but every layer is meta-learned: set trainable=True"):
        backbones.from_keras(model)
    with pytest.raises(UsageError, match="the model has named outputs: build it with one"):
        backbones.from_keras(keras.Model(x, {"a": of.Dense(2)(of.Flatten()(h))}))
    model = copy_of_conv4()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbones.from_keras(model, keep_weights=True)
    model.layers[1].gamma.assign([2.0] * 3)
    with pytest.warns(UserWarning, match=f"gamma and beta of {model.layers[1].name} are not kept"):
        backbones.from_keras(model, keep_weights=True)
