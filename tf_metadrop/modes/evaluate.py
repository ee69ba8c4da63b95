"""Evaluation on fixed episodes, and meta-testing: accuracy with a 95 % interval."""

import dataclasses
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.execution import prepare
from tf_metadrop.algorithm.outer_loop import make_test_step
from tf_metadrop.analysis.paired import interval
from tf_metadrop.config.config import Config
from tf_metadrop.data import DATASETS, draw, fingerprint, load_split, warn_of_other_images
from tf_metadrop.errors import UsageError
from tf_metadrop.methods.method import load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.backbones import conv4
from tf_metadrop.runs import checkpoint, tf1_checkpoint
from tf_metadrop.runs.train_log import Wandb
from tf_metadrop.runs.train_log import progress as shown
from tf_metadrop.util import lock, signals
from tf_metadrop.util.provenance import about

MODEL_FLAGS = (
    "dataset",
    "way",
    "maml",
    "noise_type",
    "noise_variant",
    "inner",
    "regularizer",
)  # the weights depend on them


class Images:
    """A split, its `fingerprint`, and the episodes drawn from it.

    The images are one tensor in memory (on a GPU, in its memory). Those mapped from a file stay there on a CPU, and
    only those of a metabatch are read.

    Args:
      images: [classes, instances, height, width, channels], uint8 or float32 in [0, 1].
    """

    def __init__(self, images: np.ndarray, config: Config):
        self._config = config
        self._classes, self._instances = images.shape[:2]
        self.episodes(np.random.RandomState(0))  # says at once if the split is too small
        flat, mapped = images.reshape(-1, *images.shape[2:]), isinstance(images, np.memmap)
        self._flat = flat if mapped and not tf.config.get_visible_devices("GPU") else tf.constant(flat)
        self.fingerprint = fingerprint(images)

    def batch(self, support: np.ndarray, query: np.ndarray):
        """(images, support, query): what a step takes for a metabatch of `episodes`; the two are indices into images.

        Of mapped images these are copies of the metabatch's own, so that `support` and `query` count anew.
        """
        if isinstance(self._flat, tf.Tensor):
            return self._flat, support, query
        rows = np.concatenate([support, query], 1)
        numbers = np.arange(rows.size, dtype=rows.dtype).reshape(rows.shape)
        images = tf.constant(self._flat[rows.ravel()])
        return images, numbers[:, : support.shape[1]], numbers[:, support.shape[1] :]

    def episodes(self, generator: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """One metabatch: indices of images, support [metabatch, way * shot] and query [metabatch, way * query]."""
        c = self._config
        return draw(generator, self._classes, self._instances, c.way, c.shot, c.query, c.metabatch, c.episodes)

    def stream(self, generator: np.random.RandomState):
        """Metabatches without end, each with the generator's state after it; a thread draws the next meanwhile."""
        one = lambda: (self.episodes(generator), generator.get_state())
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(one)
            while True:
                ready, ahead = ahead.result(), pool.submit(one)
                yield ready


class Evaluation:
    """Accuracy of parameters on the same episodes with the same noise at every call.

    Args:
      stream: see random.py; it and the seed fix the noise, the seed alone the episodes.
    """

    def __init__(self, config: Config, method, images: Images, stream: int):
        self._config, self._images = config, images
        self._step = make_test_step(config, method)
        self._key = rng.key(config.seed, stream)

    def run(self, params, n_batches: int, progress: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Query cross-entropy in nats and accuracy in [0, 1] of each task: two arrays [n_batches * metabatch]."""
        generator = np.random.RandomState(self._config.seed)
        losses, accuracies = [], []
        for batch in shown(range(n_batches), "batch") if progress else range(n_batches):
            signals.check()
            first = batch * self._config.metabatch
            episodes = self._images.episodes(generator)
            loss, acc = self._step(params, *self._images.batch(*episodes), self._key, tf.constant(first))
            losses.append(loss)
            accuracies.append(acc)
        return np.concatenate(losses), np.concatenate(accuracies)


def meta_test(config: Config, given: set[str] | None = None) -> dict:
    """Meta-tests the model of a savedir, ours or the TF1 program's.

    Writes meta_test.log, meta_test.json and, with cross-entropy and accuracy of every task, meta_test.csv there.

    n_test_iters tasks in batches of metabatch; the interval is 1.96 * std / sqrt(tasks), as the TF1 program's.
    With --eval_split=val the files are called meta_val.log and so on; with --weights=best, meta_test_best.log.

    Args:
      given: names of the settings that were asked for, None: those that differ from the defaults. Of the others,
        dataset, data_dir, method, way, shot, query, inner_lr and n_steps are taken from the run.
    Returns:
      What meta_test.json holds: accuracy and interval in per cent, episodes, seed, command, commit, machine, versions,
      the settings of the test (`config`) and those of the training as far as they are known (`trained_with`, with the
      last `iteration` and, as `images`, the fingerprint of the training images).
    Raises:
      UsageError: there is no model, or it does not fit the settings or the data.
    """
    config, params, run = load_run(dataclasses.replace(config, mode="meta_test"), given)
    n_batches = count_batches(config)
    with lock.held(config.directory, config.mode):
        return test_and_write(config, params, run, n_batches)


def test_and_write(config: Config, params, run, n_batches: int) -> dict:
    """`meta_test` once everything has been checked."""
    directory = config.directory
    images = test_images(config)
    began = time.monotonic()
    evaluation = Evaluation(config, load_method(config), images, rng.META_TEST)
    with signals.deferred():
        losses, accuracies = evaluation.run(params, n_batches, progress=True)
    result = dict(
        accuracy=100 * float(accuracies.mean()), interval=100 * interval(accuracies),
        cent=float(losses.mean()), episodes=len(accuracies), split=config.eval_split, seed=config.seed, **about(),
        seconds=round(time.monotonic() - began, 1), tensorflow=tf.__version__, config=config.as_dict(),
        trained_with=run,
    )  # fmt: skip
    text = f"accuracy : {result['accuracy']:f} +- {result['interval']:f}"
    stem = config.of_weights(f"meta_{config.eval_split}")
    log, data, tasks = (directory / f"{stem}{suffix}" for suffix in (".log", ".json", ".csv"))
    tf1_checkpoint.keep_theirs(log, ours=data)
    tasks.write_text("cent,accuracy\n" + "".join(f"{c:.6f},{a:.6f}\n" for c, a in zip(losses, accuracies, strict=True)))
    data.write_text(json.dumps(result, indent=1) + "\n")
    log.write_text(text)
    print(text)
    if len(accuracies) != config.n_test_iters:
        print(f"{len(accuracies)} tasks: --n_test_iters={config.n_test_iters} is no multiple of --metabatch.")
    tracker = Wandb(directory, config)
    tracker.log({config.of_weights(f"meta-{config.eval_split}-acc"): result["accuracy"]})
    shown = "accuracy", "interval", "cent", "episodes", "split", "seed", "commit"
    tracker.table(config.of_weights(f"meta-{config.eval_split}"), [{name: result[name] for name in shown}])
    tracker.finish()
    return result


def count_batches(config: Config) -> int:
    """Batches of metabatch that n_test_iters tasks make; raises UsageError if it is none."""
    if config.n_test_iters < config.metabatch:
        raise UsageError(
            f"--n_test_iters={config.n_test_iters} is less than one --metabatch={config.metabatch}: lower --metabatch."
        )
    return config.n_test_iters // config.metabatch


def test_split(config: Config) -> np.ndarray:
    """The images of --eval_split, as `load_split` gives them."""
    return load_split(config.dataset, config.data_dir, config.eval_split, config.eval_split == "val")


def test_images(config: Config) -> Images:
    """The images of --eval_split."""
    return Images(test_split(config), config)


def load_run(config: Config, given: set[str] | None) -> tuple[Config, dict[str, tf.Tensor], dict]:
    """The Config to test a savedir's model with, its parameters, and the settings of its run. Prepares TensorFlow.

    Settings of the task and the inner loop that were not given are the run's own; those that were may differ from it
    (another shot, more steps), except dataset, way and method, which the weights depend on.

    Raises:
      UsageError: there is no model, or it does not fit.
    """
    directory = config.directory
    params, run = checkpoint.load_params(directory, config.weights)
    if not os.access(directory, os.W_OK):  # before the work, not after it
        raise UsageError(f"{directory} cannot be written to: copy it to a folder of yours and give that as --savedir.")
    config = config.inherit(run, given)
    ours = config.as_dict()
    if different := [name for name in MODEL_FLAGS if run.get(name, ours[name]) != ours[name]]:
        theirs = ", ".join(f"--{name}={run[name]}" for name in different)
        raise UsageError(f"{directory} was trained with {theirs}: give the same here, or leave it out.")
    fitting = fitted(directory, params, run, config)
    prepare(config)
    return config, conv4.cast(fitting, config.dtype), run


def fitted(directory: pathlib.Path, params, run: dict, config: Config) -> dict[str, tf.Tensor]:
    """The parameters of a run that are to be tested as `config` says; warns if its training images are not here.

    Raises:
      UsageError: they do not fit, or the run was trained on the classes of --eval_split.
    """
    separate = DATASETS[config.dataset].generated or (pathlib.Path(config.data_dir, config.dataset, "val.npy")).exists()
    if config.eval_split == "val" and run.get("eval_split") != "val" and not separate:
        raise UsageError(
            f"{directory} was trained on all training classes, so none are left for --eval_split=val: train with "
            "--eval_split=val, which holds some out."
        )
    fitting = conv4.fitting(params, DATASETS[config.dataset], config.way, str(directory), load_method(config))
    warn_of_other_images(directory, run, config.dataset, config.data_dir)
    return fitting
