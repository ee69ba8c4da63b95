"""Writes an adapted classifier for other programs: as a SavedModel, a TFLite (LiteRT) file or a .keras file."""

from __future__ import annotations

import json
import pathlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.errors import UsageError
from tf_metadrop.nn import keras_model
from tf_metadrop.nn.params import cast
from tf_metadrop.runs.adapted_model import EXPORT_TEXT, EXPORTS
from tf_metadrop.util.quiet import quiet, silent

if TYPE_CHECKING:
    from tf_metadrop.config.config import Config
    from tf_metadrop.methods.method import Method
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Params

FORMATS = tuple(EXPORTS)
QUANTIZATIONS = ("int8",)
TOLERANCE = 1e-4  # largest difference of a probability between the file and `predict`


class Adapted(NamedTuple):
    """An adapted classifier that is to be exported.

    Attributes:
      config, method: settings of the model.
      params, statistics: those of the adapted network; see `MetaLearner`.
      classes: names of the classes, in the order of the outputs.
      images: support images [n, height, width, channels] in [0, 1], for comparison and for quantisation.
      probabilities: the output of `predict_proba` for these images.
    """

    config: Config
    method: Method
    params: Params
    statistics: Statistics
    classes: list[str]
    images: np.ndarray
    probabilities: np.ndarray


def check(formats: tuple[str, ...], quantize: str | None) -> None:
    """Raises UsageError if a format or the quantisation is unknown, or if the two cannot be combined."""
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--format={name} is not known: choose from {', '.join(FORMATS)}, separated by commas.")
    if quantize not in (None, *QUANTIZATIONS):
        raise UsageError(f"--quantize={quantize} is not known: choose {', '.join(QUANTIZATIONS)}, or leave it out.")
    if quantize and "tflite" not in formats:
        raise UsageError(f"--quantize={quantize} is only for --format=tflite: add that, or leave it out.")


def write(folder: pathlib.Path, adapted: Adapted, formats: tuple[str, ...], quantize: str | None = None) -> list[str]:
    """Writes a file or folder for each format, and model.json, into the folder; returns lines to print.

    Raises:
      UsageError: a format cannot hold this network, or the written file's output differs from that of `predict`.
    """
    check(formats, quantize)
    build = builder(adapted)
    said = []
    for name in formats:
        with quiet(), silent():
            run = WRITERS[name](folder / EXPORTS[name], build, adapted, quantize)
        found = run(adapted.images)
        exact = not (quantize and name == "tflite")
        apart = float(np.abs(found - adapted.probabilities).max())
        if exact and not apart <= TOLERANCE:
            raise UsageError(
                f"--format={name} cannot hold this classifier: its probabilities are off by {apart:.2g} on the support "
                "images. Use a --regularizer and a --noise_type whose prediction is a plain network."
            )
        same = float(np.mean(found.argmax(-1) == adapted.probabilities.argmax(-1)))
        how = f"within {apart:.1e} of predict" if exact else f"int8: {same:.0%} of the support images as predict"
        said.append(f"wrote {EXPORTS[name]} ({size(folder / EXPORTS[name]) / 2**20:.2f} MiB; {how}).")
    (folder / EXPORT_TEXT).write_text(
        json.dumps(described(adapted, formats, quantize), indent=1) + "\n", encoding="utf-8"
    )
    return said


def builder(adapted: Adapted) -> Callable[[bool], Any]:
    """A function (large) -> Keras model: see `keras_model.build`.

    Raises:
      UsageError: the backbone, the noise type or the normalisation cannot be part of a Keras model.
    """
    config, method = adapted.config, adapted.method
    keras_model.check_normalization(config.normalization_name)
    needed = (
        ("backbone", config.backbone, method.backbone, "nodes"),
        ("noise_type", config.noise_name, method.noise, "mean"),
    )
    for flag, name, of, part in needed:
        if not hasattr(of, part):
            raise UsageError(f"--{flag}={name} cannot be exported: define `{part}` in its module, or use another one.")
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UsageError(f"KERAS_BACKEND={keras.backend.backend()} cannot export: set it to tensorflow.")
    nodes = method.backbone.nodes(config.way)  # type: ignore[attr-defined]
    nodes[-1] = nodes[-1]._replace(options={**nodes[-1].options, "units": len(adapted.classes)})
    params = cast(adapted.params, tf.float32)
    image, mean = config.spec.image_shape, method.noise.mean  # type: ignore[attr-defined]
    return lambda large: keras_model.build(
        nodes, image, params, adapted.statistics, config.normalization_name, mean, large
    )


Run = Callable[[np.ndarray], np.ndarray]  # images -> probabilities, computed by the written file


def write_keras(path: pathlib.Path, build: Callable[[bool], Any], adapted: Adapted, quantize: str | None) -> Run:
    """Writes a .keras file that uses Keras's own layers only."""
    import keras

    build(False).save(path)
    return lambda x: keras.models.load_model(path, compile=False).predict(x, verbose=0)


def write_saved_model(path: pathlib.Path, build: Callable[[bool], Any], adapted: Adapted, quantize: str | None) -> Run:
    """Writes a SavedModel whose `serving_default` takes a batch of any size."""
    module, model = tf.Module(), build(False)
    module.model = model
    spec = tf.TensorSpec([None, *adapted.images.shape[1:]], tf.float32, "images")

    @tf.function(input_signature=[spec], autograph=False)
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(images, training=False)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    found = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda x: found(images=tf.constant(x, tf.float32))["probabilities"].numpy()


def write_tflite(path: pathlib.Path, build: Callable[[bool], Any], adapted: Adapted, quantize: str | None) -> Run:
    """Writes a TFLite file; int8 takes its ranges from the support images. Inputs and outputs stay float32."""
    converter = tf.lite.TFLiteConverter.from_keras_model(build(True))
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None].astype(np.float32)] for x in adapted.images)
        kinds = tf.lite.OpsSet
        converter.target_spec.supported_ops = [kinds.TFLITE_BUILTINS_INT8, kinds.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())
    run = tflite_runner(path)
    return lambda x: np.concatenate([run(image[None]) for image in x])


def tflite_runner(path: pathlib.Path) -> Run:
    """A function, images [1, height, width, channels] -> probabilities, that runs a TFLite file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that this class will move to another package
        interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    (entry,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry["index"], x.astype(np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(leaving["index"])

    return run


WRITERS = {"savedmodel": write_saved_model, "tflite": write_tflite, "keras": write_keras}


def size(path: pathlib.Path) -> int:
    """The size of a file, or of all files in a folder, in bytes."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def described(adapted: Adapted, formats: tuple[str, ...], quantize: str | None) -> dict[str, Any]:
    """The content of model.json."""
    spec = adapted.config.spec
    return dict(
        input=dict(
            name="images", shape=[None, *spec.image_shape], dtype="float32", range=[0, 1], fit=spec.fit,
            colour="grey" if spec.channels == 1 else "RGB", ink="1 on paper 0" if spec.drawings else None,
        ),
        output=dict(name="probabilities", classes=adapted.classes),
        tflite=(quantize or "float32") if "tflite" in formats else None,
        normalization=keras_model.NORMALIZED[adapted.config.normalization_name],
    )  # fmt: skip
