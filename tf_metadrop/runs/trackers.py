"""Logs a run's numbers and figures to W&B, to TensorBoard, to both or to neither, besides the run's own files."""

from __future__ import annotations

import pathlib
from typing import Protocol

from tf_metadrop.config.config import Config
from tf_metadrop.runs.tensorboard import TensorBoard
from tf_metadrop.runs.wandb_run import Wandb


class Tracker(Protocol):
    """The interface of a tracker."""

    def log(self, numbers: dict) -> None:
        """Logs numbers under their names, at the step of their `iter` if there is one."""

    def table(self, name: str, rows: list[dict]) -> None:
        """Logs rows with the same keys as a table."""

    def figures(self, paths: dict[str, pathlib.Path]) -> None:
        """Logs PNG and GIF files under these names."""

    def finish(self) -> None:
        """Writes what is left and ends the tracking."""


class Trackers:
    """The trackers that the config asks for; `part` is the mode that is tracked: meta_train, meta_test, ..."""

    def __init__(self, directory: pathlib.Path, config: Config, part: str):
        self._all: list[Tracker] = [Wandb(directory, config)]
        if config.tensorboard:
            self._all.append(TensorBoard(directory, config, part))

    def log(self, numbers: dict) -> None:
        """See `Tracker`."""
        for tracker in self._all:
            tracker.log(numbers)

    def table(self, name: str, rows: list[dict]) -> None:
        """See `Tracker`."""
        for tracker in self._all:
            tracker.table(name, rows)

    def figures(self, paths: dict[str, pathlib.Path]) -> None:
        """See `Tracker`."""
        for tracker in self._all:
            tracker.figures(paths)

    def finish(self) -> None:
        """See `Tracker`."""
        for tracker in self._all:
            tracker.finish()
