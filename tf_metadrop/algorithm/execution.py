"""How the steps run: tasks sequential or vectorised, with or without XLA, and the precision of matrix products."""

import contextlib
import functools
import os
import sys
from typing import NamedTuple

import tensorflow as tf

from tf_metadrop.config.config import Config
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment
from tf_metadrop.util.quiet import quiet

# Triton crashes the process on some products ("triton_tiling_propagation", TensorFlow 2.21), and cuBLAS is as fast. An
# omniglot 20-way 1-shot step took 18.8 ms on an H200 with CUDA graphs (command buffers), and 17.4 ms without them.
XLA_FLAGS = "--xla_gpu_enable_triton_gemm=false --xla_gpu_enable_command_buffer= --xla_cpu_prefer_vector_width=512"
MOST_IN_FLIGHT = 4  # each needs memory
# This pass of TensorFlow's graph optimizer gains nothing here on a CPU and takes half a second of the first call. The
# others stay on: without "remapping", a later pass crashes the process on two devices ("MergeConv2DWithBiasAdd", 2.21).
IDLE_PASSES = ("constant_folding",)
EMULATED = (
    "--precision=bfloat16: this processor has no instructions for it (AVX512-BF16 or AMX) and emulates them. In our "
    "measurements that took 1.0 to 2.0 times as long as float32."
)
_deterministic: list[bool] = []  # not empty: a call of this process has asked for it, which lasts
SAMPLES_AT_ONCE = 64  # tasks times noise samples that are vectorised, if the tasks are vectorised


class Execution(NamedTuple):
    """How --tasks and --xla are resolved on this machine."""

    at_once: bool  # tasks are vectorised, and memory grows with their number; otherwise they are sequential
    xla: bool  # the whole step is compiled by XLA, which takes minutes on a GPU
    in_flight: int  # sequential tasks, or noise samples of one task, that a test computes in parallel

    def samples(self, n_tasks: int, n_samples: int) -> int:
        """The number of noise samples that go through the network as one batch: a divisor of n_samples."""
        most = max(1, SAMPLES_AT_ONCE // n_tasks) if self.at_once else 1
        return next(n for n in range(min(most, n_samples), 0, -1) if n_samples % n == 0)


def execution(config: Config) -> Execution:
    """Resolves --tasks and --xla; `auto` is vectorised and XLA on a GPU, neither on a CPU (both are slower there)."""
    gpu = bool(tf.config.get_visible_devices("GPU"))
    at_once = gpu if config.tasks == "auto" else config.tasks == "at_once"
    in_flight = 1 if gpu or config.mode != "meta_test" else min(cores(), MOST_IN_FLIGHT)
    return Execution(at_once, gpu if config.xla == "auto" else config.xla == "on", in_flight)


def cores() -> int:
    """The number of processor cores that this process may use, at most OMP_NUM_THREADS."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, environment.threads(environment.OPENMP) or found)


def choose_gpus(config: Config) -> None:
    """Lets TensorFlow compute on the GPUs of `gpu_id` and `devices`; the programs have done so before its import.

    Raises:
      UsageError: there is no such GPU, or TensorFlow already uses others.
    """
    found, first = tf.config.list_physical_devices("GPU"), config.gpu_id
    if environment.gpus_are_chosen() or not found:
        return
    if first >= len(found):
        raise UsageError(f"gpu_id={first}, but TensorFlow has {len(found)} GPUs: give at most {len(found) - 1}.")
    wanted = found[first : first + config.devices] if first >= 0 else []
    if tf.config.get_visible_devices("GPU")[: len(wanted) or None] == wanted:
        return  # it takes the first ones, or none
    try:
        tf.config.set_visible_devices(wanted, "GPU")
    except RuntimeError as error:
        raise UsageError(
            f"gpu_id={first} and devices={config.devices} come too late, TensorFlow uses other GPUs already: restart "
            "Python, and give them in the first call that trains, tests or loads."
        ) from error


def prepare(config: Config) -> None:
    """Configures TensorFlow before its first operation: GPUs, their memory, threads, determinism and --precision."""
    choose_gpus(config)
    set_threads(execution(config).in_flight)
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        tf.config.optimizer.set_experimental_options(dict.fromkeys(IDLE_PASSES, False))
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # TensorFlow has been used already
            tf.config.experimental.set_memory_growth(gpu, True)
    if config.deterministic:
        _deterministic.append(True)
        tf.config.experimental.enable_op_determinism()
        add_xla_flags("--xla_gpu_deterministic_ops=true")
    elif _deterministic and config.mode == "meta_train":
        say_deterministic()
    add_xla_flags(XLA_FLAGS)
    if config.precision == "bfloat16" and not gpus and not environment.computes_bfloat16():
        say_emulated()
    set_precision(config)
    compile_first()


@functools.cache
def say_deterministic() -> None:
    """Warns once in a process that a training has other bits than its settings give elsewhere."""
    print(
        "an earlier call of this Python asked for deterministic=True, which TensorFlow keeps until it ends: the bits "
        "are those of deterministic=True. Restart Python for others.",
        file=sys.stderr,
    )


@functools.cache
def say_emulated() -> None:
    """Warns once in a process, although a training and its MetaLearner both call `prepare`."""
    print(EMULATED, file=sys.stderr)


def set_precision(config: Config) -> None:
    """Lets the products of this process round to TensorFloat-32, or forbids it, as --precision says."""
    tf.config.experimental.enable_tensor_float_32_execution(config.precision == "tf32")


def set_threads(in_flight: int) -> None:
    """Sets TensorFlow's threads to `in_flight` operations at a time, unless its environment variables set them."""
    if in_flight == 1 and not environment.threads(environment.OPENMP):
        return
    with contextlib.suppress(RuntimeError):  # TensorFlow has been used already
        if in_flight > 1 and not environment.threads("TF_NUM_INTEROP_THREADS"):  # one thread for each
            tf.config.threading.set_inter_op_parallelism_threads(in_flight)
        if not environment.threads("TF_NUM_INTRAOP_THREADS"):
            tf.config.threading.set_intra_op_parallelism_threads(max(1, cores() // in_flight))


def add_xla_flags(flags: str) -> None:
    """Puts flags before the user's in XLA_FLAGS, so that the user's win; XLA reads them at the first compilation."""
    given = os.environ.get("XLA_FLAGS", "")
    if flags not in given:
        os.environ["XLA_FLAGS"] = f"{flags} {given}".strip()


@functools.cache
def compile_first() -> None:
    """Compiles a trivial function quietly: TensorFlow 2.20 logs its first compilation at any log level."""
    with quiet():
        tf.function(lambda: tf.zeros([]), jit_compile=True)()
