"""Runs command lines in other processes."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tf_metadrop.errors import UsageError

PACKAGE = pathlib.Path(__file__).parents[1]


def command(flags: list[str]) -> dict[str, Any]:
    """Arguments of subprocess.Popen for a command line with these flags, with this interpreter and this package."""
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return dict(args=[sys.executable, "-m", PACKAGE.name, *flags], env=environment)


def start(flags: list[str], savedir: pathlib.Path, before: Callable[[], Any] | None = None) -> subprocess.Popen:
    """Starts `command` in another process, which calls `before` first and prints to output.log in the savedir."""
    with open(savedir / "output.log", "a") as log:
        return subprocess.Popen(**command(flags), stdout=log, stderr=subprocess.STDOUT, preexec_fn=before)


def finish(process: subprocess.Popen, savedir: pathlib.Path) -> None:
    """Waits for a process; raises UsageError with the last line of its output if it failed."""
    if process.wait():
        last = (savedir / "output.log").read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        raise UsageError(f"a run ended with code {process.returncode}, see {savedir}/output.log: {last}")
