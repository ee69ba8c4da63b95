"""Compares the meta-training step of this project with the same step in plain TensorFlow 2 and in plain PyTorch.

It checks that their results agree, then measures them in turn. This project and PyTorch are also measured in bfloat16:
with --precision=bfloat16 and with torch.autocast.

  python -m benchmarks.peers [--rounds 3] [--iters 3] [--check_only] [--output benchmarks] [flags of main.py]
  python -m benchmarks.peers --mode=meta_test --metabatch=1 --n_test_mc_samp=30 ...    the meta-test step

Each measurement is a separate process. The rounds are interleaved, so that a machine that slows down slows all of them.
PyTorch is needed (requirements-benchmarks.txt). The last line is a JSON object with the medians, and the ratios of this
project's time to the others'. With --output it is also written to PEERS.json and RESULTS.md in that folder.
"""

import dataclasses
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from benchmarks import machine, step
from benchmarks.problem import one_hot, problem, torch_tasks
from tf_metadrop.cli import program
from tf_metadrop.config import absl_flags
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment

CHECKED = ("ours", "plain_tf", "plain_torch")  # must compute the same in float64
IN_BFLOAT16 = ("ours, bfloat16", "plain_torch, autocast")  # each with the means of its framework
IMPLEMENTATIONS = (*CHECKED, *IN_BFLOAT16)


def define_flags(values: flags.FlagValues) -> None:
    absl_flags.define_flags(values)
    flags.DEFINE_integer(
        "iters", 3, "Number of timed steps per process, after two warm-up steps.", 1, flag_values=values
    )
    flags.DEFINE_integer("rounds", 3, "Number of processes for each implementation.", 1, flag_values=values)
    flags.DEFINE_boolean("check_only", False, "Only check that loss and gradient agree.", flag_values=values)
    flags.DEFINE_string("output", None, "Folder to write PEERS.json and RESULTS.md into.", flag_values=values)
    flags.DEFINE_string("only", None, "Internal: measure one implementation in this process.", flag_values=values)


def torch_noise(noise):
    """Our noise function for PyTorch's layout of images; the last argument is the shape."""
    import torch

    def draw(*place):
        *place, shape = place
        if len(shape) == 2:
            return torch.tensor(noise(*place, shape))
        n, c, h, w = shape
        return torch.tensor(noise(*place, (n, h, w, c))).permute(0, 3, 1, 2)

    return draw


def sampled(noise):
    """noise(step, layer, shape) as a function (step, sample, layer, shape), which differs between samples."""
    return lambda step, sample, layer, shape: noise(step + 1000 * sample, layer, shape)


def indexed(noise, n_samples: int):
    """noise(step, sample, layer, shape) where sample is a tensor: picks from a constant of them all."""
    import tensorflow as tf

    return lambda step, sample, layer, shape: tf.gather(
        tf.constant(np.stack([noise(step, j, layer, shape) for j in range(n_samples)])), sample
    )


def gradients(name: str, settings: Config):
    """(loss, gradients by name) of an implementation in float64; weights, tasks and noise are the same for all."""
    weights, tasks, noise = problem(settings, "float64")
    if name == "plain_torch":
        from benchmarks import plain_torch

        params = plain_torch.parameters(weights)
        loss, found = plain_torch.step(
            params, torch_tasks(tasks), settings.inner_lr, settings.n_steps, torch_noise(noise)
        )
        return loss, plain_torch.gradient_arrays(params, found)
    import tensorflow as tf

    params = {key: tf.constant(w) for key, w in weights.items()}
    tasks = tuple(tf.constant(part) for part in one_hot(tasks, settings.way, "float64"))
    if name == "plain_tf":
        from benchmarks import plain_tf

        loss, found = plain_tf.make_step(settings.inner_lr, settings.n_steps, noise)(params, tasks)
    else:
        from tf_metadrop.algorithm import outer_loop
        from tf_metadrop.algorithm.tasks import Task
        from tf_metadrop.methods.method import load_method

        get_task = lambda index: Task(*[part[index] for part in tasks])
        draw = lambda step, sample, layer, shape: noise(step, layer, shape)
        ours = tf.function(outer_loop.meta_gradient, autograph=False)
        method = load_method(settings)
        found, loss, _ = ours(params, settings.metabatch, get_task, settings, method, lambda _: draw)
    return float(loss), {key: g.numpy() for key, g in found.items() if g is not None}


