"""Checkpoints: the full state of a run in one file, `state.npz`, written atomically; finds the run of a savedir.

The file has NumPy's format (a zip) without pickles. The comment of the zip is the SHA-256 of the bytes before it. The
state before the last one is kept as `state.previous.npz`, and is used if the last one is broken. The weights are also
written in the TF1 program's format (tf1_checkpoint.py), so that it too can read the savedir. A resumed run reads
state.npz only.
"""

import hashlib
import io
import json
import os
import pathlib
import struct
import sys
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.outer_loop import State
from tf_metadrop.data.fingerprint import IMAGES
from tf_metadrop.errors import UsageError
from tf_metadrop.runs import record, tf1_checkpoint
from tf_metadrop.util import atomic, npz

FILE, PREVIOUS, BROKEN, BEST = "state.npz", "state.previous.npz", "state.broken.npz", "best.npz"
SEAL = struct.pack("<H", 64)  # length of the zip's comment: a SHA-256 in hexadecimal digits
UNSEALED = b"PK\x05\x06\0\0"  # the end of a zip without a comment, as NumPy writes it
PARAMS = "params"  # group of arrays; every other group is a slot of the optimiser, as Adam's m and v


class Saved(NamedTuple):
    """A run at a checkpoint."""

    state: State
    random: tuple  # state of the legacy NumPy generator that draws the training episodes
    config: dict[str, Any]  # Config.as_dict() of the run
    progress: dict[str, Any]  # what the log needs to resume: see train_log.TrainLog.progress
    images: str | None = None  # data.fingerprint of the training images; None: unknown, in an older run


def save(directory: pathlib.Path, saved: Saved) -> None:
    """Writes the TF1 copy of the weights, then the state. A kill at any instant leaves the old or the new state.

    Between the two writes the copy may be one checkpoint ahead of the state; the resumed run then writes the same copy
    again.

    Raises:
      OSError: the files cannot be written; the old state is unchanged.
    """
    tf1_checkpoint.write(directory, {name: w.numpy() for name, w in saved.state.params.items()})
    atomic.write(directory / FILE, packed(saved), lambda: keep_previous(directory))


def save_best(directory: pathlib.Path, saved: Saved) -> None:
    """Writes the weights of the best validation accuracy so far to best.npz, without the outer optimiser's moments.

    If a run is killed after this and before the next `save`, the resumed run repeats the evaluation and writes the same
    file again.

    Raises:
      OSError: the file cannot be written; the old file is unchanged.
    """
    atomic.write(directory / BEST, packed(saved._replace(state=saved.state._replace(slots={}))))


def packed(saved: Saved) -> bytes:
    """The bytes of the file of a state."""
    groups = {PARAMS: saved.state.params, **saved.state.slots}
    arrays = {f"{group}/{name}": w.numpy() for group, of in groups.items() for name, w in of.items()}
    kind, keys, position, has_gauss, gauss = saved.random
    arrays |= {"iteration": saved.state.iteration.numpy(), "random/keys": keys, "random/position": position}
    text: dict[str, Any] = {"config": saved.config, "progress": saved.progress, "random": [kind, has_gauss, gauss]}
    text["images"] = saved.images
    buffer = io.BytesIO()
    np.savez(buffer, json=json.dumps(text), **arrays)
    return sealed(buffer.getvalue())


def keep_previous(directory: pathlib.Path) -> None:
    """Makes the last state the previous one; with hard links it keeps both names, so that a reader finds the state."""
    path, link = directory / FILE, directory / f".{PREVIOUS}.tmp"
    try:
        link.unlink(missing_ok=True)  # left by a process that was killed here
        os.link(path, link)
        os.replace(link, directory / PREVIOUS)
        link.unlink(missing_ok=True)  # POSIX keeps it if both names were the same file already
    except OSError:  # a file system without links
        os.replace(path, directory / PREVIOUS)


def sealed(data: bytes) -> bytes:
    """A zip without a comment -> the same zip with its checksum as the comment."""
    return data[:-2] + SEAL + hashlib.sha256(data[:-2]).hexdigest().encode()


