"""run.json: the cost of a training run and the machine that it ran on, with one part for each start of the run."""

import json
import pathlib
import time

from tf_metadrop.errors import UsageError
from tf_metadrop.util import atomic, provenance

FILE = "run.json"
FIX = "restore it from a copy, or remove it, and the cost of the earlier starts is not known"


class Record:
    """Writes run.json at every checkpoint.

    Args:
      directory: the savedir.
      done: number of iterations before this start. The iterations of an earlier start after its last checkpoint are
        lost, and are not counted; its time up to that checkpoint is.
      images: fingerprint of the training images.
    """

    def __init__(self, directory: pathlib.Path, done: int, images: str):
        self._path, self._began, self._done = directory / FILE, time.monotonic(), done
        self._before = [part for part in read(directory).get("parts", []) if part["first"] < done]
        self._about, self._images = provenance.about(), images

    def write(self, done: int, flop: int | None) -> None:
        """Records that `done` iterations are in the checkpoint, each of `flop` floating-point operations if known."""
        seconds = round(time.monotonic() - self._began, 1)
        part = dict(first=self._done, iterations=done - self._done, seconds=seconds, peak_mb=provenance.peak_mb())
        parts = [*self._before, part | self._about]
        total = dict(
            iterations=done, seconds=round(sum(p["seconds"] for p in parts), 1),
            peak_mb=max(p["peak_mb"] for p in parts), gflop_per_iteration=flop and round(flop / 1e9, 3),
            images=self._images,
        )  # fmt: skip
        atomic.write(self._path, (json.dumps(total | dict(parts=parts), indent=1) + "\n").encode())


def read(directory: pathlib.Path) -> dict:
    """Reads run.json, the cost of the run in a savedir; {} if there is no such file.

    Returns:
      iterations, seconds (with evaluations and compilation), peak_mb (resident memory), gflop_per_iteration
      (flops.train_step_flop; None if it could not be counted), images (the fingerprint of the training images), and
      parts: the same for every start, with its command, commit, machine and versions.
    Raises:
      UsageError: the file is broken.
    """
    path = directory / FILE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}): {FIX}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is not what a training writes: {FIX}.")
    return found
