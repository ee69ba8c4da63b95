"""The origin of a measurement, and the folder for its results."""

import importlib.util
import os
import pathlib
import subprocess
from collections.abc import Iterable

from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths, provenance
from tf_metadrop.util.provenance import hardware, peak_mb, version, versions  # noqa: F401

WRITTEN = ("RESULTS.json", "RESULTS.md", "PEERS.json")  # in the folder of --output
ROOT = pathlib.Path(__file__).parent.parent


def about(output: pathlib.Path) -> dict:
    """Commit, machine and versions: measurements are comparable if all of these are equal."""
    return dict(commit=commit(output), machine=hardware(), versions=versions())


def commit(output: pathlib.Path) -> str:
    """The commit of this source tree; it is `-dirty` if files differ from it, other than results of benchmarks."""
    found = provenance.commit()
    try:
        written = [os.path.relpath((output / name).resolve(), ROOT) for name in WRITTEN]
        excluded = [f":(exclude){name}" for name in written if not name.startswith("..")]
        clean = subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", ".", *excluded]).returncode
    except (OSError, ValueError):
        return found
    return found.removesuffix("-dirty") if clean == 0 else found


def require(who: str, modules: Iterable[str]) -> None:
    """Raises UsageError if a module that only the benchmarks need is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{who} needs {' and '.join(missing)}: python -m pip install -r requirements-benchmarks.txt, or "
            "install only this package."
        )


def folder(output: str) -> pathlib.Path:
    """The folder of --output; it is created if it is missing."""
    path = paths.path(output)
    if not output or (path.exists() and not path.is_dir()):
        raise UsageError(f"--output={output} is not a folder: give a folder.")
    path.mkdir(parents=True, exist_ok=True)
    return path
