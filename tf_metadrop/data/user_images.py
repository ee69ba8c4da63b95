"""Images and labels as a user has them in hand, made into what the network takes. Nothing here loads TensorFlow."""

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
    """Images [n, height, width, channels], float32 in [0, 1].

    Args:
      x: n images or a single one: an array (of NumPy, TensorFlow, PyTorch ...) [n, height, width, channels] or [height,
        width, channels], also with the channels before height, and without that axis where there is one; the path of a
        file or a PIL image, which are resized and converted as the data set was; or a list of these. uint8 of 0..255
        (or 0/1 ink), or floats in [0, 1].
      spec: gives height, width and channels.
      name: of the argument, for messages.
      invert: True: every image is inverted (1 - x); "auto": each that is more bright than dark, of drawings alone.
        With False a warning says how many these are.
    Raises:
      UsageError: these are no such images.
    """
    if invert not in (True, False, "auto"):
        raise UsageError(f'invert={invert!r} is not known: give True, False or "auto".')
    invert = invert if invert == "auto" else bool(invert)  # NumPy's too
    images = numbers(stacked(x, spec, name), name)
    if invert is True:
        return 1 - images
    if not spec.drawings:
        if invert == "auto":
            raise UsageError(
                f'invert="auto" cannot tell which way round the images of {spec.name} are: give True or False.'
            )
        return images
    bright = images.mean((1, 2, 3)) > 0.5  # ink covers less than half of a drawing
    if invert == "auto":
        return np.where(bright[:, None, None, None], 1 - images, images)
    if bright.any():
        warnings.warn(
            f"{bright.sum()} of the {len(images)} images of {name} look inverted: the model knows {spec.name}, where "
            'ink is 1 and paper 0. Give invert=True (all of them) or invert="auto" (those that look so).',
            stacklevel=4,
        )
    return images


def stacked(x: Any, spec: DatasetSpec, name: str) -> np.ndarray:
    """x as an array [n, height, width, channels], of whatever dtype it has."""
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
    """A path or an image of Pillow's, float32 in [0, 1], or whatever NumPy takes for an array, as one."""
    if pictures.is_path(x):
        return pictures.read(x, spec) / np.float32(255)
    if hasattr(x, "convert"):
        return pictures.fitted(x, spec, name) / np.float32(255)
    try:
        return np.asarray(on_cpu(x))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} holds no arrays of one shape ({error}): give images of one size.") from error


def on_cpu(x: Any) -> Any:
    """A tensor of PyTorch's without its gradient, where NumPy can read it; anything else as it is."""
    return x.detach().cpu() if hasattr(x, "detach") else x


def numbers(x: np.ndarray, name: str) -> np.ndarray:
    """float32 in [0, 1] of x."""
    if x.dtype == np.uint8:
        x = x / np.float32(255 if x.max() > 1 else 1)  # 0/1 ink, as for files: see sources.load_split
    try:
        x = x.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} holds other things than numbers ({error}): give images.") from error
    if not np.isfinite(x).all():
        raise UsageError(f"{name} has values that are no numbers (NaN or infinity): mend the images.")
    if not (x.min() >= 0 and x.max() <= 1):
        raise UsageError(f"{name} has values outside [0, 1]: divide by 255 if they are of 0..255, or give uint8.")
    return x


def numbered(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """(the different labels, sorted if they can be; the place of each label among them).

    Raises:
      UsageError: they are no labels.
    """
    labels = on_cpu(labels)
    if hasattr(labels, "__array__") and (array := np.asarray(labels)).dtype != object:
        return np.unique(array, return_inverse=True)
    try:
        labels = [plain(label) for label in labels]
        classes = list(dict.fromkeys(labels))
    except TypeError as error:
        raise UsageError(f"support_y holds no labels ({error}): give a list of numbers or texts.") from error
    with contextlib.suppress(TypeError):  # of several kinds: as they come
        classes.sort()
    place = {label: index for index, label in enumerate(classes)}
    simple = len({type(label) for label in classes}) == 1 and isinstance(classes[0], (bool, int, float, str))
    kept = np.array(classes) if simple else np.empty(len(classes), object)
    kept[:] = classes
    return kept, np.array([place[label] for label in labels], int)


def plain(label: Any) -> Any:
    """A label without the array or tensor around it, which would be another key for every image."""
    label = on_cpu(label)
    return label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label


def balanced(indices: np.ndarray) -> np.ndarray:
    """Places among `indices`, of classes 0..n-1, such that each class has as many: its images in turn, over again.

    Where all have as many as they are, that is every place, in order.
    """
    counts = np.bincount(indices)
    if len(set(counts)) <= 1:
        return np.arange(len(indices))
    return np.concatenate([np.resize(np.flatnonzero(indices == label), counts.max()) for label in range(len(counts))])
