"""The full state of a run in one file, `state.npz`, written atomically, and which run a savedir holds.

The file is NumPy's own (a zip, whose members carry checksums), without pickles. Beside it lie the weights as the TF1
program writes them (tf1.py), so that it too can read the savedir; they are for others, a resume reads state.npz.
"""

import json
import os
import pathlib
import zipfile
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_metadrop import tf1
from tf_metadrop.errors import UsageError
from tf_metadrop.meta import State

FILE = "state.npz"
GROUPS = ("params", "m", "v")


class Saved(NamedTuple):
    """A run at a checkpoint."""

    state: State
    random: tuple  # state of the legacy NumPy generator that draws the training episodes
    config: dict[str, Any]  # Config.as_dict() of the run
    progress: dict[str, Any]  # what the log needs to go on: see tracking.TrainLog.progress


def save(directory: pathlib.Path, saved: Saved) -> None:
    """Writes the TF1 copy of the weights, then the state. A kill at any instant leaves the old state or the new.

    Between the two the copy may be one checkpoint ahead; the resumed run writes the same again.
    """
    tf1.write(directory, {name: w.numpy() for name, w in saved.state.params.items()})
    arrays = {f"{group}/{name}": w.numpy() for group in GROUPS for name, w in getattr(saved.state, group).items()}
    kind, keys, position, has_gauss, gauss = saved.random
    arrays |= {"iteration": saved.state.iteration.numpy(), "random/keys": keys, "random/position": position}
    text = {"config": saved.config, "progress": saved.progress, "random": [kind, has_gauss, gauss]}
    temporary = directory / f".{FILE}.tmp"
    with open(temporary, "wb") as file:
        np.savez(file, json=json.dumps(text), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, directory / FILE)


def load(directory: pathlib.Path) -> Saved:
    """Reads a state back.

    Raises:
      UsageError: the file is missing, broken or not a state of ours.
    """
    path = directory / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = json.loads(str(arrays.pop("json")))
        kind, has_gauss, gauss = text["random"]
        random = kind, arrays.pop("random/keys"), int(arrays.pop("random/position")), has_gauss, gauss
        np.random.RandomState().set_state(random)  # raises if it is not one
        iteration = tf.constant(arrays.pop("iteration"), tf.int64)
        groups = {group: {} for group in GROUPS}
        for name, value in arrays.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tf.constant(value)
        if not groups["m"].keys() == groups["v"].keys() <= groups["params"].keys():
            raise ValueError("weights and Adam's moments do not belong together")
        return Saved(State(**groups, iteration=iteration), random, text["config"], text["progress"])
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: train first, or give the --savedir of a finished run.") from None
    except NotADirectoryError:
        raise UsageError(f"{directory} is a file: give a folder as --savedir.") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, EOFError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise UsageError(
            f"{path} is broken ({reason}): restore it from a copy, or train in a new --savedir."
        ) from error


def kind(directory: pathlib.Path) -> str | None:
    """`ours`, `tf1` (only weights of the TF1 program) or None (no run)."""
    if (directory / FILE).exists():
        return "ours"
    return "tf1" if tf1.find(directory) else None


def load_params(directory: pathlib.Path) -> tuple[dict[str, tf.Tensor], dict[str, Any]]:
    """The weights of a savedir, ours or the TF1 program's, and the settings of its run as far as they are known.

    Raises:
      UsageError: there is no run, or it cannot be read.
    """
    if kind(directory) == "tf1":
        params = {name: tf.constant(w) for name, w in tf1.read(directory).items()}
        return params, tf1.settings(directory)
    saved = load(directory)
    return saved.state.params, saved.config
