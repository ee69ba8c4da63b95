"""The full state of a run in one file, `state.npz`, written atomically, and which run a savedir holds.

The file is NumPy's own (a zip) without pickles, whose comment is the SHA-256 of what stands before it. The state before
is kept as `state.previous.npz`, and taken if the last turns out to be broken. Beside them lie the weights as the TF1
program writes them (tf1_checkpoint.py), so that it too can read the savedir; they are for others, a resume reads
state.npz.
"""

import hashlib
import io
import json
import os
import pathlib
import struct
import sys
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop.algorithm.outer_loop import State
from tf_metadrop.data.fingerprint import IMAGES
from tf_metadrop.errors import UsageError
from tf_metadrop.runs import record, tf1_checkpoint

FILE, PREVIOUS, BROKEN, BEST = "state.npz", "state.previous.npz", "state.broken.npz", "best.npz"
SEAL = struct.pack("<H", 64)  # how long the zip's comment is: a SHA-256 in hexadecimal digits
UNSEALED = b"PK\x05\x06\0\0"  # how a zip without a comment ends, as NumPy writes it
PARAMS = "params"  # group of arrays; any other group is a slot of the optimiser, as Adam's m and v


class Saved(NamedTuple):
    """A run at a checkpoint."""

    state: State
    random: tuple  # state of the legacy NumPy generator that draws the training episodes
    config: dict[str, Any]  # Config.as_dict() of the run
    progress: dict[str, Any]  # what the log needs to go on: see train_log.TrainLog.progress
    images: str | None = None  # data.fingerprint of the training images; None: an older run, which does not say


def save(directory: pathlib.Path, saved: Saved) -> None:
    """Writes the TF1 copy of the weights, then the state. A kill at any instant leaves the old state or the new.

    Between the two the copy may be one checkpoint ahead; the resumed run writes the same again.

    Raises:
      OSError: the files cannot be written; the old state is there as before.
    """
    tf1_checkpoint.write(directory, {name: w.numpy() for name, w in saved.state.params.items()})
    write(directory / FILE, packed(saved), lambda: keep_previous(directory))


def save_best(directory: pathlib.Path, saved: Saved) -> None:
    """Writes the weights of the best validation accuracy so far, without Adam's moments, to best.npz.

    A run that is killed after this and before the next `save` evaluates there again, and writes the same again.

    Raises:
      OSError: the file cannot be written; the one before is untouched.
    """
    write(directory / BEST, packed(saved._replace(state=saved.state._replace(slots={}))))


def packed(saved: Saved) -> bytes:
    """The content of a state's file."""
    groups = {PARAMS: saved.state.params, **saved.state.slots}
    arrays = {f"{group}/{name}": w.numpy() for group, of in groups.items() for name, w in of.items()}
    kind, keys, position, has_gauss, gauss = saved.random
    arrays |= {"iteration": saved.state.iteration.numpy(), "random/keys": keys, "random/position": position}
    text: dict[str, Any] = {"config": saved.config, "progress": saved.progress, "random": [kind, has_gauss, gauss]}
    text["images"] = saved.images
    buffer = io.BytesIO()
    np.savez(buffer, json=json.dumps(text), **arrays)
    return sealed(buffer.getvalue())


def write(path: pathlib.Path, data: bytes, before: Callable[[], None] = lambda: None) -> None:
    """Writes a file atomically; calls `before` when it is complete and not yet in its place, if there is an old one."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if path.exists():
        before()
    os.replace(temporary, path)


def keep_previous(directory: pathlib.Path) -> None:
    """Makes the last state the one before, under both names where links can be had: who reads beside it misses none."""
    path, link = directory / FILE, directory / f".{PREVIOUS}.tmp"
    try:
        link.unlink(missing_ok=True)  # of a process that was killed here
        os.link(path, link)
        os.replace(link, directory / PREVIOUS)
        link.unlink(missing_ok=True)  # POSIX leaves it if both were the same file already
    except OSError:  # a file system without links
        os.replace(path, directory / PREVIOUS)


def sealed(data: bytes) -> bytes:
    """A zip without a comment, with its checksum as the comment."""
    return data[:-2] + SEAL + hashlib.sha256(data[:-2]).hexdigest().encode()


def load(directory: pathlib.Path) -> Saved:
    """Reads a state back: the last one or, if that is broken or missing, the one before, which is said on stderr.

    Raises:
      UsageError: both are missing, broken or not states of ours.
    """
    try:
        return read(directory / FILE)
    except UsageError as error:
        try:
            saved = read(directory / PREVIOUS)
        except UsageError:
            raise error from None
        if (directory / FILE).exists():
            print(f"{error} Taken instead: {PREVIOUS}, iteration {int(saved.state.iteration) - 1}.", file=sys.stderr)
        return saved


def set_aside_broken(directory: pathlib.Path) -> None:
    """Renames a last state that cannot be read, so that saving does not put it in the place of the one before."""
    path = directory / FILE
    if path.exists():
        try:
            read(path)
        except UsageError:
            os.replace(path, directory / BROKEN)


def read(path: pathlib.Path) -> Saved:
    """Reads one file.

    Raises:
      UsageError: it is missing, broken or not a state of ours.
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
        np.random.RandomState().set_state(random)  # raises if it is not one
        if (iteration := arrays.pop("iteration")).dtype.kind != "i" or iteration.shape:
            raise ValueError("its iteration is no whole number")
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
            raise ValueError("weights and the optimiser's slots do not belong together")
        return Saved(State(params, slots, iteration), random, text["config"], text["progress"], text.get("images"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: train first, or give the --savedir of a finished run.") from None
    except NotADirectoryError:
        raise UsageError(f"{path.parent} is a file: give a folder as --savedir.") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, EOFError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise UsageError(
            f"{path} is broken ({reason}): restore it from a copy, or train in a new --savedir."
        ) from error


def known_of(found: dict[str, Any]) -> dict[str, Any]:
    """What run.json says of published weights, where there is one."""
    last = {"iteration": found["iterations"] - 1} if "iterations" in found else {}
    return last | ({IMAGES: found[IMAGES]} if IMAGES in found else {})


def kind(directory: pathlib.Path) -> str | None:
    """`ours`, `tf1` (only weights of the TF1 program) or None (no run)."""
    if (directory / FILE).exists() or (directory / PREVIOUS).exists():
        return "ours"
    return "tf1" if tf1_checkpoint.find(directory) else None


def load_params(directory: pathlib.Path, weights: str = "last") -> tuple[dict[str, tf.Tensor], dict[str, Any]]:
    """The weights of a savedir, ours or the TF1 program's, and the settings of its run as far as they are known.

    With the settings of a run of ours stand `iteration`, the last one that the weights have seen, and `images`, the
    fingerprint of its training images if it is known.

    Args:
      weights: "last", or "best": those of the best validation accuracy.

    Raises:
      UsageError: there is no run, or it cannot be read.
    """
    if weights == "best" and not (directory / BEST).exists():
        raise UsageError(
            f"{directory} has no {BEST}: train with --eval_split=val, which keeps it, or leave out --weights=best."
        )
    if kind(directory) == "tf1":
        params = {name: tf.constant(w) for name, w in tf1_checkpoint.read(directory).items()}
        return params, tf1_checkpoint.settings(directory) | known_of(record.read(directory))
    saved = load(directory) if weights == "last" else read(directory / BEST)
    known = {"iteration": int(saved.state.iteration) - 1} | ({"images": saved.images} if saved.images else {})
    return saved.state.params, saved.config | known
