"""Environment variables of TensorFlow, CUDA and OpenMP: they are respected unless a flag overrides them."""

import os
import pathlib
import platform

from tf_metadrop.errors import UsageError

GPUS, LOG_LEVEL, OPENMP = "CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_chosen: list[str] = []  # the GPUs that this process has chosen by the environment


def before_tensorflow(gpu_id: int, devices: int = 1) -> None:
    """Sets the GPUs that TensorFlow sees, and its log level; call it before TensorFlow's first import.

    Args:
      gpu_id: the first GPU, counted among those that the environment shows; negative: no GPU.
      devices: number of GPUs from there on.
    Raises:
      UsageError: the environment shows GPUs, but not this one.
    """
    os.environ[GPUS] = visible_gpus(gpu_id, devices)
    _chosen[:] = [os.environ[GPUS]]
    os.environ.setdefault(LOG_LEVEL, "3")


def gpus_are_chosen() -> bool:
    """Whether `before_tensorflow` was called, as the programs do, so that TensorFlow sees no other GPUs."""
    return bool(_chosen)


def prefer_onednn() -> None:
    """Lets TensorFlow convolve by oneDNN on every x86 processor, unless the environment decides.

    Call it before TensorFlow's first import. By itself, TensorFlow does so only where there are instructions for neural
    networks, as AVX512-VNNI. Elsewhere its own convolutions are slower (docs/explanations/performance.md, "Without
    AVX512").
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault(ONEDNN, "1")


def visible_gpus(gpu_id: int, devices: int) -> str:
    """The value of CUDA_VISIBLE_DEVICES for these flags."""
    if gpu_id < 0:
        return "-1"
    given = os.environ.get(GPUS)
    if given is None:
        return ",".join(map(str, range(gpu_id, gpu_id + devices)))
    shown: list[str] = []
    for name in map(str.strip, given.split(",")):
        if name in ("", "-1"):  # CUDA ignores the rest
            break
        shown.append(name)
    if not shown:
        return given
    if gpu_id >= len(shown):
        raise UsageError(
            f"--gpu_id={gpu_id} counts within {GPUS}={given}, which shows {len(shown)}: give at most {len(shown) - 1}, "
            "or unset it."
        )
    return ",".join(shown[gpu_id : gpu_id + devices])


def computes_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16; True if that is not known."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return True
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def threads(name: str) -> int | None:
    """The number of threads in a variable such as OMP_NUM_THREADS; None if it has none."""
    text = os.environ.get(name, "").split(",")[0].strip()  # OpenMP's variable has one number for each level
    return int(text) if text.isdecimal() and int(text) > 0 else None
