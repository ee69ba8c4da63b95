"""Pickles of strangers: loaded without running what a pickle may carry."""

import pathlib
import pickle
from typing import Any

import numpy as np


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stands in for _codecs.encode, which would look any codec up: bytes of a Python 2 string."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


# What array and scalar pickles of any NumPy refer to, taken from NumPy itself: their private homes move with versions.
_RECONSTRUCT = np.empty(0, "O").__reduce__()[0]
_FROM_BUFFER = np.empty(1).__reduce_ex__(5)[0]
_SCALAR = np.int64(0).__reduce__()[0]
_ADMITTED: dict[tuple[str, str], Any] = {
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

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return _ADMITTED[module, name]


def load(path: pathlib.Path) -> Any:
    """What the file holds: NumPy arrays, containers, strings and numbers, by Python 2 or 3.

    Raises:
      ValueError: it is no such pickle; names other than those of NumPy arrays are refused before anything is called.
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        # A broken pickle can fail in the unpickler or in any of the admitted constructors.
        except Exception as error:
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
