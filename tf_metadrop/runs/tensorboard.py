"""Event files for TensorBoard (--tensorboard), by TensorFlow's own writer: <savedir>/tensorboard/<mode>/."""

from __future__ import annotations

import numbers
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from PIL import Image

from tf_metadrop.config.config import Config

FOLDER = "tensorboard"
KINDS = {"scalars": "DATA_CLASS_SCALAR", "text": "DATA_CLASS_TENSOR", "images": "DATA_CLASS_BLOB_SEQUENCE"}


def write(plugin: str, name: str, value: tf.Tensor, step: int = 0) -> None:
    """Writes a value for a TensorBoard plug-in of KINDS; `tf.summary.scalar` would need the package tensorboard."""
    found = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin), data_class=KINDS[plugin]
    )
    tf.summary.write(name, value, step, found)


class TensorBoard:
    """Writes scalars, figures, tables and settings of one mode; if writing fails, the run continues without it.

    The settings are written as a text, and as hyper-parameters too if the package tensorboard is installed.
    """

    def __init__(self, directory: pathlib.Path, config: Config, part: str):
        self._writer: Any = None
        self._do(lambda: self._start(directory / FOLDER / part, config), new=True)

    def _start(self, folder: pathlib.Path, config: Config) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))
        settings = config.as_dict()
        self.table("settings", [dict(flag=name, value=str(value)) for name, value in settings.items()])
        try:
            from tensorboard.plugins.hparams import api
        except ImportError:
            return
        plain = {
            name: value if isinstance(value, bool | int | float) else str(value) for name, value in settings.items()
        }
        self._do(lambda: api.hparams(plain, trial_id=folder.parent.parent.name))

    def log(self, numbers_of: dict) -> None:
        """Writes scalars under their names, at the step of their `iter` if there is one."""

        def act() -> None:
            step = numbers_of.get("iter", 0)
            for name, value in numbers_of.items():
                if name != "iter" and isinstance(value, numbers.Real):
                    write("scalars", name, tf.constant(value, tf.float32), step)

        self._do(act)

    def table(self, name: str, rows: list[dict]) -> None:
        """Writes rows with the same keys as a table."""
        lines = [rows[0].keys(), ["---"] * len(rows[0]), *[row.values() for row in rows]]
        text = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
        self._do(lambda: write("text", name, tf.constant([text])))

    def figures(self, paths: dict[str, pathlib.Path]) -> None:
        """Writes PNG and GIF files under these names."""

        def act() -> None:
            for name, path in paths.items():
                with Image.open(path) as picture:
                    sides = [str(side).encode() for side in picture.size]
                write("images", name, tf.constant([*sides, path.read_bytes()]))

        self._do(act)

    def finish(self) -> None:
        """Writes what is left and closes the file."""
        self._do(lambda: self._writer.close())
        self._writer = None

    def _do(self, act: Callable[[], None], new: bool = False) -> None:
        """Calls `act` with the writer as default; if it fails, the writer is dropped."""
        if self._writer is None and not new:
            return
        try:
            if self._writer is None:
                act()
            else:
                with tf.init_scope(), self._writer.as_default():
                    act()
                self._writer.flush()
        except Exception as error:  # any error: the training must continue
            self._writer = None
            print(f"TensorBoard's files cannot be written ({error}): continuing without them.", file=sys.stderr)
