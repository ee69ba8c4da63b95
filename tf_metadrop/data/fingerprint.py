"""Which images a run was trained on: it goes on with the same, and is tested on classes that are not among them."""

import pathlib

import numpy as np

from tf_metadrop.data import known_images, split
from tf_metadrop.data.sources import open_split
from tf_metadrop.data.spec import DatasetSpec
from tf_metadrop.errors import UsageError

IMAGES = "images"  # name of a fingerprint among a run's settings


def fingerprint(images: np.ndarray) -> str:
    """16 hexadecimal digits that stand for these images, in this order."""
    return split.of_array(images).fingerprint()


def training_images(run: dict, spec: DatasetSpec, data_dir: str) -> str | None:
    """Fingerprint of the training images in data_dir, held out as for a run; None where there are none to be read.

    Args:
      run: settings of the run.
    """
    if spec.generated or not (pathlib.Path(data_dir) / spec.name / "train.npy").exists():
        return None
    try:
        return open_split(spec, data_dir, "train", run.get("eval_split") == "val").fingerprint()
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
