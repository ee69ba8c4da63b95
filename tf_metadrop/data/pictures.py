"""Pillow's images, whatever their bit depth, as 8 bits a channel."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tf_metadrop.errors import UsageError

WHITE_16 = 65535


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
