"""Times the compiled meta-training step or the compiled meta-test step on random images.

  python -m benchmarks.step --dataset omniglot --way 20 --shot 1 --query 15 --metabatch 4 --second_order exact
  python -m benchmarks.step --mode meta_test --metabatch 1 --n_test_mc_samp 30 ...
  python -m benchmarks.step --suite [--output benchmarks]

It takes the flags of main.py, and --iters (default 5). --suite measures the settings of benchmarks/suite.py, each in a
separate process, and writes RESULTS.json and RESULTS.md; after an interruption it resumes. The last line of a single
measurement is a JSON object: median_s, spread_s (slowest minus fastest), first_call_s, peak_rss_mb, examples_per_s,
gflop, gflop_per_s, matmul_gflop_per_s, gap_s (median time that a step waits for its episodes), peak_gpu_mb, execution
(how the step was executed).
"""

import contextlib
import gc
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from benchmarks import machine
from tf_metadrop.cli import program
from tf_metadrop.config import absl_flags
from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment
from tf_metadrop.util.quiet import importing_tensorflow

CLASSES, INSTANCES = 40, 40  # of the random images


def define_flags(values: flags.FlagValues) -> None:
    absl_flags.define_flags(values)
    flags.DEFINE_integer("iters", 5, "Number of timed steps, after two warm-up steps.", 1, flag_values=values)
    flags.DEFINE_boolean("suite", False, "Measure all settings and write the report.", flag_values=values)
    flags.DEFINE_string("output", "benchmarks", "Folder of the suite's report.", flag_values=values)


def measure(settings: Config, iters: int) -> dict:
    """Times `iters` steps of this config; the docstring of the module describes the result."""
    import tensorflow as tf

    from tf_metadrop.algorithm import flops
    from tf_metadrop.algorithm.episodes import Images
    from tf_metadrop.algorithm.execution import execution, prepare
    from tf_metadrop.algorithm.outer_loop import initial_state
    from tf_metadrop.algorithm.steps import make_test_step, make_train_step
    from tf_metadrop.data import DATASETS
    from tf_metadrop.methods import network
    from tf_metadrop.methods.method import load_method
    from tf_metadrop.modes import train
    from tf_metadrop.nn import rng
    from tf_metadrop.nn.params import cast

    prepare(settings)
    spec, method = DATASETS[settings.dataset], load_method(settings)
    pixels = np.random.RandomState(0).randint(0, 256, [CLASSES, INSTANCES, *spec.image_shape]).astype(np.uint8)
    images = Images(pixels, settings)
    params = network.initial(method, settings.way, rng.key(settings.seed, 0))
    state = initial_state(cast(params, settings.dtype), method)
    key, training = rng.key(settings.seed, rng.TRAIN), settings.mode == "meta_train"
    step = (make_train_step if training else make_test_step)(settings, method)

    def run(state, episodes):
        if training:
            state, loss, _ = step(state, *images.batch(*episodes), key)
        else:
            loss = step(state.params, *images.batch(*episodes), key, tf.constant(0))["cent"]
        return state, loss

    with contextlib.closing(images.stream(np.random.RandomState(settings.seed))) as stream:
        began = time.perf_counter()
        state, loss = run(state, next(stream)[0])
        loss.numpy()  # waits for the device
        first_call = time.perf_counter() - began
        _, _, state = timed(run, state, stream, 1, 1)
        at_once = train.FAR_BEHIND if tf.config.list_logical_devices("GPU") and training else 1
        seconds, gaps, state = timed(run, state, stream, iters, at_once)
    median = statistics.median(seconds)
    memory = dict(peak_rss_mb=machine.peak_mb(), peak_gpu_mb=peak_gpu_mb(tf))
    gflop = (flops.train_step_flop if training else flops.test_step_flop)(
        settings
    ) / 1e9  # needs memory, so it is computed last
    per_step = settings.metabatch * settings.way * (settings.shot + settings.query)
    return dict(
        median_s=round(median, 5), spread_s=round(max(seconds) - min(seconds), 5),
        first_call_s=round(first_call, 2), **memory,
        examples_per_s=round(per_step / median, 1), gflop=round(gflop, 2), gflop_per_s=round(gflop / median, 1),
        matmul_gflop_per_s=round(matmul_speed(tf, settings.maps_dtype), 1), gap_s=round(statistics.median(gaps), 6),
        execution=execution(settings)._asdict(),
    )  # fmt: skip


def timed(run, state, stream, iters: int, at_once: int):
    """Runs steps as training does: it starts `at_once` steps before it waits for the device.

    Returns:
      (seconds per step, a mean for every `at_once` steps; seconds that each step waited for its episodes; last state).
    """
    seconds, gaps = [], []
    for _ in range(iters):
        began = time.perf_counter()
        for _ in range(at_once):
            waiting = time.perf_counter()
            episodes, _ = next(stream)
            gaps.append(time.perf_counter() - waiting)
            state, loss = run(state, episodes)
        loss.numpy()  # waits for the device
        seconds.append((time.perf_counter() - began) / at_once)
    return seconds, gaps, state


def peak_gpu_mb(tf) -> int | None:
    """TensorFlow's peak memory on the first GPU, in MiB; None without a GPU."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.config.experimental.get_memory_info(gpus[0].name)["peak"] >> 20 if gpus else None


def matmul_speed(tf, dtype: str, repeats: int = 5) -> float:
    """The machine's measured peak: GFLOP/s of the fastest large matrix products, in the given precision.

    If several noise samples run in parallel threads, it runs as many products in parallel.
    """
    size = 8192 if tf.config.list_logical_devices("GPU") else 2048
    several = max(1, tf.config.threading.get_inter_op_parallelism_threads())
    made = tf.cast(tf.random.stateless_normal([several, size, size], [0, 0]), dtype)
    total = lambda: tf.add_n([tf.matmul(a, a)[0, 0] for a in tf.unstack(made)])
    products = tf.function(lambda: tf.cast(total(), tf.float32), autograph=False)
    products()
    fastest = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        np.asarray(products())
        fastest = min(fastest, time.perf_counter() - began)
    return several * 2 * size**3 / fastest / 1e9


def act(values, arguments: Sequence[str]) -> None:
    """Prints one measurement as JSON, or runs the suite."""
    settings = absl_flags.from_flags(values)
    if settings.mode not in ("meta_train", "meta_test"):
        raise UsageError(f"--mode={settings.mode} has no step to time: give meta_train or meta_test.")
    if values.suite:
        run_suite(values, arguments)
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = environment.visible_gpus(settings.gpu_id, 1)
    import_quietly()
    result = measure(settings, values.iters)
    print(json.dumps({**result, "settings": settings.as_dict()}))


def run_suite(values, arguments: Sequence[str]) -> None:
    """Makes all measurements of benchmarks/suite.py."""
    if set_by_suite := sorted(absl_flags.given_flags(values) - {"seed"}):
        raise UsageError(f"--suite sets --{set_by_suite[0]} itself: leave it out.")
    output = machine.folder(values.output)
    import_quietly()  # before the commit is determined
    from benchmarks import suite

    command = shlex.join(["python", "-m", "benchmarks.step", *arguments])
    suite.run(output, machine.about(output), command, suite.tables(values.iters, values.seed), values.seed)


def import_quietly() -> None:
    """Imports TensorFlow without the lines that it writes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with importing_tensorflow():
        import tensorflow  # noqa: F401

        import tf_metadrop.modes.train  # noqa: F401
    gc.freeze()  # as main.py does


def main(argv: Sequence[str]) -> int:
    return program.run(argv, __doc__, define_flags, lambda values: act(values, argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
