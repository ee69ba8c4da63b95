"""Reads and writes a MetaLearner as a folder: classifier.npz has its arrays, classifier.json the rest. No pickles."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.data import description
from tf_metadrop.errors import UsageError
from tf_metadrop.nn import backbones
from tf_metadrop.util import atomic, npz

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec
    from tf_metadrop.nn.statistics import Statistics
    from tf_metadrop.nn.types import Params

TEXT, ARRAYS = "classifier.json", "classifier.npz"
EXPORTS = {"savedmodel": "saved_model", "tflite": "model.tflite", "keras": "model.keras"}  # format -> name
EXPORT_TEXT = "model.json"  # describes the input and output of the exported formats
OURS = {TEXT, ARRAYS, description.FILE, backbones.FILE, EXPORT_TEXT, *EXPORTS.values()}
FORMAT = 1
PLAIN = bool, int, float, str, type(None)  # types that JSON preserves


class AdaptedModel(NamedTuple):
    """The content of a classifier's folder."""

    config: dict[str, Any]  # settings of the learner
    params: Params  # meta-learned parameters
    adapted: Params | None = None  # all parameters, with theta adapted; None: not adapted yet
    statistics: Statistics = ()  # of the support images: see nn/statistics.py
    classes: np.ndarray | None = None  # labels of the last adaptation


def is_one(directory: pathlib.Path) -> bool:
    """Whether the folder holds a classifier."""
    return (directory / TEXT).is_file()


def write(
    directory: pathlib.Path,
    model: AdaptedModel,
    spec: DatasetSpec,
    overwrite: bool = False,
    more: Callable[[pathlib.Path], Any] | None = None,
) -> None:
    """Writes a classifier's folder atomically: all of it, or nothing.

    Args:
      directory: the folder.
      model: its content.
      spec: the data set of the images. If a user made it, its dataset.json is written too.
      overwrite: whether to replace an existing classifier; a folder with other files is never replaced.
      more: writes further files into the folder that it is called with.
    Raises:
      UsageError: the folder exists or cannot be written, or a label is neither a number nor a text.
    """
    directory = directory.absolute()
    ours = directory.is_dir() and {path.name for path in directory.iterdir()} <= OURS
    if directory.exists() and not (overwrite and ours and is_one(directory)):
        raise UsageError(
            f"{directory} exists: give a new folder, or overwrite=True if it holds a classifier and nothing else."
        )
    arrays = {f"params/{name}": w.numpy() for name, w in model.params.items()}
    arrays |= {f"adapted/{name}": w.numpy() for name, w in (model.adapted or {}).items()}
    leaves = [tf.nest.flatten(of_layer) for of_layer in model.statistics]
    arrays |= {f"statistics/{i}/{j}": leaf.numpy() for i, layer in enumerate(leaves) for j, leaf in enumerate(layer)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = buffer.getvalue()
    text = dict(
        format=FORMAT, config=model.config, classes=as_json(model.classes),
        statistics=[len(layer) for layer in leaves], sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    stage = directory.with_name(f".{directory.name}.tmp")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        atomic.write(stage / ARRAYS, data)
        if spec.own:
            description.write(stage, spec)
        backbones.keep(stage, model.config["backbone"])
        if more:
            more(stage)
        atomic.write(stage / TEXT, (json.dumps(text, indent=1) + "\n").encode())
        before = directory.with_name(f".{directory.name}.before")
        shutil.rmtree(before, ignore_errors=True)
        if directory.exists():
            directory.rename(before)
        stage.rename(directory)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written ({error.strerror or error}): give another folder.") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def as_json(classes: np.ndarray | None) -> dict[str, Any] | None:
    """The labels and the dtype of their array, as JSON can hold them."""
    if classes is None:
        return None
    labels = classes.tolist()
    if others := [label for label in labels if not isinstance(label, PLAIN)]:
        raise UsageError(f"the label {others[0]!r} cannot be written: adapt with numbers or texts as labels.")
    return dict(dtype=classes.dtype.str if classes.dtype != object else "object", labels=labels)


def read(directory: pathlib.Path) -> AdaptedModel:
    """Reads a folder that `write` wrote.

    Raises:
      UsageError: it is broken, or another version wrote it.
    """
    try:
        text = json.loads((directory / TEXT).read_text(encoding="utf-8"))
        if text["format"] != FORMAT:
            raise UsageError(
                f"{directory} holds a classifier of format {text['format']}, but this version reads {FORMAT}: install "
                "the version that wrote it, or adapt again."
            )
        data = (directory / ARRAYS).read_bytes()
        if hashlib.sha256(data).hexdigest() != text["sha256"]:
            raise ValueError(f"{ARRAYS} is not the one that {TEXT} was written with")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            groups: dict[str, dict[str, tf.Tensor]] = {"params": {}, "adapted": {}, "statistics": {}}
            for full in file.files:
                group, _, name = full.partition("/")
                groups[group][name] = tf.constant(file[full])
        layers = [tuple(groups["statistics"][f"{i}/{j}"] for j in range(n)) for i, n in enumerate(text["statistics"])]
        found = text["classes"]
        classes = None if found is None else np.array(found["labels"], found["dtype"])
        return AdaptedModel(text["config"], groups["params"], groups["adapted"] or None, tuple(layers), classes)
    except UsageError:
        raise
    except npz.BROKEN as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise UsageError(
            f"{directory} holds no readable classifier ({reason}): copy it again, or adapt again."
        ) from error
