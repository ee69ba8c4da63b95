"""Pillow's images, whatever their bit depth and size, as a data set has them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec

WHITE_16 = 65535
LEAST = 8  # pixels of a side: of fewer nothing can be seen, and it is a mistake
FITS: dict[str, Callable[..., Image.Image]] = {
    "stretch": Image.Image.resize,
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
}


def converted(image: Image.Image, mode: str, name: str) -> Image.Image:
    """`image` in the mode "L" or "RGB".

    Pillow's own `convert` cuts 16-bit grey off at 255, which makes nearly all of it white.

    Raises:
      UsageError: its numbers are of no known scale (32-bit floats, or more than 16 bits); `name` is named.
    """
    if not image.mode.startswith(("I", "F")):
        return image.convert(mode)
    pixels = np.asarray(image)
    low, high = pixels.min(), pixels.max()
    if image.mode.startswith("F") or low < 0 or high > WHITE_16:
        raise UsageError(f"{name} has pixels from {low:g} to {high:g}, of no known scale: save it with 8 or 16 bits.")
    if image.mode.startswith("I;16") or high > 255:  # mode I holds 16-bit files too, and 8-bit numbers
        pixels = np.rint(pixels / (WHITE_16 / 255))
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def read(source: str | os.PathLike, spec: DatasetSpec) -> np.ndarray:
    """The image in a file, as `fitted` gives it.

    Raises:
      UsageError: it is missing, or no image that Pillow can read.
    """
    path = paths.path(source)
    try:
        with Image.open(path) as image:
            return fitted(image, spec, str(path))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: give the path of an image.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} is not a readable image ({error}): give another one.") from error


def fitted(image: Image.Image, spec: DatasetSpec, name: str) -> np.ndarray:
    """An image as the data set has them: uint8 [height, width, channels].

    Turned as its EXIF data says, transparent parts on white, and where it has another size resized, by Pillow's Lanczos
    filter as the data set was: see `DatasetSpec.fit`.

    Raises:
      UsageError: it has a side below LEAST, or is of no known scale.
    """
    if min(image.size) < min(LEAST, spec.width, spec.height):
        raise UsageError(
            f"{name} has {image.width}x{image.height} pixels only: give an image of at least {LEAST}x{LEAST}."
        )
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = converted(image, "L" if spec.channels == 1 else "RGB", name)
    if image.size != (spec.width, spec.height):
        image = FITS[spec.fit](image, (spec.width, spec.height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(spec.image_shape)


def is_path(x: object) -> bool:
    """Whether this is the path of a file."""
    return isinstance(x, (str, pathlib.PurePath))
