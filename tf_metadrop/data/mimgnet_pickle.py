"""Loads miniImageNet's cache pickles without running code that a pickle may contain."""

import pathlib
from typing import Any

import numpy as np

from tf_metadrop.errors import UsageError
from tf_metadrop.util import safe_pickle


def load(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Loads a `mini-imagenet-cache-*.pkl`.

    Pickles of Python 2 and 3 can be loaded. Names other than those of NumPy arrays are refused before any call.

    Args:
      path: file with {"image_data": uint8 [N, 84, 84, 3], "class_dict": {wnid: indices}}.

    Returns:
      (images, classes): uint8 [N, 84, 84, 3] and {wnid: int64 indices [n]} with the wnids sorted.

    Raises:
      UsageError: the file is not such a pickle.
    """
    fix = "download it again, or use another format of miniImageNet"
    try:
        content = safe_pickle.load(path)
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} is not loaded ({error}): {fix}.") from error
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= content.keys():
        raise UsageError(f"{path} is not a dict of image_data and class_dict: {fix}.")
    images, classes = content["image_data"], content["class_dict"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (84, 84, 3):
        found = f"{images.dtype} {list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
        raise UsageError(f"{path} has image_data {found}, not uint8 [N, 84, 84, 3]: {fix}.")
    if not isinstance(classes, dict) or not classes:
        raise UsageError(f"{path} has no class names in class_dict: {fix}.")
    return images, {str(wnid): _indices(classes[wnid], wnid, len(images), path) for wnid in sorted(classes, key=str)}


def _indices(values: Any, wnid: Any, count: int, path: pathlib.Path) -> np.ndarray:
    try:
        indices = np.asarray(values)
    except (ValueError, TypeError):
        indices = np.empty(0)
    valid = indices.ndim == 1 and indices.size and indices.dtype.kind in "iu"
    if not valid or indices.min() < 0 or indices.max() >= count or len(np.unique(indices)) < len(indices):
        raise UsageError(f"{path} has no valid image indices for class {wnid}: download it again.")
    return indices.astype(np.int64)
