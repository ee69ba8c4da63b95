"""Reads miniImageNet from its images and the split lists of Ravi and Larochelle."""

import csv
import io
import pathlib

import numpy as np
from PIL import Image

from tf_metadrop.data import pictures
from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

SIZE = 84  # pixels after resizing


def read_list(path: pathlib.Path) -> dict[str, list[str]]:
    """Reads train.csv, val.csv or test.csv (columns filename, label).

    Returns:
      {wnid: file names in the order of the list}, sorted by wnid.

    Raises:
      UsageError: the file is not readable, lacks a column, names a file outside images/, or names a file twice.
    """
    try:
        content = text.read(path)
        sign = ";" if ";" in content.split("\n")[0] else ","  # some spreadsheets write semicolons
        rows = list(csv.DictReader(io.StringIO(content), delimiter=sign))
    except csv.Error as error:
        raise UsageError(f"{path} cannot be read ({error}): download the list again.") from error
    classes: dict[str, list[str]] = {}
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        name, label = row.get("filename"), row.get("label")
        if not name or not label:
            raise UsageError(
                f"{path}, line {number}: no filename and label: correct the list, whose columns have these names."
            )
        if "/" in name or "\\" in name or name.startswith(".") or "/" in label or label.startswith("."):
            raise UsageError(f"{path}, line {number}: {name!r} is not a plain file name: correct the list.")
        if name in seen:
            raise UsageError(f"{path}, line {number}: {name} is listed a second time: remove one of the lines.")
        seen.add(name)
        classes.setdefault(label, []).append(name)
    if not classes:
        raise UsageError(f"{path} lists no images: download the list of Ravi and Larochelle again.")
    return dict(sorted(classes.items()))


def find_image(images: pathlib.Path, label: str, name: str) -> pathlib.Path:
    """The path of an image in images/ or images/<wnid>/; raises UsageError if it is in neither."""
    for path in (images / name, images / label / name):
        if path.is_file():
            return path
    raise UsageError(f"{images / name} is missing, although the lists name it: add it to {images}.")


def read_image(path: pathlib.Path) -> np.ndarray:
    """Reads an image as RGB and resizes it to 84x84 with Pillow's Lanczos filter: uint8 [84, 84, 3]."""
    try:
        with Image.open(path) as image:
            return np.asarray(
                pictures.converted(image, "RGB", str(path)).resize((SIZE, SIZE), Image.Resampling.LANCZOS), np.uint8
            )
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # as in pictures.read
        raise UsageError(f"{path} is not a readable image ({error}): download it again.") from error
