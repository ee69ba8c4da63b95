"""Which images a run was trained on: it goes on with the same, and is tested on classes that are not among them."""

import hashlib
import pathlib
from typing import Any

import numpy as np

from tf_metadrop.data import known_images
from tf_metadrop.data.sources import load_split
from tf_metadrop.data.spec import get_spec
from tf_metadrop.errors import UsageError

IMAGES = "images"  # name of a fingerprint among a run's settings


def fingerprint(images: np.ndarray) -> str:
    """16 hexadecimal digits that stand for these images, in this order."""
    digest = hashlib.blake2b(f"{images.dtype} {images.shape}".encode(), digest_size=8)
    contents: Any = np.ascontiguousarray(images)  # a buffer
    digest.update(contents)
    return digest.hexdigest()


def training_images(run: dict, dataset: str, data_dir: str) -> str | None:
    """Fingerprint of the training images in data_dir, held out as for a run; None where there are none to be read.

    Args:
      run: settings of the run.
    """
    if get_spec(dataset).generated or not (pathlib.Path(data_dir) / dataset / "train.npy").exists():
        return None
    try:
        return fingerprint(load_split(dataset, data_dir, "train", run.get("eval_split") == "val"))
    except UsageError:  # a test does not need them
        return None


def how_to_get(run: dict) -> str:
    """What to do to have the images of a run, as the end of a sentence.

    Args:
      run: its settings and, as `images`, the fingerprint of its training images if it is known.
    """
    if made := known_images.command(run.get(IMAGES)):
        return f"build those that it was trained with by `{made} --data_dir NEW`, and test with --data_dir=NEW"
    if IMAGES in run:
        return f"give the --data_dir that it was trained with, it was {run.get('data_dir')}"
    return "give the --data_dir that it was trained with: of another split, test classes may be among its training ones"
