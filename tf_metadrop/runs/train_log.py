"""Logs a training run: to meta_train.log as the TF1 program does, metrics.jsonl, timing.jsonl, the terminal and W&B.

metrics.jsonl has only values that the seed determines, so that two runs can be compared byte by byte. Times are in
timing.jsonl.
"""

from __future__ import annotations

import json
import math
import pathlib
import sys
import time
from typing import Any

from tqdm import tqdm

from tf_metadrop.config.config import Config
from tf_metadrop.runs.trackers import Trackers
from tf_metadrop.util.progress import has_terminal

SHORT = {"accuracy": "acc"}  # metric -> its name in the TF1 program's log
RESUMES = "Resumes from iteration"
LABELS = {"train": "meta_train", "test": "meta_test ", "val": "meta_val  "}


class TrainLog:
    """The log of a meta-training run. Use it as a context manager.

    Args:
      directory: the savedir; it exists.
      config: the run's Config.
      progress: None for a new run. For a resumed run, the result of `progress()` at its checkpoint: lines that were
        written after the checkpoint are removed, so that no line is missing or repeated.
      changes: settings whose values change now, as "n_train_iters 20 -> 40"; they are logged.
    """

    FILES = ("meta_train.log", "metrics.jsonl", "timing.jsonl")

    def __init__(
        self, directory: pathlib.Path, config: Config, progress: dict[str, Any] | None = None, changes: str = ""
    ):
        self._config = config
        self._paths = {name: directory / name for name in self.FILES}
        progress = progress or dict(sizes=dict.fromkeys(self.FILES, 0), elapsed=0.0, sums=[0.0, 0.0, 0], done=0)
        for name, path in self._paths.items():
            with open(path, "ab") as file:
                written, kept = file.tell(), progress["sizes"][name]
                file.truncate(min(written, kept))
            if written < kept:
                print(f"warning: {path} is shorter than at the checkpoint: lines of it are lost.", file=sys.stderr)
        self._sums, self._began, self._before = progress["sums"], time.monotonic(), progress["elapsed"]
        self._first = self._done = progress["done"]
        if self._first == 0:
            self._write("meta_train.log", header(config).decode())
        if changes:
            self._write("meta_train.log", f"\n{RESUMES} {self._first}: {changes}\n")
        self._trackers = Trackers(directory, config, "meta_train")
        self._bar: Any = None
        self._timed = 0.0, 0  # start time of the estimate of the time left, and the iterations done by then

    def __enter__(self) -> TrainLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        self._trackers.finish()

    def progress(self) -> dict:
        """The state of the log for a checkpoint; see the argument `progress` of `TrainLog`."""
        sizes = {name: path.stat().st_size for name, path in self._paths.items()}
        return dict(sizes=sizes, elapsed=self._elapsed(), sums=self._sums, done=self._done)

    def write(self, line: str) -> None:
        """Writes a line to the terminal only."""
        tqdm.write(line)
        sys.stdout.flush()

    def trained(self, iteration: int, numbers: tuple[float, float] | None, last: bool = False) -> None:
        """Counts one iteration; every log_freq iterations, and at the last one, logs the means since the last line.

        Args:
          iteration: its number.
          numbers: (cross-entropy, accuracy); None if this iteration was skipped.
          last: whether it is the last one.
        """
        if numbers:
            cents, accs, count = self._sums
            self._sums = [cents + numbers[0], accs + numbers[1], count + 1]
        self._done = iteration + 1
        self._count()
        cents, accs, count = self._sums
        if (iteration % self._config.log_freq == 0 or last) and count:
            self._sums = [0.0, 0.0, 0]
            rate = self._config.meta_lr
            self._write("meta_train.log", f"\nIter {iteration} start, learning rate {rate:f}\n")
            self._line("train", iteration, {"cent": cents / count, "accuracy": accs / count}, "", learning_rate=rate)

    def evaluated(self, iteration: int, split: str, means: dict[str, float]) -> None:
        """Logs the means of an evaluation over its tasks, {metric: mean}."""
        self._line(split, iteration, means, f"{split}_")
        if self._done == self._first + 1:  # the first evaluation compiles too
            self._start_clock()

    def _count(self) -> None:
        """Moves the progress bar; the first iteration is not timed, because it includes the compilation."""
        if self._done == self._first + 1:
            self._start_clock()
        elif self._bar is not None:
            self._bar.update()

    def _start_clock(self) -> None:
        self._timed = time.monotonic(), self._done
        if self._bar is not None:
            self._bar.leave = False
            self._bar.close()
        total = self._config.n_train_iters + 1
        self._bar = tqdm(total=total, initial=self._done, unit="it", disable=not has_terminal(), leave=None)

    def _line(self, split: str, iteration: int, metrics: dict[str, float], prefix: str, **more: float) -> None:
        metrics = {SHORT.get(name, name): value for name, value in metrics.items()}
        episode = iteration * self._config.metabatch
        text = f"{LABELS[split]}: episode {episode}, ({self._elapsed():.3f} secs), "
        text += ", ".join(f"{name} {value:f}" for name, value in metrics.items())
        self._write("meta_train.log", f"{text}\n")
        numbers: dict[str, float] = {"iter": iteration, "episode": episode, **more}
        numbers |= {f"{prefix}{name}": value for name, value in metrics.items()}
        known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}  # JSON has no NaN
        self._write("metrics.jsonl", json.dumps(known) + "\n")
        self._write("timing.jsonl", json.dumps({"iter": iteration, "split": split, "secs": self._elapsed()}) + "\n")
        self._trackers.log(numbers)
        tqdm.write(f"Iter {iteration} {text}{self._time_left()}")
        sys.stdout.flush()

    def _time_left(self) -> str:
        """The estimate of the time left, for output without a progress bar."""
        began, before = self._timed
        done, still = self._done - before, self._config.n_train_iters + 1 - self._done
        if self._bar is None or not self._bar.disable or done <= 0 or not still:
            return ""
        left = (time.monotonic() - began) / done * still
        return f" [{tqdm.format_interval(left)} left]"

    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self._began

    def _write(self, name: str, text: str) -> None:
        with open(self._paths[name], "a") as file:
            file.write(text)


def header(config: Config) -> bytes:
    """The header of meta_train.log: every setting on a line, and an empty line."""
    return (
        "".join(f"{name}: {value}\n" for name, value in config.as_dict().items()).encode(errors="surrogateescape")
        + b"\n"
    )
