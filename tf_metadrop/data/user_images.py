"""Converts a user's images and labels to inputs of the network. Nothing here loads TensorFlow."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tf_metadrop.data import pictures
from tf_metadrop.errors import UsageError

if TYPE_CHECKING:
    from tf_metadrop.data.spec import DatasetSpec

Invert: TypeAlias = 'bool | Literal["auto"]'


def batch(x: Any, spec: DatasetSpec, name: str, invert: Invert = False) -> np.ndarray:
    """Converts images to [n, height, width, channels], float32 in [0, 1].

    Args:
      x: n images or a single one. Arrays (of NumPy, TensorFlow, PyTorch ...) have the shape [n, height, width,
        channels] or [height, width, channels]; the channels may also come before the height, and may be missing if
        there is only one. Paths of files, and PIL images, are resized and converted in the same way as the data set. A
        list of these will do too. Values are uint8 in 0..255 (or 0/1 ink), or floats in [0, 1].
      spec: gives height, width and channels.
      name: name of the argument, for messages.
      invert: True inverts every image (1 - x). "auto" inverts those drawings that are more bright than dark. With
        False, a warning says how many there are of these.
    Raises:
      UsageError: x is something else.
    """
    if invert not in (True, False, "auto"):
        raise UsageError(f'invert={invert!r} is not known: give True, False or "auto".')
    invert = invert if invert == "auto" else bool(invert)  # NumPy's booleans too
    images = numbers(stacked(x, spec, name), spec, name)
    if invert is True:
        return 1 - images
    if not spec.drawings:
        if invert == "auto":
            raise UsageError(
                f'invert="auto" is only for drawings, which the images of {spec.name} are not: give True or False.'
            )
        return images
    bright = images.mean((1, 2, 3)) > 0.5  # ink covers less than half of a drawing
    if invert == "auto":
        return np.where(bright[:, None, None, None], 1 - images, images)
    if bright.any():
        warnings.warn(
            f"{bright.sum()} of the {len(images)} images of {name} look inverted: in {spec.name}, ink is 1 and paper "
            'is 0. Give invert=True (for all images) or invert="auto" (for those that look inverted).',
            stacklevel=4,
        )
    return images


def stacked(x: Any, spec: DatasetSpec, name: str) -> np.ndarray:
    """Converts x to an array [n, height, width, channels] of its own dtype."""
    if isinstance(x, Sequence) and not pictures.is_path(x):
        x = [array_of(image, spec, name) for image in x]
        shapes = {image.shape for image in x}
        if len(shapes) > 1:
            raise UsageError(f"{name} has images of different shapes ({', '.join(map(str, shapes))}): make them equal.")
    given = array_of(x, spec, name)
    x, shape = given, spec.image_shape
    if x.shape[-2:] == shape[:2] and shape[2] == 1 and x.ndim in (2, 3):
        x = x[..., np.newaxis]
    channels_first = shape[2], *shape[:2]
    if x.shape[-3:] == channels_first and channels_first != shape:
        x = np.moveaxis(x, -3, -1)
    if x.shape == shape:
        x = x[np.newaxis]
    if x.ndim != 4 or x.shape[1:] != shape or not len(x):
        wanted = ", ".join(map(str, shape))
        raise UsageError(f"{name} has shape {given.shape}: give [n, {wanted}], or one image [{wanted}].")
    return x


def array_of(x: Any, spec: DatasetSpec, name: str) -> np.ndarray:
    """Converts x to an array; the result is float32 in [0, 1] if x is a path or an image of Pillow."""
    if pictures.is_path(x):
        return pictures.read(x, spec) / np.float32(255)
    if hasattr(x, "convert"):
        return pictures.fitted(x, spec, name) / np.float32(255)
    try:
        return np.asarray(on_cpu(x))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} does not hold arrays of the same shape ({error}): give images of one size."
        ) from error


def on_cpu(x: Any) -> Any:
    """Moves a PyTorch tensor to the CPU without its gradient, so that NumPy can read it; returns others unchanged."""
    return x.detach().cpu() if hasattr(x, "detach") else x


def numbers(x: np.ndarray, spec: DatasetSpec, name: str) -> np.ndarray:
    """Converts the values of x [n, height, width, channels] to float32 in [0, 1].

    uint8 is in 0..255; a drawing without a value above 1 has ink 0 or 1. Each image counts for itself.
    """
    if x.dtype == np.uint8:
        inked = spec.drawings & (x.max((1, 2, 3), keepdims=True, initial=0) <= 1)
        x = x / np.where(inked, np.float32(1), np.float32(255))
    try:
        x = x.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} holds values that are not numbers ({error}): give images.") from error
    if not np.isfinite(x).all():
        raise UsageError(f"{name} has non-finite values (NaN or Inf): fix the images.")
    if not (x.min() >= 0 and x.max() <= 1):
        raise UsageError(f"{name} has values outside [0, 1]: divide by 255 if they are in 0..255, or give uint8.")
    return x


def numbered(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Numbers labels: returns (the distinct labels, sorted if they can be; the index of each label among them).

    Raises:
      UsageError: labels is not a list of labels.
    """
    labels = on_cpu(labels)
    if hasattr(labels, "__array__") and (array := np.asarray(labels)).dtype != object:
        return np.unique(array, return_inverse=True)
    try:
        labels = [plain(label) for label in labels]
        classes = list(dict.fromkeys(labels))
    except TypeError as error:
        raise UsageError(f"support_y is not a list of labels ({error}): give numbers or texts.") from error
    with contextlib.suppress(TypeError):  # labels of several types keep their order
        classes.sort()
    place = {label: index for index, label in enumerate(classes)}
    simple = len({type(label) for label in classes}) == 1 and isinstance(classes[0], (bool, int, float, str))
    kept = np.array(classes) if simple else np.empty(len(classes), object)
    kept[:] = classes
    return kept, np.array([place[label] for label in labels], int)


def plain(label: Any) -> Any:
    """A label without the array or tensor around it, which would be a different key for every image."""
    label = on_cpu(label)
    return label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label


def balanced(indices: np.ndarray) -> np.ndarray:
    """Positions in `indices` (of classes 0..n-1) such that all classes occur equally often.

    The images of a smaller class are repeated in turn. If the classes have the same size, every position occurs once,
    in order.
    """
    counts = np.bincount(indices)
    if len(set(counts)) <= 1:
        return np.arange(len(indices))
    return np.concatenate([np.resize(np.flatnonzero(indices == label), counts.max()) for label in range(len(counts))])
