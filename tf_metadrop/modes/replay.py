"""Training steps with non-finite values (NaN or Inf): writes such a step to a file, and recomputes it from there.

python main.py --replay FILE
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm import outer_loop
from tf_metadrop.algorithm.execution import prepare
from tf_metadrop.algorithm.tasks import gather_task
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import cast
from tf_metadrop.nn.traced import traced
from tf_metadrop.util import npz

if TYPE_CHECKING:
    from tf_metadrop.modes.train import Done
    from tf_metadrop.nn.types import Params

MOST_NAMES = 5  # largest number of tensors that a message names


class Step(NamedTuple):
    """A training step that can be computed again."""

    config: Config
    iteration: int
    key: np.ndarray  # random key of the training's noise, [2]
    params: dict[str, Any]  # before the step
    tasks: tuple  # images, uint8 or floats in [0, 1]: support and query, [metabatch, images, height, width, channels]


def keep(
    directory: pathlib.Path, config: Config, batch: tuple[tf.Tensor, ...], done: Done, key: tf.Tensor
) -> tuple[pathlib.Path, str]:
    """Writes a training step to fault_<iteration>.npz; returns the file and the names of its non-finite tensors.

    Args:
      directory: the savedir.
      config: settings of the run.
      batch: the images and indices of this step, as `Images.batch` returns them.
      done: the step.
      key: random key of the training's noise, [2].
    """
    params = {name: w.numpy() for name, w in done.before.params.items()}
    tasks = tuple(tf.gather(batch[0], indices).numpy() for indices in batch[1:])
    step = Step(config, done.iteration, key.numpy(), params, tasks)
    found = [name for look in looks(step, config.dtype) for name in look.non_finite]
    names = list(dict.fromkeys(found)) or ["the weights after the step"]
    path = directory / f"fault_{done.iteration}.npz"
    text = json.dumps({"config": config.as_dict(), "iteration": done.iteration, "none": names})
    weights = {f"params/{name}": w for name, w in params.items()}
    np.savez_compressed(path, json=text, key=step.key, support=tasks[0], query=tasks[1], **weights)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return path, ", ".join(names[:MOST_NAMES]) + more


def load(path: pathlib.Path) -> Step:
    """Reads a step that `keep` wrote; raises UsageError if the file cannot be used."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = json.loads(str(arrays["json"]))
        config = Config(**text["config"])
        params = {name[7:]: tf.constant(w) for name, w in arrays.items() if name.startswith("params/")}
        method, spec = load_method(config), config.spec
        params = network.fitting(params, method, config.way, str(path))
        tasks = arrays["support"], arrays["query"]
        for per_class, found in zip((config.shot, config.query), tasks, strict=True):
            if found.shape != (config.metabatch, config.way * per_class, *spec.image_shape):
                raise ValueError(f"its images have shape {found.shape}")
        return Step(config, int(text["iteration"]), arrays["key"], params, tasks)
    except FileNotFoundError:
        raise UsageError(f"--replay={path} does not exist: give a fault_<iteration>.npz of a savedir.") from None
    except UsageError as error:
        raise UsageError(f"--replay={path}: {error}") from error
    except npz.BROKEN as error:
        raise UsageError(
            f"--replay={path} is not a saved training step ({error}): give a fault_<iteration>.npz."
        ) from error


class Look(NamedTuple):
    """The values of one task of a step."""

    inner_losses: np.ndarray  # [n_steps]
    query_loss: float
    gradient_norm: float  # of the task's meta-gradient
    non_finite: list[str]  # names of the tensors that hold a non-finite value, in the order of the computation


def looks(step: Step, dtype: str) -> list[Look]:
    """Recomputes the tasks of a step, one after the other, in float32 or float64."""
    config = dataclasses.replace(step.config, precision="float64" if dtype == "float64" else "float32")
    method, params = load_method(config), cast(step.params, dtype)
    key = rng.fold(tf.constant(step.key), tf.constant(step.iteration, tf.int64))

    @traced
    def again(
        params: Params, support: tf.Tensor, query: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, Params]:
        images, n_support = tf.concat([support, query], 0), config.way * config.shot
        indices = tf.range(n_support), tf.range(n_support, n_support + config.way * config.query)
        task = gather_task(images, *indices, config.way, config.shot, config.query, dtype)
        noise = rng.StandardNormal(rng.fold(key, number), dtype)
        loss, _, _, adapted = outer_loop.task_loss(params, task, config, method, noise)
        gradient, _, _ = outer_loop.task_gradient(params, task, config, method, noise)
        return adapted.inner_losses[:, 0], loss, gradient

    found = []
    for number, (support, query) in enumerate(zip(*step.tasks, strict=True)):
        inner, loss, gradient = again(params, tf.constant(support), tf.constant(query), tf.constant(number))
        norm = float(tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradient.values()])))
        named = {f"the loss of inner step {k}": value for k, value in enumerate(inner.numpy(), 1)}
        named |= {"the query loss": loss} | {f"the gradient of {name}": g for name, g in gradient.items()}
        none = [name for name, value in named.items() if not np.isfinite(value).all()]
        found.append(Look(inner.numpy(), float(loss), norm, none))
    return found


def replay(path: pathlib.Path) -> list[dict[str, Any]]:
    """Recomputes each task of a saved step, as it was trained and in float64; prints and returns the rows."""
    from tabulate import tabulate

    step, rows = load(path), []
    prepare(step.config)
    for dtype in dict.fromkeys((step.config.dtype, "float64")):
        for number, look in enumerate(looks(step, dtype)):
            after = f" and {len(look.non_finite) - 1} after it" if look.non_finite[1:] else ""
            row = {"precision": dtype, "task": number}
            row["inner losses"] = " ".join(f"{loss:.4g}" for loss in look.inner_losses)
            row |= {"query loss": look.query_loss, "gradient norm": look.gradient_norm}
            rows.append(row | {"first non-finite": f"{look.non_finite[0]}{after}" if look.non_finite else ""})
    print(f"{path}: iteration {step.iteration}, {step.config.method}, second_order {step.config.second_order}")
    print(tabulate(rows, headers="keys", floatfmt=".4g"))
    return rows
