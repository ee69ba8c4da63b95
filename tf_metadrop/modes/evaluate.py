"""Evaluation on fixed episodes, and meta-testing: accuracy with a 95 % interval."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.episodes import Images
from tf_metadrop.algorithm.steps import make_test_step
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import metric
from tf_metadrop.methods.method import Method, load_method
from tf_metadrop.nn import rng
from tf_metadrop.runs import tf1_checkpoint
from tf_metadrop.runs.loading import load_run, test_images
from tf_metadrop.runs.trackers import Trackers
from tf_metadrop.util import atomic, lock, signals
from tf_metadrop.util.interval import interval, plus_minus
from tf_metadrop.util.progress import progress as shown
from tf_metadrop.util.provenance import about

if TYPE_CHECKING:
    from tf_metadrop.nn.types import Params


class Evaluation:
    """Evaluates parameters on the same episodes, with the same noise, at every call.

    Args:
      stream: the random stream of the noise (rng.py). The noise depends on it and on the seed; the episodes depend on
        the seed only.
    """

    def __init__(self, config: Config, method: Method, images: Images, stream: int):
        self._config, self._images = config, images
        self._step = make_test_step(config, method)
        self._key = rng.key(config.seed, stream)

    def run(self, params: Params, n_batches: int, test: bool = False) -> dict[str, np.ndarray]:
        """Every metric of `tf_metadrop.methods.metric` for each task, arrays [n_batches * metabatch].

        Args:
          test: whether a progress bar is shown, and non-finite logits are an error.
        Raises:
          UsageError: in a test, a task has such logits.
        """
        generator = np.random.RandomState(self._config.seed)
        found: dict[str, list] = {name: [] for name in metric.in_order()}
        for batch in shown(range(n_batches), "batch") if test else range(n_batches):
            signals.check()
            first = batch * self._config.metabatch
            episodes = self._images.episodes(generator)
            metrics = self._step(params, *self._images.batch(*episodes), self._key, tf.constant(first))
            if test:
                refuse_diverged(metrics["cent"], self._config)
            for name, values in metrics.items():
                found[name].append(values)
        return {name: np.concatenate(values) for name, values in found.items()}


def meta_test(config: Config, given: set[str] | None = None) -> dict:
    """Meta-tests the model of a savedir, of this or of the TF1 program.

    Writes meta_test.log, meta_test.json and meta_test.csv there. The CSV file has every metric of every task.

    It tests n_test_iters tasks in batches of metabatch. The 95 % interval is 1.96 * std / sqrt(tasks), as in the TF1
    program. With --eval_split=val the files are called meta_val.log and so on; with --weights=best, meta_test_best.log;
    with --eval_normalization=support, meta_test_support.log.

    Args:
      config: settings of the test.
      given: names of the settings that the user gave; None means those that differ from the defaults. The settings of
        the task, the method, the model and the inner loop, and data_dir, come from the run if they were not given.
    Returns:
      The content of meta_test.json: accuracy and interval in per cent, episodes, seed, command, commit, machine,
      versions, the settings of the test (`config`) and the known settings of the training (`trained_with`, with the
      last `iteration` and, as `images`, the fingerprint of the training images).
    Raises:
      UsageError: there is no model, or it does not fit the settings or the data.
    """
    config, params, run = load_run(dataclasses.replace(config, mode="meta_test"), given)
    n_batches = count_batches(config)
    with lock.held(config.directory, config.mode):
        return test_and_write(config, params, run, n_batches)


def test_and_write(config: Config, params: Params, run: dict[str, Any], n_batches: int) -> dict:
    """Runs the test of `meta_test`, whose arguments have been checked, and writes its files."""
    directory = config.directory
    images = test_images(config)
    began = time.monotonic()
    evaluation = Evaluation(config, load_method(config), images, rng.META_TEST)
    with signals.deferred():
        metrics = evaluation.run(params, n_batches, test=True)
    accuracies = metrics["accuracy"]
    result = dict(
        accuracy=100 * float(accuracies.mean()), interval=interval(100 * accuracies),
        **{name: float(values.mean()) for name, values in metrics.items() if name != "accuracy"},
        episodes=len(accuracies), split=config.eval_split, seed=config.seed, **about(),
        seconds=round(time.monotonic() - began, 1), tensorflow=tf.__version__, config=config.as_dict(),
        trained_with=run,
    )  # fmt: skip
    text = f"accuracy : {plus_minus(result['accuracy'], result['interval'], 'f', '+-')}"
    stem = config.of_weights(f"meta_{config.eval_split}")
    log, data, tasks = (directory / f"{stem}{suffix}" for suffix in (".log", ".json", ".csv"))
    tf1_checkpoint.keep_theirs(log, ours=data)
    rows = zip(*metrics.values(), strict=True)
    table = ",".join(metrics) + "\n" + "".join(",".join(f"{v:.6f}" for v in row) + "\n" for row in rows)
    for path, content in ((tasks, table), (data, json.dumps(result, indent=1) + "\n"), (log, text)):
        atomic.write(path, content.encode())
    print(text + tested_otherwise(config, run))
    if len(accuracies) != config.n_test_iters:
        print(
            f"{len(accuracies)} tasks tested: --n_test_iters={config.n_test_iters} is not a multiple of "
            f"--metabatch={config.metabatch}."
        )
    tracker = Trackers(directory, config, config.mode)
    tracker.log({config.of_weights(f"meta-{config.eval_split}-acc"): result["accuracy"]})
    columns = "accuracy", "interval", "cent", "episodes", "split", "seed", "commit"
    tracker.table(config.of_weights(f"meta-{config.eval_split}"), [{name: result[name] for name in columns}])
    tracker.finish()
    return result


def refuse_diverged(values: Any, config: Config, directory: pathlib.Path | None = None) -> None:
    """Raises UsageError if a value of a task is not finite: its adaptation diverged, and its accuracy means nothing."""
    if not np.isfinite(values).all():
        raise UsageError(
            f"{directory or config.directory}: the adaptation to a task of the test diverged to non-finite values (NaN "
            f"or Inf) at --inner_lr={config.inner_lr:g}: give a lower one. No result was written."
        )


def tested_otherwise(config: Config, run: dict[str, Any]) -> str:
    """The way and shot of a test where they differ from the training, for the terminal."""
    names = [name for name in ("way", "shot") if run.get(name, value := getattr(config, name)) != value]
    return "".join(f"; tested with --{name}={getattr(config, name)}, trained with {run[name]}" for name in names)


def count_batches(config: Config) -> int:
    """The number of whole batches of metabatch in n_test_iters tasks; raises UsageError if it is zero."""
    if config.n_test_iters < config.metabatch:
        raise UsageError(
            f"--n_test_iters={config.n_test_iters} is less than one --metabatch={config.metabatch}: lower --metabatch."
        )
    return config.n_test_iters // config.metabatch
