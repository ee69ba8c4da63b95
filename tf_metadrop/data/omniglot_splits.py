"""Splits the classes of Omniglot, by split files or at random."""

import pathlib
import re
from collections.abc import Collection, Sequence

import numpy as np

from tf_metadrop.data.holdout import hold_out
from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

ROTATIONS = ("000", "090", "180", "270")
# 1200 of the 1623 characters are for training, as in Vinyals et al., arXiv:1606.04080.
TRAIN_CHARACTERS = 1200
_STEMS = {"train": "train", "trainval": "train", "val": "val", "test": "test"}
_CLASS = re.compile(r"[^/\s]+/character\d+/rot(?:" + "|".join(ROTATIONS) + ")")


def read_files(paths: Sequence[str]) -> dict[str, list[str]]:
    """Reads split files in the format of Vinyals et al.: one class `Alphabet/characterNN/rotDDD` per line.

    Args:
      paths: the files; the name of a file gives its split: train.txt or trainval.txt (train), val.txt, test.txt.

    Returns:
      {"train": classes, "test": classes} and "val" if given, in the order of the files.

    Raises:
      UsageError: a file is not readable or has another format, a split is given twice, train or test is missing, or a
        class occurs twice.
    """
    split: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for path in map(pathlib.Path, paths):
        name = _STEMS.get(path.stem)
        if name is None:
            raise UsageError(f"--split_file {path}: name it train.txt, trainval.txt, val.txt or test.txt.")
        if name in split:
            raise UsageError(f"--split_file {path} gives the {name} classes a second time: give one file for them.")
        split[name] = _read_file(path)
        for label in split[name]:
            if label in owner:
                raise UsageError(f"--split_file {path} has {label}, which is in {owner[label]} already: remove one.")
            owner[label] = str(path)
    for name in ("train", "test"):
        if name not in split:
            raise UsageError(f"--split_file gives no {name} classes: give a --split_file {name}.txt too.")
    return {name: split[name] for name in ("train", "val", "test") if name in split}


def _read_file(path: pathlib.Path) -> list[str]:
    lines = text.read(path, "--split_file").splitlines()
    labels = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line and not _CLASS.fullmatch(line):
            form = "Alphabet/characterNN/rotDDD with DDD one of " + ", ".join(ROTATIONS)
            raise UsageError(f"--split_file {path}, line {number}: {line[:80]!r} is not of the form {form}.")
        if line:
            labels.append(line)
    if not labels:
        raise UsageError(f"--split_file {path} is empty: give one class name per line.")
    return labels


def check_known(split: dict[str, list[str]], characters: Collection[str]) -> None:
    """Raises UsageError if a class of `split` is not among `characters` ("Alphabet/characterNN")."""
    for name, labels in split.items():
        for label in labels:
            if label.rsplit("/", 1)[0] not in characters:
                raise UsageError(f"the --split_file for {name} has {label}, which Omniglot does not: correct its name.")


def random_split(characters: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Draws 1200 characters for train and leaves the rest for test; the four rotations of a character stay together.

    Args:
      characters: all character names, sorted.
      seed: seed of the legacy generator, so that the split is the same with every version of NumPy.

    Returns:
      {"train": classes, "test": classes}: characters sorted by name, each with its rotations.
    """
    order = np.random.RandomState(seed).permutation(len(characters))
    chosen = {"train": sorted(order[:TRAIN_CHARACTERS]), "test": sorted(order[TRAIN_CHARACTERS:])}
    return {name: with_rotations([characters[index] for index in indices]) for name, indices in chosen.items()}


def with_rotations(characters: Sequence[str]) -> list[str]:
    """The classes of these characters: each in four rotations."""
    return [f"{character}/rot{rotation}" for character in characters for rotation in ROTATIONS]


def with_val(split: dict[str, list[str]]) -> dict[str, list[str]]:
    """Moves validation characters (172 of 1200) from train to val: those that `load_split` would hold out."""
    train, val = hold_out(split["train"])
    names = split["train"]
    return {"train": [names[index] for index in train], "val": [names[index] for index in val], "test": split["test"]}