def load(directory: pathlib.Path) -> Saved:
    """Reads the last state or, if that is broken or missing, the previous one; a broken file is reported on stderr.

    Raises:
      UsageError: both are missing, broken or not states of this program.
    """
    try:
        return read(directory / FILE)
    except UsageError as error:
        try:
            saved = read(directory / PREVIOUS)
        except UsageError:
            raise error from None
        if (directory / FILE).exists():
            print(f"{error} Used instead: {PREVIOUS}, iteration {int(saved.state.iteration) - 1}.", file=sys.stderr)
        return saved


def set_aside_broken(directory: pathlib.Path) -> None:
    """Renames a last state that cannot be read, so that the next save does not replace the previous state by it."""
    path = directory / FILE
    if path.exists():
        try:
            read(path)
        except UsageError:
            os.replace(path, directory / BROKEN)


def read(path: pathlib.Path) -> Saved:
    """Reads the file of a state.

    Raises:
      UsageError: it is missing, broken or not a state of this program.
    """
    try:
        data = path.read_bytes()
        if sealed(data[:-64]) != data and data[-22:-18] + data[-2:] != UNSEALED:
            raise ValueError("its checksum is wrong")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = json.loads(str(arrays.pop("json")))
        kind, has_gauss, gauss = text["random"]
        random = kind, arrays.pop("random/keys"), int(arrays.pop("random/position")), has_gauss, gauss
        np.random.RandomState().set_state(random)  # raises if it is not a generator's state
        if (iteration := arrays.pop("iteration")).dtype.kind != "i" or iteration.shape:
            raise ValueError("its iteration is not an integer")
        iteration = tf.constant(iteration, tf.int64)
        slots: dict[str, dict] = {}
        for name, value in arrays.items():
            group, _, rest = name.partition("/")
            slots.setdefault(group, {})[rest] = tf.constant(value)
        params = slots.pop(PARAMS)
        if any(
            not slot.keys() <= params.keys() or slot.keys() != next(iter(slots.values())).keys()
            for slot in slots.values()
        ):
            raise ValueError("the optimiser's slots do not fit the weights")
        return Saved(State(params, slots, iteration), random, text["config"], text["progress"], text.get("images"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: train first, or give the --savedir of a finished run.") from None
    except NotADirectoryError:
        raise UsageError(f"{path.parent} is a file: give a folder as --savedir.") from None
    except npz.BROKEN as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise UsageError(
            f"{path} is broken ({reason}): restore it from a copy, or train in a new --savedir."
        ) from error


def known_of(found: dict[str, Any]) -> dict[str, Any]:
    """The last iteration and the images of published weights, as far as their run.json has them."""
    last = {"iteration": found["iterations"] - 1} if "iterations" in found else {}
    return last | ({IMAGES: found[IMAGES]} if IMAGES in found else {})


def kind(directory: pathlib.Path) -> str | None:
    """Which run a folder holds: `ours`, `tf1` (only weights of the TF1 program) or None (no run)."""
    if (directory / FILE).exists() or (directory / PREVIOUS).exists():
        return "ours"
    return "tf1" if tf1_checkpoint.find(directory) else None


def load_params(directory: pathlib.Path, weights: str = "last") -> tuple[dict[str, tf.Tensor], dict[str, Any]]:
    """Loads the weights of a savedir, of this or of the TF1 program, and the known settings of its run.

    For a run of this program, the settings also have `iteration`, the last one before the weights were saved, and
    `images`, the fingerprint of the training images if it is known.

    Args:
      directory: the savedir.
      weights: "last", or "best" for those of the best validation accuracy.
    Raises:
      UsageError: there is no run, or it cannot be read.
    """
    if weights == "best" and not (directory / BEST).exists():
        raise UsageError(
            f"{directory} has no {BEST}: train with --eval_split=val, which writes it, or leave out --weights=best."
        )
    if weights == "last" and kind(directory) == "tf1":
        params = {name: tf.constant(w) for name, w in tf1_checkpoint.read(directory).items()}
        return params, tf1_checkpoint.settings(directory) | known_of(record.read(directory))
    saved = load(directory) if weights == "last" else read(directory / BEST)
    known = {"iteration": int(saved.state.iteration) - 1} | ({"images": saved.images} if saved.images else {})
    if weights == "best" and not known["iteration"]:
        print(
            f"warning: {directory / BEST} has the weights of iteration 0, which are not trained: no later evaluation "
            "was better, or there was none (--eval_freq); give --weights=last.",
            file=sys.stderr,
        )
    return saved.state.params, saved.config | known
