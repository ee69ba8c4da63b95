"""Converts Pillow's images of any bit depth and size to the form of a data set."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec

WHITE_16 = 65535
TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
LEAST = 8  # pixels of a side: a smaller image is most likely a mistake
FITS: dict[str, Callable[..., Image.Image]] = {
    "stretch": Image.Image.resize,
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
}


def converted(image: Image.Image, mode: str, name: str) -> Image.Image:
    """Converts an image to the mode "L" or "RGB".

    Pillow's own `convert` clips 16-bit grey at 255, which makes nearly all of it white.

    Raises:
      UsageError: the scale of its pixels is not known (32-bit floats, or more than 16 bits); the message has `name`.
    """
    if not image.mode.startswith(("I", "F")):
        return image.convert(mode)
    pixels = np.asarray(image)
    low, high = pixels.min(), pixels.max()
    if image.mode.startswith("F") or low < 0 or high > WHITE_16:
        raise UsageError(f"{name} has pixels from {low:g} to {high:g}, an unknown scale: save it with 8 or 16 bits.")
    if image.mode.startswith("I;16") or high > 255:  # mode I is also used for 16-bit files and 8-bit values
        pixels = np.rint(pixels / (WHITE_16 / 255))
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def read(source: str | os.PathLike, spec: DatasetSpec) -> np.ndarray:
    """Reads an image file and converts it as `fitted` does.

    Raises:
      UsageError: the file is missing, or is not an image that Pillow can read.
    """
    path = paths.path(source)
    try:
        with Image.open(path) as image:
            return fitted(image, spec, str(path))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: give the path of an image.") from None
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # any exception of Pillow's decoders, some of which have kinds of their own
        raise UsageError(f"{path} is not a readable image ({error}): remove it, or give another image.") from error


def fitted(image: Image.Image, spec: DatasetSpec, name: str) -> np.ndarray:
    """Converts an image to the form of the data set: uint8 [height, width, channels].

    It is rotated by its EXIF data, and transparent parts become white. If it has another size, it is resized by
    Pillow's Lanczos filter in the same way as the data set: see `DatasetSpec.fit`.

    Raises:
      UsageError: a side is shorter than LEAST, or the scale of its pixels is not known.
    """
    if min(image.size) < min(LEAST, spec.width, spec.height):
        raise UsageError(
            f"{name} has only {image.width}x{image.height} pixels: give an image of at least {LEAST}x{LEAST}."
        )
    image = upright(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = converted(image, "L" if spec.channels == 1 else "RGB", name)
    if image.size != (spec.width, spec.height):
        image = FITS[spec.fit](image, (spec.width, spec.height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(spec.image_shape)


def upright(image: Image.Image, name: str) -> Image.Image:
    """The image as its EXIF data says that it is to be seen, with 8 bits; of deeper grey no colour is transparent.

    Pillow's `exif_transpose` writes all EXIF data again, and fails where a tag has a type that is not its own.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF data, beside pixels that are well
        orientation = None
    image = image.transpose(TURNS[orientation]) if orientation in TURNS else image
    if image.mode.startswith(("I", "F")):
        image = converted(image, "L", name)
        image.info.pop("transparency", None)
    return image


def is_path(x: object) -> bool:
    """Whether x is a path: a text or a pathlib path."""
    return isinstance(x, (str, pathlib.PurePath))
