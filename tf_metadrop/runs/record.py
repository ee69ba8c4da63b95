"""run.json: what a training run cost, and on what it ran, a part for each time that it was started."""

import json
import pathlib
import time

from tf_metadrop.util import provenance

FILE = "run.json"


class Record:
    """Writes run.json at every checkpoint.

    Args:
      directory: the savedir.
      done: iterations that were done before this start; what an earlier start did after its last checkpoint is lost
        with its iterations, but not the time that it took up to there.
      images: fingerprint of the training images.
    """

    def __init__(self, directory: pathlib.Path, done: int, images: str):
        self._path, self._began, self._done = directory / FILE, time.monotonic(), done
        self._before = [part for part in read(directory).get("parts", []) if part["first"] < done]
        self._about, self._images = provenance.about(), images

    def write(self, done: int, flop: int | None) -> None:
        """Says that `done` iterations of so many floating-point operations, if known, are in the checkpoint."""
        seconds = round(time.monotonic() - self._began, 1)
        part = dict(first=self._done, iterations=done - self._done, seconds=seconds, peak_mb=provenance.peak_mb())
        parts = [*self._before, part | self._about]
        total = dict(
            iterations=done, seconds=round(sum(p["seconds"] for p in parts), 1),
            peak_mb=max(p["peak_mb"] for p in parts), gflop_per_iteration=flop and round(flop / 1e9, 3),
            images=self._images,
        )  # fmt: skip
        self._path.write_text(json.dumps(total | dict(parts=parts), indent=1) + "\n")


def read(directory: pathlib.Path) -> dict:
    """What the run in a savedir cost; {} if it does not say.

    Returns:
      iterations, seconds (evaluations and compilation included), peak_mb (resident memory), gflop_per_iteration
      (flops.train_step_flop; None where it could not be counted), images (the fingerprint of the training images),
      parts: the same of every start, with its command, commit, machine and versions.
    """
    try:
        found = json.loads((directory / FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
