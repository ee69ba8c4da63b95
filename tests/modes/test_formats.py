"""Adapted classifiers for other programs: each is run in a process without this one's code."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.keras_models import branched
from tests.helpers.often import often
from tf_metadrop import Config, MetaLearner, UsageError, backbones, noise
from tf_metadrop.cli import adapt
from tf_metadrop.data import load_split
from tf_metadrop.modes import formats

FORMATS = "savedmodel", "tflite", "keras"
STRANGER = """
import sys, warnings
import numpy as np
import tensorflow as tf
warnings.simplefilter("ignore")
x = np.load("x.npy")
served = tf.saved_model.load("out/saved_model").signatures["serving_default"]
found = {"savedmodel": served(images=tf.constant(x))["probabilities"].numpy()}
assert served(images=tf.constant(x[:1]))["probabilities"].shape[0] == 1
interpreter = tf.lite.Interpreter("out/model.tflite")
interpreter.allocate_tensors()
(entry,), (exit,) = interpreter.get_input_details(), interpreter.get_output_details()
rows = []
for image in x:
    interpreter.set_tensor(entry["index"], image[None])
    interpreter.invoke()
    rows.append(interpreter.get_tensor(exit["index"])[0])
found["tflite"] = np.array(rows)
import keras
model = keras.models.load_model("out/model.keras")
assert all(type(layer).__module__.startswith("keras.src.layers") for layer in model.layers)
assert not any("Lambda" in type(layer).__name__ for layer in model.layers)
found["keras"] = model.predict(x, verbose=0)
assert not any(name.split(".")[0] == "tf_metadrop" for name in sys.modules)
np.savez("found.npz", **found)
"""


@pytest.fixture(scope="module")
def drawings():
    """Images [class, instance, 28, 28, 1] of strokes, uint8."""
    return load_split("strokes", "data", "val")


def adapted(drawings, classes=3, large=False, **settings):
    """A learner whose weights are not tiny; large: alpha is -200 or 200."""
    learner = MetaLearner(Config(**dict(dataset="strokes", way=3, n_steps=1, inner_lr=1e-3) | settings))
    random = np.random.RandomState(0)
    for name, w in learner.params.items():
        sd = np.sqrt(1 / max(np.prod(w.shape[:-1]), 1)) if name.endswith("_w") else 0.3
        value = random.standard_normal(w.shape) * sd
        if large and name.startswith("phi/") and not name.endswith("_w"):
            value = random.choice([-200.0, 200.0], w.shape)
        learner.params[name] = tf.constant(value, w.dtype)
    return learner.adapt(drawings[:classes, :3].reshape(-1, 28, 28, 1), np.repeat(list("abc")[:classes], 3))


def others(learner, drawings, folder, **settings):
    """What the three files say of images, in a process of its own, and what `predict_proba` says."""
    x = drawings[:3, 5:9].reshape(-1, 28, 28, 1).astype("f") / 255
    said = learner.save(folder / "out", formats=FORMATS, **settings)
    assert len(said) == 3 and all(line.startswith("wrote ") for line in said)
    np.save(folder / "x.npy", x)
    subprocess.run([sys.executable, "-I", "-c", STRANGER], cwd=folder, check=True, capture_output=True)
    return dict(np.load(folder / "found.npz")), learner.predict_proba(x)


CASES = {
    **{name: dict(noise_type=name) for name in noise.names()},
    "report": dict(noise_type="additive", noise_variant="report"),
    "resnet12": dict(backbone="resnet12", widths="4,5,6,7"),
    "keras": dict(backbone="mine"),
    "keras, layer": dict(backbone="mine", normalization="layer"),
    "support": dict(normalization="support"),
    "instance": dict(normalization="instance", blocks=2),
    "layer": dict(normalization="layer"),
    "vib": dict(regularizer="vib"),
    "float64": dict(precision="float64"),
}
OFTEN = "metadrop", "resnet12", "keras, layer"


@pytest.mark.slow
@pytest.mark.parametrize("name", often(CASES, OFTEN))
def test_each_format_is_predict_to_1e_5(name, drawings, tmp_path):
    if CASES[name].get("backbone") == "mine":
        backbones.register("mine", backbones.from_keras(branched(28, 3)))
    try:
        found, wanted = others(adapted(drawings, **CASES[name]), drawings, tmp_path)
    finally:
        backbones.unregister("mine")
    assert wanted.std() > 0.01
    text = json.loads((tmp_path / "out/model.json").read_text())
    alone = CASES[name].get("normalization") in ("layer", "instance")
    assert text["normalization"] == ("by its own" if alone else "by the support images' statistics")
    for kind in FORMATS:
        np.testing.assert_allclose(found[kind], wanted, rtol=0, atol=1e-5, err_msg=kind)


def test_activations_of_200_and_fewer_classes_than_way(drawings, tmp_path):
    learner = adapted(drawings, classes=2, large=True)
    found, wanted = others(learner, drawings, tmp_path)
    assert wanted.shape == (12, 2) and np.isfinite(wanted).all()
    for kind in FORMATS:
        np.testing.assert_allclose(found[kind], wanted, rtol=0, atol=1e-5, err_msg=kind)
    text = json.loads((tmp_path / "out/model.json").read_text())
    assert text["output"]["classes"] == ["a", "b"] and text["input"]["shape"] == [None, 28, 28, 1]
    np.testing.assert_allclose(
        MetaLearner.load(tmp_path / "out").predict_proba(drawings[0, 5:6]), wanted[:1], atol=1e-6
    )


def test_int8_is_smaller_and_nearly_the_same(drawings, tmp_path):
    learner = adapted(drawings)
    learner.save(tmp_path / "whole", formats=["tflite"])
    (said,) = learner.save(tmp_path / "int8", formats=["tflite"], quantize="int8")
    assert "int8" in said and json.loads((tmp_path / "int8/model.json").read_text())["tflite"] == "int8"
    whole, small = (tmp_path / name / "model.tflite" for name in ("whole", "int8"))
    assert small.stat().st_size < 0.35 * whole.stat().st_size
    x = drawings[:3, 5:15].reshape(-1, 28, 28, 1).astype("f") / 255
    run = formats.tflite_runner(small)
    found = np.concatenate([run(image[None]) for image in x])
    wanted = learner.predict_proba(x)
    assert np.abs(found - wanted).max() > 1e-5 and np.abs(found - wanted).mean() < 0.05


def test_bfloat16_is_exported_in_float32(drawings, tmp_path):
    learner = adapted(drawings, precision="bfloat16")
    learner.save(tmp_path / "out", formats=["keras"])
    x = drawings[:3, 5].astype("f") / 255
    import keras

    found = keras.models.load_model(tmp_path / "out/model.keras").predict(x, verbose=0)
    np.testing.assert_allclose(found, learner.predict_proba(x), atol=0.05)


def test_an_export_leaves_the_precision_of_the_process_as_it_was(drawings, tmp_path):
    """The files are in float32, of whatever precision the learner is."""
    try:
        learner = adapted(drawings, precision="tf32")
        assert tf.config.experimental.tensor_float_32_execution_enabled()
        learner.save(tmp_path / "out", formats=["keras"])
        assert tf.config.experimental.tensor_float_32_execution_enabled()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(False)


class Nameless:
    """A noise type that does not say its mean."""

    SAMPLED, TRAINED_PHI = False, ()

    def features(self, site, normal):
        return site.mu() * 2

    def logits(self, site, normal):
        return site.mu()


class Wrong(Nameless):
    """One that says another mean than it has."""

    def mean(self, theta, phi):
        return theta, phi


@pytest.mark.parametrize(
    ("settings", "options", "sentence"),
    [
        (
            dict(normalization="tasknorm"),
            dict(formats=["keras"]),
            "--normalization=tasknorm cannot be exported, because",
        ),
        (
            dict(noise_type="other"),
            dict(formats=["keras"]),
            "--noise_type=other cannot be exported: define `mean` in its module",
        ),
        (dict(noise_type="wrong"), dict(formats=["keras"]), "--format=keras cannot hold this classifier: its prob"),
        ({}, dict(formats=["onnx"]), "--format=onnx is not known: choose from savedmodel, tflite, keras"),
        ({}, dict(formats=["keras"], quantize="int8"), "--quantize=int8 is only for --format=tflite"),
        ({}, dict(formats=["tflite"], quantize="int4"), "--quantize=int4 is not known: choose int8"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(settings, options, sentence, drawings, tmp_path):
    noise.register("other", Nameless())
    noise.register("wrong", Wrong())
    try:
        with pytest.raises(UsageError, match=sentence):
            adapted(drawings, **settings).save(tmp_path / "out", **options)
    finally:
        noise.unregister("other"), noise.unregister("wrong")
    assert not list(tmp_path.iterdir())


def test_a_loaded_classifier_needs_images_to_be_exported(drawings, tmp_path):
    adapted(drawings).save(tmp_path / "out")
    learner = MetaLearner.load(tmp_path / "out")
    with pytest.raises(UsageError, match="or give support_x"):
        learner.save(tmp_path / "out", overwrite=True, formats=["keras"])
    assert MetaLearner.load(tmp_path / "out").classes.tolist() == list("abc")
    learner.save(tmp_path / "out", overwrite=True, formats=["keras"], support_x=drawings[:3, 0])
    assert (tmp_path / "out/model.keras").exists()
    assert json.loads((tmp_path / "out/model.json").read_text())["tflite"] is None


def test_the_command_line(drawings, tmp_path, capsys, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    adapted(drawings).save("model")
    for label in range(2):
        (tmp_path / "support" / f"class{label}").mkdir(parents=True)
        for number in range(2):
            file = tmp_path / "support" / f"class{label}" / f"{number}.png"
            Image.fromarray(drawings[label, number, ..., 0]).save(file)
    command = ["metadrop adapt", "--savedir=model", "--support=support", "--out=phone"]
    assert adapt.main([*command, "--format=onnx"]) == 2
    assert "--format=onnx is not known" in capsys.readouterr().err and not (tmp_path / "phone").exists()
    assert adapt.main([*command, "--format=tflite, keras", "--quantize=int8"]) == 0
    out = capsys.readouterr().out
    assert "wrote model.tflite (" in out and "int8: " in out and "wrote model.keras (" in out
    assert {path.name for path in (tmp_path / "phone").iterdir()} == {
        "classifier.json", "classifier.npz", "model.json", "model.keras", "model.tflite"
    }  # fmt: skip
