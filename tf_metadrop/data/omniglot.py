"""Builds Omniglot's train.npy, val.npy and test.npy."""

import pathlib
from collections.abc import Sequence

import numpy as np

from tf_metadrop.data import arrays, omniglot_images, omniglot_splits, outputs, vinyals
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths


def build(
    folder: pathlib.Path,
    source: str | None,
    split_files: Sequence[str],
    seed: int,
    val: bool,
    named: str = "random",
    preparation: str = "grey",
) -> list[str]:
    """Builds the files from the two official zips.

    Classes are characters and their copies rotated counter-clockwise by 90, 180 and 270 degrees (numpy.rot90), named
    `Alphabet/characterNN/rotDDD`.

    Args:
      folder: <data_dir>/omniglot, to which classes.json, train.npy, test.npy and perhaps val.npy are written (uint8
        [classes, 20, 28, 28, 1], ink = 255).
      source: folder with the zips or their unpacked folders; None downloads the zips into <folder>/raw.
      split_files: see `omniglot_splits.read_files`; if it is empty, the split is `named`.
      seed: seed of the random split; other splits do not use it.
      val: whether to hold out validation characters from the train characters.
      named: "random" or "vinyals".
      preparation: see `omniglot_images.read_characters`.

    Returns:
      One line per file written.

    Raises:
      UsageError: outputs exist, or the source or the split files are not usable.
    """
    outputs.check_free(folder)
    # Split files are read before the download, so that a typo in them is reported at once.
    split = vinyals.split() if named == "vinyals" else None
    if split_files:
        split = omniglot_splits.read_files(split_files)
    if val and split and "val" in split:
        raise UsageError("--val and a --split_file for val both choose the val classes: give one of them.")
    where = paths.path(source) if source else omniglot_images.fetch(folder / "raw")
    characters = omniglot_images.read_characters(where, preparation)
    if split:
        omniglot_splits.check_known(split, characters)
    else:
        split = omniglot_splits.random_split(list(characters), seed)
    if val:
        split = omniglot_splits.with_val(split)
    return _write(folder, split, characters)


def _write(folder: pathlib.Path, split: dict[str, list[str]], characters: dict[str, np.ndarray]) -> list[str]:
    lines = []
    with outputs.staged(folder) as stage:
        for name, classes in split.items():
            shape = (len(classes), omniglot_images.DRAWINGS, omniglot_images.SIZE, omniglot_images.SIZE, 1)
            arrays.write_npy(stage / f"{name}.npy", shape, (turned(label, characters) for label in classes))
            lines.append(f"{folder / name}.npy: {list(shape)}")
        outputs.write_classes(stage, split)
    return lines


def turned(label: str, characters: dict[str, np.ndarray]) -> np.ndarray:
    """Images [20, 28, 28, 1] of the class `Alphabet/characterNN/rotDDD`, rotated counter-clockwise by DDD degrees."""
    character, rotation = label.rsplit("/rot", 1)
    return np.rot90(characters[character], int(rotation) // 90, axes=(1, 2))
