"""Compares the models of two savedirs, each of this or of the TF1 program: weights, and results of the same test."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.outer_loop import task_loss
from tf_metadrop.algorithm.tasks import task_getter
from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.methods.method import load_method
from tf_metadrop.modes.evaluate import count_batches, refuse_diverged
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import cast
from tf_metadrop.nn.rng import StandardNormal, fold
from tf_metadrop.nn.traced import traced
from tf_metadrop.runs import checkpoint
from tf_metadrop.runs.loading import check_images, fitted, load_run, test_images
from tf_metadrop.util.interval import interval
from tf_metadrop.util.progress import progress

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params


class Tested(NamedTuple):
    """Results of two models on the same tasks, adapted under the same noise."""

    accuracy: np.ndarray  # [2, tasks], in [0, 1]
    cent: np.ndarray  # [2, tasks], nats
    logit_difference: float  # mean of |difference| over tasks, query images and classes
    agreement: float  # fraction of query images for which both models predict the same class


def weights(one: Params, other: Params) -> list[dict[str, Any]]:
    """One row for each parameter that both models have: both norms, the distance, and the distance / first norm.

    That ratio, `relative`, is None where the first norm is zero.
    """
    rows = []
    for name in one:
        if name in other and one[name].shape == other[name].shape:
            a, b = (np.asarray(params[name], np.float64) for params in (one, other))
            norm, distance = np.linalg.norm(a), np.linalg.norm(a - b)
            relative = distance / norm if norm else None
            rows.append(
                dict(parameter=name, first=norm, second=np.linalg.norm(b), distance=distance, relative=relative)
            )
    return rows


def meta_test_both(first: pathlib.Path, config: Config, given: set[str]) -> tuple[Tested, Config]:
    """Meta-tests the models of two savedirs on the same episodes with the same noise.

    Args:
      first: a savedir.
      config: settings of the test, with the second savedir. Settings that are not in `given` are taken from the run in
        the second savedir.
      given: names of the settings that the user gave.
    Returns:
      (Tested, the config of the test).
    Raises:
      UsageError: a model is missing, does not fit, or the two cannot be tested in the same way.
    """
    config, other, _ = load_run(config, given)
    one, method = load_like(first, config), load_method(config)
    images, n_batches = test_images(config), count_batches(config)
    key, generator = rng.key(config.seed, rng.META_TEST), np.random.RandomState(config.seed)

    @traced
    def test(
        params: Params, pictures: tf.Tensor, support: tf.Tensor, query: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        task = task_getter(pictures, support, query, config, config.dtype)(0)
        noise = StandardNormal(fold(key, number), config.dtype)
        return task_loss(params, task, config, method, noise, config.n_test_mc_samp)[:3]

    found: dict[str, list] = {"acc": [], "cent": [], "difference": [], "same": []}
    for batch in progress(range(n_batches), "batch"):
        support, query = images.episodes(generator)
        for task in range(len(support)):
            parts = images.batch(support[task : task + 1], query[task : task + 1])
            episode = *map(tf.constant, parts), tf.constant(batch * config.metabatch + task)
            (cent_1, acc_1, logits_1), (cent_2, acc_2, logits_2) = (test(p, *episode) for p in (one, other))
            for cent, directory in (cent_1, first), (cent_2, config.directory):
                refuse_diverged(cent, config, directory)
            found["acc"].append([acc_1, acc_2])
            found["cent"].append([cent_1, cent_2])
            found["difference"].append(np.mean(np.abs(logits_1 - logits_2)))
            found["same"].append(np.mean(np.argmax(logits_1, -1) == np.argmax(logits_2, -1)))
    arrays = {name: np.array(values, np.float64) for name, values in found.items()}
    return Tested(arrays["acc"].T, arrays["cent"].T, arrays["difference"].mean(), arrays["same"].mean()), config


def load_like(savedir: pathlib.Path, config: Config) -> Params:
    """Loads the weights of a savedir.

    Raises:
      UsageError: it was trained on another data set, way or method, or cannot be tested with this config.
    """
    params, run = checkpoint.load_params(savedir, config.weights)
    if different := identity.unfit(run, config.as_dict()):
        theirs = ", ".join(f"--{name}={run[name]}" for name in different)
        raise UsageError(
            f"{savedir} was trained with {theirs}, {config.directory} was not: give two runs that agree in this."
        )
    check_images(savedir, run, config)
    for name in "inner_lr", "n_steps":
        if run.get(name, here := getattr(config, name)) != here:
            print(f"note: {savedir} was trained with --{name}={run[name]}; both are tested with {here}.")
    return cast(fitted(savedir, params, run, config), config.dtype)


def summary(tested: Tested, names: tuple[str, str]) -> dict[str, Any]:
    """Summarises a test of two models: each model's accuracy, and the paired difference, second minus first."""
    models = {
        name: dict(accuracy=100 * float(acc.mean()), interval=interval(100 * acc), cent=float(cent.mean()))
        for name, acc, cent in zip(names, tested.accuracy, tested.cent, strict=True)
    }
    paired = 100 * (tested.accuracy[1] - tested.accuracy[0])
    difference = dict(accuracy=float(paired.mean()), interval=interval(paired), tasks=len(paired))
    difference |= dict(logits=float(tested.logit_difference), agreement=float(tested.agreement))
    return dict(models=models, difference=difference, verdict=verdict(difference, names))


def verdict(difference: dict, names: tuple[str, str]) -> str:
    """One line that says whether one model is better, judged by the paired differences of the tasks."""
    mean, half, tasks = (difference[name] for name in ("accuracy", "interval", "tasks"))
    if difference["logits"] == 0:
        return f"verdict: {names[0]} and {names[1]} give the same logits."
    if half is None:
        return "verdict: one task is too few to compare accuracy: raise --n_test_iters."
    if abs(mean) <= half:
        mean = round(mean, 2) + 0.0  # no -0.00
        return (
            f"verdict: the test shows no difference in accuracy ({mean:+.2f} +- {half:.2f} points over {tasks} tasks)."
        )
    better, worse = names if mean < 0 else names[::-1]
    return f"verdict: {better} is better than {worse} by {abs(mean):.2f} +- {half:.2f} points over {tasks} tasks."
