"""Times the real compiled meta-training step, or the real meta-test step, on random images.

  python -m benchmarks.step --dataset omniglot --way 20 --shot 1 --query 15 --metabatch 4 --second_order exact
  python -m benchmarks.step --mode meta_test --metabatch 1 --n_test_mc_samp 30 ...

Flags: those of main.py, and --iters (default 5). The last line of a single measurement is one JSON object:
median_s, spread_s (slowest minus fastest), first_call_s, peak_rss_mb, examples_per_s, gflop, gflop_per_s,
matmul_gflop_per_s, gap_s (median time between two steps: drawing the episodes).
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from tf_metadrop import cli, config

CLASSES, INSTANCES = 40, 40  # of the random images


def define_flags(values: flags.FlagValues) -> None:
    config.define_flags(values)
    flags.DEFINE_integer("iters", 5, "Steps to time, after two to warm up.", 1, flag_values=values)


def measure(settings: config.Config, iters: int) -> dict:
    """Times `iters` steps of this config; see the module for the numbers."""
    import tensorflow as tf

    from benchmarks import work
    from tf_metadrop import model, noise, random
    from tf_metadrop.data import DATASETS
    from tf_metadrop.evaluate import Images
    from tf_metadrop.meta import initial_state, make_test_step, make_train_step

    spec, noise_type = DATASETS[settings.dataset], noise.load(settings.method)
    pixels = np.random.RandomState(0).randint(0, 256, [CLASSES, INSTANCES, *spec.image_shape]).astype(np.uint8)
    images, generator = Images(pixels, settings), np.random.RandomState(settings.seed)
    state = initial_state(model.initial(spec, settings.way, random.key(settings.seed, 0)), noise_type)
    key, training = random.key(settings.seed, random.TRAIN), settings.mode == "meta_train"
    step = (make_train_step if training else make_test_step)(settings, noise_type)
    seconds, gaps, ended = [], [], None
    for _ in range(iters + 2):
        episodes = images.episodes(generator)
        began = time.perf_counter()
        if training:
            state, loss, _ = step(state, images.flat, *episodes, key)
        else:
            loss, _ = step(state.params, images.flat, *episodes, key, tf.constant(0))
        np.asarray(loss)
        if ended:
            gaps.append(began - ended)
        ended = time.perf_counter()
        seconds.append(ended - began)
    median = statistics.median(seconds[2:])
    gflop = (work.train_step_flop if training else work.test_step_flop)(settings) / 1e9
    per_step = settings.metabatch * settings.way * (settings.shot + settings.query)
    return dict(
        median_s=round(median, 4), spread_s=round(max(seconds[2:]) - min(seconds[2:]), 4),
        first_call_s=round(seconds[0], 2), peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        examples_per_s=round(per_step / median, 1), gflop=round(gflop, 2), gflop_per_s=round(gflop / median, 1),
        matmul_gflop_per_s=round(matmul_speed(tf), 1), gap_s=round(statistics.median(gaps), 5),
    )  # fmt: skip


def matmul_speed(tf, size: int = 2048, repeats: int = 5) -> float:
    """The machine's measured peak: GFLOP/s of the fastest float32 matrix product of this size."""
    a = tf.random.stateless_normal([size, size], [0, 0])
    fastest = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        np.asarray(tf.matmul(a, a)[0, 0])
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * size**3 / fastest / 1e9


def act(values) -> None:
    """One measurement, printed as JSON."""
    settings = config.from_flags(values)
    os.environ["CUDA_VISIBLE_DEVICES"] = str(settings.gpu_id)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with cli.quiet():
        import tensorflow  # noqa: F401

        import tf_metadrop.evaluate  # noqa: F401
    result = measure(settings, values.iters)
    print(json.dumps({**result, "settings": settings.as_dict()}))


def main(argv: Sequence[str]) -> int:
    return cli.run(argv, __doc__, define_flags, act)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
