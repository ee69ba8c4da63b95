"""The same meta-training step here, in plain TensorFlow 2 and in plain PyTorch, measured in turn, and checked to agree.

  python -m benchmarks.peers [--rounds 3] [--iters 3] [--check_only] [flags of main.py]

Each measurement is a process of its own, and the rounds are interleaved, so that a machine that slows down slows all of
them. Needs PyTorch (a benchmark-only extra: python -m pip install torch). The last line is one JSON object with the
medians and the ratios of ours to theirs.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from tf_metadrop import cli, config

IMPLEMENTATIONS = ("ours", "plain_tf", "plain_torch")


def define_flags(values: flags.FlagValues) -> None:
    config.define_flags(values)
    flags.DEFINE_integer("iters", 3, "Steps to time in a process, after two to warm up.", 1, flag_values=values)
    flags.DEFINE_integer("rounds", 3, "Processes for each implementation.", 1, flag_values=values)
    flags.DEFINE_boolean("check_only", False, "Only check that loss and gradient agree.", flag_values=values)
    flags.DEFINE_string("only", None, "Internal: measure one implementation in this process.", flag_values=values)


def problem(settings: config.Config, dtype: str, seed: int = 0):
    """Random weights by name, tasks (support_x, support_y, query_x, query_y), and noise(step, layer, shape)."""
    from tf_metadrop import model
    from tf_metadrop.data import DATASETS

    spec, c, random = DATASETS[settings.dataset], settings, np.random.RandomState(seed)
    weights = {
        name: (random.standard_normal(shape) * 0.1).astype(dtype) for name, shape in model.shapes(spec, c.way).items()
    }
    images = lambda n: random.random_sample([c.metabatch, c.way * n, *spec.image_shape]).astype(dtype)
    labels = lambda n: np.tile(np.repeat(np.arange(c.way), n), (c.metabatch, 1))
    tasks = images(c.shot), labels(c.shot), images(c.query), labels(c.query)
    noise = lambda step, layer, shape: np.random.RandomState(10 * step + layer).standard_normal(shape).astype(dtype)
    return weights, tasks, noise


def one_hot(tasks, way, dtype):
    """The tasks with one-hot labels."""
    support_x, support_y, query_x, query_y = tasks
    return support_x, np.eye(way, dtype=dtype)[support_y], query_x, np.eye(way, dtype=dtype)[query_y]


def torch_tasks(tasks):
    """The tasks as a list of tuples of PyTorch tensors, images [batch, channels, height, width]."""
    import torch

    to = lambda a: torch.tensor(a).permute(0, 3, 1, 2).contiguous() if a.ndim == 4 else torch.tensor(a)
    return [tuple(to(part[index]) for part in tasks) for index in range(len(tasks[0]))]


def gradients(name: str, settings: config.Config):
    """(loss, gradients by name) of one implementation in float64, with the same weights, tasks and noise for all."""
    weights, tasks, noise = problem(settings, "float64")
    if name == "plain_torch":
        import torch

        from benchmarks import plain_torch

        params = plain_torch.parameters(weights)

        def draw(step, layer, shape):
            if len(shape) == 2:
                return torch.tensor(noise(step, layer, shape))
            n, c, h, w = shape
            return torch.tensor(noise(step, layer, (n, h, w, c))).permute(0, 3, 1, 2)

        loss, found = plain_torch.step(params, torch_tasks(tasks), settings.inner_lr, settings.n_steps, draw)
        return loss, plain_torch.gradient_arrays(params, found)
    import tensorflow as tf

    params = {key: tf.constant(w) for key, w in weights.items()}
    tasks = tuple(tf.constant(part) for part in one_hot(tasks, settings.way, "float64"))
    if name == "plain_tf":
        from benchmarks import plain_tf

        loss, found = plain_tf.make_step(settings.inner_lr, settings.n_steps, noise)(params, tasks)
    else:
        from tf_metadrop import meta
        from tf_metadrop import noise as noise_types

        get_task = lambda index: meta.Task(*[part[index] for part in tasks])
        draw = lambda step, sample, layer, shape: noise(step, layer, shape)
        ours = tf.function(meta.meta_gradient)
        noise_type = noise_types.load(settings.method)
        found, loss, _ = ours(params, settings.metabatch, get_task, settings, noise_type, lambda _: draw)
    return float(loss), {key: g.numpy() for key, g in found.items() if g is not None}


def check(settings: config.Config) -> dict:
    """Largest relative difference from ours of loss and of any gradient, by implementation."""
    loss, ours = gradients("ours", settings)
    differences = {}
    for name in IMPLEMENTATIONS[1:]:
        other_loss, theirs = gradients(name, settings)
        size = max(np.linalg.norm(g) for g in ours.values())
        errors = [np.linalg.norm(theirs[key] - g) / max(np.linalg.norm(g), 1e-9 * size) for key, g in ours.items()]
        differences[name] = max(abs(other_loss - loss) / loss, *errors)
    return differences


def measure(name: str, settings: config.Config, iters: int) -> dict:
    """Times one implementation in this process: median_s, first_call_s, peak_rss_mb."""
    if name == "ours":
        from benchmarks import step

        return step.measure(settings, iters)
    weights, tasks, _ = problem(settings, "float32")
    if name == "plain_torch":
        from benchmarks import plain_torch

        params, tasks = plain_torch.parameters(weights), torch_tasks(tasks)
        call = lambda: plain_torch.step(params, tasks, settings.inner_lr, settings.n_steps)[1][0].numpy()
    else:
        import tensorflow as tf

        from benchmarks import plain_tf

        params = {key: tf.constant(w) for key, w in weights.items()}
        tasks = tuple(tf.constant(part) for part in one_hot(tasks, settings.way, "float32"))
        compiled = plain_tf.make_step(settings.inner_lr, settings.n_steps)
        call = lambda: compiled(params, tasks)[0].numpy()
    seconds = []
    for _ in range(iters + 2):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return dict(median_s=statistics.median(seconds[2:]), first_call_s=round(seconds[0], 2), peak_rss_mb=peak)


def compare(settings: config.Config, arguments: list[str], rounds: int) -> dict:
    """Interleaved rounds of all implementations, one process each: medians, and ours relative to the others."""
    found = {name: [] for name in IMPLEMENTATIONS}
    for index in range(rounds):
        for name in IMPLEMENTATIONS:
            command = [sys.executable, "-m", "benchmarks.peers", *arguments, f"--only={name}"]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[name].append(json.loads(out.splitlines()[-1]))
            print(f"round {index + 1} {name:12s} {found[name][-1]['median_s']:.3f} s", flush=True)
    medians = {name: round(statistics.median(r["median_s"] for r in results), 4) for name, results in found.items()}
    return dict(
        median_s=medians, ratio={name: round(medians["ours"] / medians[name], 3) for name in IMPLEMENTATIONS[1:]},
        peak_rss_mb={name: max(r["peak_rss_mb"] for r in results) for name, results in found.items()},
        first_call_s={name: results[0]["first_call_s"] for name, results in found.items()},
    )  # fmt: skip


def act(values) -> None:
    """The whole comparison, or with --only one measurement."""
    settings = config.from_flags(values)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if values.only:
        print(json.dumps(measure(values.only, settings, values.iters)))
        return
    small = config.Config(dataset=settings.dataset, way=3, shot=1, query=2, metabatch=2, n_steps=2, inner_lr=0.1)
    differences = check(small)
    print(json.dumps({"largest_relative_difference": differences}))
    if not values.check_only:
        result = compare(settings, sys.argv[1:], values.rounds)
        print(json.dumps({**result, "largest_relative_difference": differences, "settings": settings.as_dict()}))


def main(argv: Sequence[str]) -> int:
    return cli.run(argv, __doc__, define_flags, act)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
