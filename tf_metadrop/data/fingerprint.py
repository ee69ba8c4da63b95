"""Fingerprints of training images: a run resumes with the same images, and is tested on classes not among them."""

import pathlib

import numpy as np

from tf_metadrop.data import known_images, split
from tf_metadrop.data.sources import open_split
from tf_metadrop.data.spec import DatasetSpec
from tf_metadrop.errors import UsageError

IMAGES = "images"  # name of a fingerprint among a run's settings


def fingerprint(images: np.ndarray) -> str:
    """A digest of these images in this order, 16 hexadecimal digits."""
    return split.of_array(images).fingerprint()


def training_images(run: dict, spec: DatasetSpec, data_dir: str) -> str | None:
    """The fingerprint of the training images in data_dir, without held-out classes; None if they cannot be read.

    Args:
      run: settings of the run, which decide whether classes are held out.
      spec: the data set.
      data_dir: root folder of the data sets.
    """
    if spec.generated or not (pathlib.Path(data_dir) / spec.name / "train.npy").exists():
        return None
    try:
        return open_split(spec, data_dir, "train", run.get("eval_split") == "val").fingerprint()
    except UsageError:  # a test does not need them
        return None


def how_to_get(run: dict) -> str:
    """How to get the images of a run, as the end of a sentence.

    Args:
      run: its settings and, as `images`, the fingerprint of its training images if it is known.
    """
    if made := known_images.command(run.get(IMAGES)):
        return f"build the images of its training with `{made} --data_dir NEW`, and test with --data_dir=NEW"
    if IMAGES in run:
        return f"give the --data_dir of its training, which was {run.get('data_dir')}"
    return (
        "give the --data_dir of its training, because another split may have its training classes among the test ones"
    )