def test_losses(name: str, settings: Config) -> np.ndarray:
    """Query losses [metabatch] after meta-test adaptation, in float64, with the same weights, tasks and noise."""
    weights, tasks, noise = problem(settings, "float64")
    noise, c = sampled(noise), settings
    if name == "plain_torch":
        from benchmarks import plain_torch

        params, tasks = plain_torch.parameters(weights), torch_tasks(tasks)
        found = plain_torch.test_step(params, tasks, c.inner_lr, c.n_steps, c.n_test_mc_samp, torch_noise(noise))
        return np.array(found)
    import tensorflow as tf

    params = {key: tf.constant(w) for key, w in weights.items()}
    tasks = tuple(tf.constant(part) for part in one_hot(tasks, c.way, "float64"))
    draw = indexed(noise, c.n_test_mc_samp)
    if name == "plain_tf":
        from benchmarks import plain_tf

        return plain_tf.make_test_step(c.inner_lr, c.n_steps, c.n_test_mc_samp, draw)(params, tasks).numpy()
    from tf_metadrop.algorithm import outer_loop
    from tf_metadrop.algorithm.tasks import Task
    from tf_metadrop.methods.method import load_method

    method = load_method(c)
    ours = lambda *task: outer_loop.task_loss(params, Task(*task), c, method, draw, c.n_test_mc_samp)[0]
    ours = tf.function(ours, autograph=False)
    return np.array([ours(*[part[index] for part in tasks]) for index in range(c.metabatch)])


def check(settings: Config) -> dict:
    """Largest relative difference from this project, by implementation, of loss and gradients or of test losses."""
    if settings.mode == "meta_test":
        ours = test_losses("ours", settings)
        return {name: float(np.max(np.abs(test_losses(name, settings) / ours - 1))) for name in CHECKED[1:]}
    loss, ours = gradients("ours", settings)
    differences = {}
    for name in CHECKED[1:]:
        other_loss, theirs = gradients(name, settings)
        size = max(np.linalg.norm(g) for g in ours.values())
        errors = [np.linalg.norm(theirs[key] - g) / max(np.linalg.norm(g), 1e-9 * size) for key, g in ours.items()]
        differences[name] = float(max(abs(other_loss - loss) / loss, *errors))
    return differences


def make_call(name: str, settings: Config):
    """A function that runs one step of a plain implementation and waits for its result."""
    if name == "plain_torch, autocast":
        import torch

        return torch.autocast("cpu", torch.bfloat16)(make_call("plain_torch", settings))
    (weights, tasks, _), c, testing = problem(settings, "float32"), settings, settings.mode == "meta_test"
    if name == "plain_torch":
        from benchmarks import plain_torch

        params, tasks = plain_torch.parameters(weights), torch_tasks(tasks)
        if testing:
            return lambda: plain_torch.test_step(params, tasks, c.inner_lr, c.n_steps, c.n_test_mc_samp)
        return lambda: plain_torch.step(params, tasks, c.inner_lr, c.n_steps)[1][0].numpy()
    import tensorflow as tf

    from benchmarks import plain_tf

    params = {key: tf.constant(w) for key, w in weights.items()}
    tasks = tuple(tf.constant(part) for part in one_hot(tasks, c.way, "float32"))
    if testing:
        compiled = plain_tf.make_test_step(c.inner_lr, c.n_steps, c.n_test_mc_samp)
        return lambda: compiled(params, tasks).numpy()
    compiled = plain_tf.make_step(c.inner_lr, c.n_steps)
    return lambda: compiled(params, tasks)[0].numpy()


