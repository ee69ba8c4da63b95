"""What a measurement was made on and with: machine, versions, commit; and the memory that a process took."""

import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import resource
import subprocess
from collections.abc import Iterable

from tf_metadrop.errors import UsageError

WRITTEN = ("RESULTS.json", "RESULTS.md", "PEERS.json")  # in the folder of --output
ROOT = pathlib.Path(__file__).parent.parent


def about(output: pathlib.Path) -> dict:
    """Commit, machine and versions: measurements for which all of these are equal can be compared."""
    return dict(commit=commit(output), machine=hardware(), versions=versions())


def hardware() -> dict:
    """Processor, cores that this process may use, memory, and GPUs as nvidia-smi names them."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return dict(
        cpu=model[1] if model else platform.processor() or platform.machine(), cores=cores,
        memory_gib=round(int(memory[1]) / 2**20, 1) if memory else None, gpu=gpus(),
    )  # fmt: skip


def gpus() -> list[str]:
    """Name of each NVIDIA GPU; asks nvidia-smi, so that this process takes no GPU memory."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def versions() -> dict:
    """Python, TensorFlow (either build) and NumPy, without importing them."""
    tensorflow = version("tensorflow_cpu", "tensorflow")
    return {"Python": platform.python_version(), "TensorFlow": tensorflow, "NumPy": version("numpy")}


def commit(output: pathlib.Path) -> str:
    """evaluate.commit(), but the results that a benchmark writes do not make it `-dirty`."""
    from tf_metadrop import evaluate

    found = evaluate.commit()
    try:
        written = [os.path.relpath((output / name).resolve(), ROOT) for name in WRITTEN]
        excluded = [f":(exclude){name}" for name in written if not name.startswith("..")]
        clean = subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", ".", *excluded]).returncode
    except (OSError, ValueError):
        return found
    return found.removesuffix("-dirty") if clean == 0 else found


def peak_mb() -> int:
    """Largest resident memory of this process so far.

    From /proc where there is one: getrusage's number is never below what the process that started this one held.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    return int(found[1]) // 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def require(who: str, modules: Iterable[str]) -> None:
    """Raises UsageError if a module that only the benchmarks need is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{who} needs {' and '.join(missing)}: python -m pip install -r requirements-benchmarks.txt, or of it the "
            "line wanted."
        )


def folder(output: str) -> pathlib.Path:
    """The folder of --output, made if it is not there."""
    path = pathlib.Path(output)
    if not output or (path.exists() and not path.is_dir()):
        raise UsageError(f"--output={output} is not a folder: give one.")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def version(*packages: str) -> str:
    """Of the first of these packages that is installed."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return "unknown"
