"""Holds out validation classes from the training classes; a character is held out with all its rotations."""

import json
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

# In the split of Vinyals et al. (arXiv:1606.04080), 172 of Omniglot's 1200 training characters are for validation.
VAL_FRACTION = 172 / 1200
# Fixed, not the run's seed: runs with different seeds must be compared on the same validation classes.
HOLD_OUT_SEED = 0


def character_of(name: str) -> str:
    """`Alphabet/characterNN` of `Alphabet/characterNN/rotDDD`; any other class name is returned as it is."""
    return re.sub(r"/rot\d{3}$", "", name)


def hold_out(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Splits the training classes into classes for training and classes for validation.

    A fraction of 172 / 1200 of the groups (rounded, at least one on either side) is held out, drawn with a fixed seed.
    A group is a character with its rotations: otherwise validation would use rotated copies of training classes.

    Args:
      names: class names in the order of train.npy.

    Returns:
      (train, val): class indices, each in ascending order.

    Raises:
      UsageError: there are fewer than two groups.
    """
    groups = list(dict.fromkeys(character_of(name) for name in names))
    if len(groups) < 2:
        raise UsageError("there are too few train classes to hold out some for validation: give at least two.")
    count = min(max(1, round(len(groups) * VAL_FRACTION)), len(groups) - 1)
    order = np.random.RandomState(HOLD_OUT_SEED).permutation(len(groups))
    held_out = {groups[index] for index in order[:count]}
    val = [index for index, name in enumerate(names) if character_of(name) in held_out]
    train = [index for index, name in enumerate(names) if character_of(name) not in held_out]
    return train, val


def train_names(folder: pathlib.Path, n_classes: int) -> list[str]:
    """Names of the classes in <folder>/train.npy, from classes.json, or their numbers if there is no such file.

    Raises:
      UsageError: classes.json is not readable or does not fit the n_classes classes of train.npy.
    """
    path = folder / "classes.json"
    if not path.exists():
        return [str(index) for index in range(n_classes)]
    try:
        names = json.loads(text.read(path))["train"]
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f'{path} has no readable list "train": remove it or build the data again.') from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f'{path} has no list of names under "train": remove it or build the data again.')
    if len(names) != n_classes:
        raise UsageError(
            f"{path} names {len(names)} train classes but train.npy has {n_classes}: remove it or build the data again."
        )
    return names
