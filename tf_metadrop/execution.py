"""How the steps run: tasks in sequence or at once, with XLA or without, and how exact products are."""

import contextlib
import os
from typing import NamedTuple

import tensorflow as tf

# Triton ends the process on some products ("triton_tiling_propagation", TensorFlow 2.21), and cuBLAS is as fast; CUDA
# graphs are made anew at every step, as buffers move: 18.8 ms with them and 17.4 ms without on an H200.
XLA_FLAGS = "--xla_gpu_enable_triton_gemm=false --xla_gpu_enable_command_buffer="
SAMPLES_AT_ONCE = 64  # tasks times noise samples, where tasks run at once


class Execution(NamedTuple):
    """What --tasks and --xla come to on this machine."""

    at_once: bool  # all tasks as one batch, memory growing with their number; else one after the other
    xla: bool  # the whole step compiled by XLA, which takes minutes on a GPU

    def samples(self, n_tasks: int, n_samples: int) -> int:
        """Noise samples that go through the network together: a divisor of n_samples."""
        most = max(1, SAMPLES_AT_ONCE // n_tasks) if self.at_once else 1
        return next(n for n in range(min(most, n_samples), 0, -1) if n_samples % n == 0)


def execution(config) -> Execution:
    """Where a flag says `auto`: at once and with XLA on a GPU, neither on a CPU (both are slower there)."""
    gpu = bool(tf.config.get_visible_devices("GPU"))
    at_once = gpu if config.tasks == "auto" else config.tasks == "at_once"
    return Execution(at_once, gpu if config.xla == "auto" else config.xla == "on")


def prepare(config) -> None:
    """Sets TensorFlow up for this config, before its first operation: GPU memory as needed, and --precision."""
    for gpu in tf.config.get_visible_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # TensorFlow is in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    if XLA_FLAGS not in os.environ.get("XLA_FLAGS", ""):  # read at the first compilation
        os.environ["XLA_FLAGS"] = f"{XLA_FLAGS} {os.environ.get('XLA_FLAGS', '')}".strip()  # later ones win
    tf.config.experimental.enable_tensor_float_32_execution(config.precision == "tf32")