def measure(name: str, settings: Config, iters: int) -> dict:
    """Times one implementation in this process: median_s, first_call_s, peak_rss_mb."""
    if name == "ours, bfloat16":
        settings = dataclasses.replace(settings, precision="bfloat16")
    if name.startswith("ours"):
        return step.measure(settings, iters)
    call, seconds = make_call(name, settings), []
    for _ in range(iters + 2):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    peak = machine.peak_mb()
    return dict(median_s=statistics.median(seconds[2:]), first_call_s=round(seconds[0], 2), peak_rss_mb=peak)


def compare(settings: Config, arguments: list[str], rounds: int) -> dict:
    """Runs interleaved rounds of all implementations; returns medians, and the ratios of this project to the others."""
    found = {name: [] for name in IMPLEMENTATIONS}
    for index in range(rounds):
        for name in IMPLEMENTATIONS:
            command = [sys.executable, "-m", "benchmarks.peers", *arguments, f"--only={name}"]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[name].append(json.loads(out.splitlines()[-1]))
            print(f"round {index + 1} {name:21s} {found[name][-1]['median_s']:.3f} s", flush=True)
    medians = {name: round(statistics.median(r["median_s"] for r in results), 4) for name, results in found.items()}
    return dict(
        median_s=medians, ratio={name: round(medians["ours"] / medians[name], 3) for name in IMPLEMENTATIONS[1:]},
        peak_rss_mb={name: max(r["peak_rss_mb"] for r in results) for name, results in found.items()},
        first_call_s={name: results[0]["first_call_s"] for name, results in found.items()},
    )  # fmt: skip


def act(values, arguments: Sequence[str]) -> None:
    """Runs the whole comparison, or a single measurement with --only."""
    settings = absl_flags.from_flags(values)
    refuse_others(settings)
    machine.require("benchmarks.peers", ["torch"])
    os.environ["CUDA_VISIBLE_DEVICES"] = environment.visible_gpus(settings.gpu_id, 1)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    environment.prefer_onednn()  # for plain TensorFlow too
    if values.only:
        if values.only.startswith("ours"):
            step.import_quietly()
        print(json.dumps(measure(values.only, settings, values.iters)))
        return
    output = machine.folder(values.output) if values.output is not None else None
    step.import_quietly()  # only here: the process that measures PyTorch must not load TensorFlow
    small = Config(
        mode=settings.mode, dataset=settings.dataset, way=3, shot=1, query=2, metabatch=2, n_steps=2, inner_lr=0.1,
        n_test_mc_samp=3,
    )  # fmt: skip
    differences = check(small)
    print(json.dumps({"largest_relative_difference": differences}))
    if values.check_only:
        return
    result = compare(settings, list(arguments), values.rounds)
    result |= {"largest_relative_difference": differences, "settings": settings.as_dict()}
    if output:
        record(output, result, shlex.join(["python", "-m", "benchmarks.peers", *arguments]))
    print(json.dumps(result))


def refuse_others(settings: Config) -> None:
    """Raises UsageError for all settings but exact Meta-dropout, because only this has plain versions."""
    if settings.mode not in ("meta_train", "meta_test"):
        raise UsageError(f"--mode={settings.mode} has no step to time: give meta_train or meta_test.")
    if settings.method != "metadrop":
        raise UsageError(f"the method {settings.method} has no plain version: leave out its flags.")
    if settings.precision != "float32":
        raise UsageError(f"--precision={settings.precision}: this compares float32 and bfloat16, so leave it out.")
    if settings.second_order != "exact" and settings.mode == "meta_train":
        raise UsageError(f"--second_order={settings.second_order} has no plain version: leave it out.")


def record(output: pathlib.Path, result: dict, command: str) -> None:
    """Writes a comparison to PEERS.json, where it replaces the last one of its mode, and writes the report again."""
    from benchmarks import report, suite

    settings = result["settings"]
    found = {**machine.about(output), "command": command, "seed": settings["seed"], "date": suite.now(), **result}
    found["versions"]["PyTorch"] = machine.version("torch")
    path = output / "PEERS.json"
    report.save(path, {**report.load(path), settings["mode"]: found})
    report.write(output)


def main(argv: Sequence[str]) -> int:
    return program.run(argv, __doc__, define_flags, lambda values: act(values, argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
