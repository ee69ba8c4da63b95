"""The provenance of a run or a measurement: command, commit, machine and versions; and the peak memory of a process."""

import importlib.metadata
import os
import pathlib
import platform
import re
import resource
import shlex
import subprocess
import sys

import tf_metadrop

PACKAGE = pathlib.Path(__file__).parents[1]


def about() -> dict:
    """The command line, commit, machine and versions of this process."""
    return dict(command=command(), commit=commit(), machine=hardware(), versions=versions())


def as_typed(mode: str, **flags: object) -> str:
    """A command line for a --mode, in the form in which this process was started (metadrop or python main.py)."""
    as_main = pathlib.Path(sys.argv[0]).name == "main.py"
    start = ["python", "main.py", f"--mode={mode}"] if as_main else ["metadrop", mode.removeprefix("meta_")]
    return shlex.join([*start, *(f"--{flag}={value}" for flag, value in flags.items())])


def command() -> str:
    """The command line of this process, as a user would type it."""
    path, *flags = sys.argv
    name = pathlib.Path(path).name
    start = ["python", "-m", PACKAGE.name] if name == "__main__.py" else ["python", name]
    return shlex.join([*(start if name.endswith(".py") else [name]), *flags])


def hardware() -> dict:
    """The processor, the number of cores that this process may use, the memory, and the names of the GPUs."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return dict(
        cpu=model[1] if model else platform.processor() or platform.machine(), cores=cores,
        memory_gib=round(int(memory[1]) / 2**20, 1) if memory else None, gpu=gpus(),
    )  # fmt: skip


def gpus() -> list[str]:
    """The name of each NVIDIA GPU, from nvidia-smi, so that this process uses no GPU memory."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def versions() -> dict:
    """The versions of Python, TensorFlow (either build) and NumPy, without importing them."""
    tensorflow = version("tensorflow_cpu", "tensorflow")
    return {"Python": platform.python_version(), "TensorFlow": tensorflow, "NumPy": version("numpy")}


def version(*packages: str) -> str:
    """The version of the first of these packages that is installed."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return "unknown"


def commit() -> str:
    """The commit of this source tree, with `-dirty` if files differ from it; for an installed package, the version.

    A package that is installed in a folder of another repository, as in its virtual environment, is not part of that
    repository.
    """

    def git(*arguments: str) -> str:
        done = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(done, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.CalledProcessError):
        return f"version {tf_metadrop.__version__}"


def peak_mb() -> int:
    """The largest resident memory of this process so far, in MiB.

    It is read from /proc if possible: the value of getrusage includes the memory of the process that started this one.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    return int(found[1]) // 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""
