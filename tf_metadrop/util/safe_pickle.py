"""Loads pickles from untrusted sources without running code that they may contain."""

import pathlib
import pickle
from typing import Any

import numpy as np


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Replaces _codecs.encode, which would look up any codec; returns the bytes of a Python 2 string."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


# The names in array and scalar pickles of any NumPy, taken from NumPy itself, because their modules differ by version.
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
    """Accepts arrays, containers and plain values; any other name in the pickle is an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return _ADMITTED[module, name]


def load(path: pathlib.Path) -> Any:
    """Loads a pickle of NumPy arrays, containers, strings and numbers, written by Python 2 or 3.

    Raises:
      ValueError: it is not such a pickle; names other than those of NumPy arrays are refused before any call.
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        # A broken pickle can fail in the unpickler or in any of the admitted constructors.
        except Exception as error:
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
