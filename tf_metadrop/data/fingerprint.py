"""Which images a run was trained on: it goes on with the same, and is tested on classes that are not among them."""

import hashlib
import pathlib
import sys
from typing import Any

import numpy as np

from tf_metadrop.data.sources import load_split
from tf_metadrop.data.spec import get_spec
from tf_metadrop.errors import UsageError


def fingerprint(images: np.ndarray) -> str:
    """16 hexadecimal digits that stand for these images, in this order."""
    digest = hashlib.blake2b(f"{images.dtype} {images.shape}".encode(), digest_size=8)
    contents: Any = np.ascontiguousarray(images)  # a buffer
    digest.update(contents)
    return digest.hexdigest()


def warn_of_other_images(directory: pathlib.Path, run: dict, dataset: str, data_dir: str) -> None:
    """Says on stderr if the run in `directory` was trained on other images than the training split in data_dir.

    Another split of the same data set has some of them among its test classes. Nothing is said where it cannot be
    known: the run does not say what it was trained on, or there is no training split.

    Args:
      run: settings of the run, and `images`, the fingerprint of its training images.
    """
    folder = pathlib.Path(data_dir) / dataset
    if "images" not in run or get_spec(dataset).generated or not (folder / "train.npy").exists():
        return
    try:
        here = fingerprint(load_split(dataset, data_dir, "train", run.get("eval_split") == "val"))
    except UsageError:  # the test does not need them
        return
    if here != run["images"]:
        print(
            f"{directory} was trained on other images than those of {folder / 'train.npy'}: classes that it is tested "
            "on may be among them. Give the --data_dir that it was trained with.",
            file=sys.stderr,
        )
