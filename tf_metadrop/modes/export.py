"""Saves hidden features at every inner step, for figures of decision boundaries, as the TF1 program's mode export does.

See docs/reference/tf1_behaviour.md, "Files it writes".
"""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tf_metadrop.algorithm.inner_loop import adapt
from tf_metadrop.algorithm.tasks import Task, gather_task
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import network
from tf_metadrop.methods.method import Method, load_method
from tf_metadrop.nn import rng
from tf_metadrop.nn.params import dtype_of, narrow
from tf_metadrop.nn.traced import traced
from tf_metadrop.runs import tf1_checkpoint
from tf_metadrop.runs.loading import load_run, test_split
from tf_metadrop.util import atomic, lock
from tf_metadrop.util.progress import has_terminal
from tf_metadrop.util.provenance import commit

if TYPE_CHECKING:
    from tf_metadrop.data.split import Split
    from tf_metadrop.nn.types import Params

N_PAIRS, DISTANCE, N_SAMPLES = 10, 5, 10  # pairs of classes c and c + 5; noisy copies of the support features
ADAPTING, SAMPLING = range(2)  # two independent streams of noise


def export_features(config: Config, given: set[str] | None = None) -> list[dict[str, np.ndarray]]:
    """Adapts to 10 two-way tasks and writes their features before and after every inner step to export.pkl.

    Task c has the evaluation classes c and c + 5, and uses the first two columns of the model's dense layer. The file
    is a pickled list of 10 dicts of arrays, which Python 2 and old NumPy can read too:
      htr [n_steps+1, support, features], hte [n_steps+1, query, features]: last hidden features, not sampled
      htr_sample [n_steps+1, 10, support, features]: sampled; absent for MAML
      w [n_steps+1, features, 2], b [n_steps+1, 2]: dense layer
      ytr [support], yte [query]: class, 0 or 1

    export.json beside it says how it was made.

    Args, Raises: as for `meta_test`.
    Returns:
      The list that is in the file.
    """
    config, params, run = load_run(dataclasses.replace(config, mode="export"), given)
    split = test_split(config)
    images = split.take(np.flatnonzero(split.counts >= config.shot + config.query))
    if images.n_classes < N_PAIRS + DISTANCE:
        raise UsageError(
            f"--mode=export needs {N_PAIRS + DISTANCE} classes of {config.shot + config.query} images (--shot plus "
            f"--query), but the split has {images.n_classes}: lower --query or take a larger dataset."
        )
    with lock.held(config.directory, config.mode):
        exported = features_of_pairs(config, narrow(params, 2), images)
        path, about = (config.directory / f"{config.of_classes('export')}{suffix}" for suffix in (".pkl", ".json"))
        tf1_checkpoint.keep_theirs(path, ours=about)
        made = dict(commit=commit(), config=config.as_dict(), trained_with=run)
        atomic.write(about, (json.dumps(made, indent=1) + "\n").encode())
        write_pickle(path, exported)
    print(f"wrote {len(exported)} tasks to {path}")
    return exported


def features_of_pairs(config: Config, params: Params, images: Split) -> list[dict[str, np.ndarray]]:
    """The list that `export_features` writes."""
    generator = np.random.RandomState(config.seed)
    method = load_method(config)
    features = traced(lambda params, task, key: task_features(params, task, config, method, key))
    exported = []
    for pair in tqdm(range(N_PAIRS), unit="task", disable=not has_terminal()):
        support, query = [], []
        for label in (pair, pair + DISTANCE):
            instances = generator.choice(images.counts[label], config.shot + config.query, replace=False)
            chosen = images.starts[label] + instances
            support.extend(chosen[: config.shot])
            query.extend(chosen[config.shot :])
        own, places = tf.constant(images.flat[support + query]), range(len(support + query))
        indices = tf.constant(places[: len(support)]), tf.constant(places[len(support) :])
        task = gather_task(own, *indices, 2, config.shot, config.query, config.dtype)
        key = rng.fold(rng.key(config.seed, rng.EXPORT), pair)
        arrays = {name: value.numpy() for name, value in features(params, task, key).items()}
        ytr, yte = (np.repeat([0, 1], per_class) for per_class in (config.shot, config.query))
        exported.append({**arrays, "ytr": ytr, "yte": yte})
    return exported


def task_features(params: Params, task: Task, config: Config, method: Method, key: tf.Tensor) -> dict[str, tf.Tensor]:
    """htr, hte, w, b and, with noise, htr_sample of one task, as tensors: see `export_features`."""
    dtype = dtype_of(params)
    draw = rng.StandardNormal(rng.fold(key, ADAPTING), dtype)
    adapted = adapt(params, task.support_x, task.support_y, config, method, draw, config.n_test_mc_samp)
    steps: dict[str, list[tf.Tensor]] = {name: [] for name in ("htr", "hte", "htr_sample", "w", "b")}
    draw = rng.StandardNormal(rng.fold(key, SAMPLING), dtype)
    for step, theta in enumerate(adapted.path):
        now = {**params, **theta}
        steps["htr"].append(network.hidden(now, task.support_x, method))
        queries = network.for_queries(now, task.support_x, method)
        steps["hte"].append(network.hidden(now, task.query_x, queries))
        steps["w"].append(now["theta/dense_w"])
        steps["b"].append(now["theta/dense_b"])
        if config.noise_name != "maml":
            sample = lambda s: network.hidden(now, task.support_x, method, lambda *where: draw(step, s, *where))  # noqa: B023
            every = tf.map_fn(sample, tf.range(N_SAMPLES), fn_output_signature=dtype, parallel_iterations=1)
            steps["htr_sample"].append(every)
    return {name: tf.stack(values) for name, values in steps.items() if values}


def write_pickle(path: pathlib.Path, value: Any) -> None:
    """Writes a pickle atomically, in a format that Python 2 and NumPy 1 can read too."""
    buffer = io.BytesIO()
    pickle.dump(value, buffer, protocol=2)
    # NumPy 2 renamed the module that its pickles name; NumPy 1 and 2 know the old name.
    data = buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    atomic.write(path, data)
