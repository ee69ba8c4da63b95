"""Loading of miniImageNet's cache pickles without running what a pickle may carry."""

import pathlib
import pickle

import numpy as np

from tf_metadrop.errors import UsageError


def _latin1(text, encoding="latin1"):
    """Stands in for _codecs.encode, which would look any codec up: bytes of a Python 2 string."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


# What array and scalar pickles of any NumPy refer to, taken from NumPy itself: their private homes move with versions.
_RECONSTRUCT = np.empty(0, "O").__reduce__()[0]
_FROM_BUFFER = np.empty(1).__reduce_ex__(5)[0]
_SCALAR = np.int64(0).__reduce__()[0]
_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "xrange"): range,
    ("builtins", "range"): range,
} | {
    (f"numpy.{core}.{module}", name): function
    for core in ("core", "_core")
    for module, name, function in (
        ("multiarray", "_reconstruct", _RECONSTRUCT),
        ("multiarray", "scalar", _SCALAR),
        ("numeric", "_frombuffer", _FROM_BUFFER),
    )
}


class _Unpickler(pickle.Unpickler):
    """Admits arrays, containers and plain values; any other name in the pickle ends the loading."""

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no miniImageNet pickle needs")
        return _ADMITTED[module, name]


def load(path: pathlib.Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Loads a `mini-imagenet-cache-*.pkl`.

    Pickles of Python 2 and 3 load. Names other than those of NumPy arrays are refused before anything is called.

    Args:
      path: file with {"image_data": uint8 [N, 84, 84, 3], "class_dict": {wnid: indices}}.

    Returns:
      (images, classes): uint8 [N, 84, 84, 3] and {wnid: int64 indices [n]} with the wnids sorted.

    Raises:
      UsageError: the file is not such a pickle.
    """
    mend = "fetch it again, or use another form of miniImageNet"
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
    # A broken pickle can fail in the unpickler or in any of the admitted constructors.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} is not loaded ({reason}): {mend}.") from error
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= content.keys():
        raise UsageError(f"{path} is not a dict of image_data and class_dict: {mend}.")
    images, classes = content["image_data"], content["class_dict"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (84, 84, 3):
        found = f"{images.dtype} {list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
        raise UsageError(f"{path} has image_data {found}, not uint8 [N, 84, 84, 3]: {mend}.")
    if not isinstance(classes, dict) or not classes:
        raise UsageError(f"{path} has no class names in class_dict: {mend}.")
    return images, {str(wnid): _indices(classes[wnid], wnid, len(images), path) for wnid in sorted(classes, key=str)}


def _indices(values, wnid, count, path):
    try:
        indices = np.asarray(values)
    except (ValueError, TypeError):
        indices = np.empty(0)
    valid = indices.ndim == 1 and indices.size and indices.dtype.kind in "iu"
    if not valid or indices.min() < 0 or indices.max() >= count or len(np.unique(indices)) < len(indices):
        raise UsageError(f"{path} has no valid image indices for class {wnid}: fetch it again.")
    return indices.astype(np.int64)
