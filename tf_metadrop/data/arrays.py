"""Reads and writes image arrays in .npy files, class by class, so that memory never holds a second copy."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from tf_metadrop.data.spec import DATASETS, DatasetSpec
from tf_metadrop.errors import UsageError

# Floats this close to k/255 came from 8-bit images; float32 itself moves them by at most 6e-8.
_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The conversion of stored values to pixels: value * factor, in `dtype` (uint8 in 0..255 or float32 in [0, 1])."""

    dtype: str
    factor: float


def open_array(path: pathlib.Path, spec: DatasetSpec, fix: str = "") -> np.ndarray:
    """Maps a .npy file of images without reading it into memory.

    Args:
      path: the file; [K, N, H*W*C], [K, N, H, W, C] or, for one channel, [K, N, H, W], of bools, integers or floats.
      spec: gives H, W and C.
      fix: how to fix a broken file, for messages; the default is to build it again.

    Returns:
      Read-only array [classes, instances, height, width, channels] in the dtype of the file.

    Raises:
      UsageError: the file is missing, unreadable, holds pickled objects, or has another shape or dtype.
    """
    if not path.exists():
        default = path.parent == pathlib.Path("data", spec.name)
        folder = "" if default or path.parent.name != spec.name else f" --data_dir {path.parent.parent}"
        raise UsageError(f"{path} is missing: build it with `{spec.get_data_command}{folder}`.")
    fix = fix or f"build it again with `{spec.get_data_command}`"
    array = map_file(path, fix)
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path} is an archive of arrays (.npz), not one .npy array: {fix}.")
    if array.dtype.kind not in "buif":
        raise UsageError(f"{path} has dtype {array.dtype}, not integers or floats: {fix}.")
    shapes = [(spec.pixels,), spec.image_shape] + ([spec.image_shape[:2]] if spec.channels == 1 else [])
    if array.ndim < 3 or array.shape[2:] not in shapes or 0 in array.shape:
        wanted = " or ".join(str(["classes", "instances", *shape]).replace("'", "") for shape in shapes)
        others = [other.name for other in DATASETS.values() if array.shape[2:] in (other.image_shape, (other.pixels,))]
        fix = f"give --dataset={others[0]}, or {fix}" if others and others[0] != spec.name else fix
        raise UsageError(f"{path} has shape {list(array.shape)}, not {wanted} with at least one image: {fix}.")
    return array.reshape(*array.shape[:2], *spec.image_shape)


def map_file(path: pathlib.Path, fix: str) -> np.ndarray:
    """Maps the array in a .npy file; raises UsageError if it is unreadable or holds pickled objects."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "Python objects" in reason or "allow_pickle" in reason:
            reason = "it holds pickled Python objects, which are never loaded"
        raise UsageError(f"{path} cannot be read as a .npy array ({reason}): {fix}.") from error


def open_flat(path: pathlib.Path, spec: DatasetSpec, n_images: int) -> np.ndarray:
    """Maps a file of n_images images [images, height, width, channels], uint8, as `FlatWriter` writes it.

    Raises:
      UsageError: it is missing, or holds another array.
    """
    fix = f"make it again with `{spec.get_data_command}`"
    if not path.exists():
        raise UsageError(f"{path} is missing: {fix}.")
    array = map_file(path, fix)
    wanted = n_images, *spec.image_shape
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape != wanted:
        raise UsageError(f"{path} is not the uint8 array {list(wanted)} that dataset.json describes: {fix}.")
    return array


class FlatWriter:
    """A context manager that writes a uint8 .npy file [images, ...]; the number of images is known only at the end.

    It uses plain writes, as `write_npy` does.
    """

    LENGTH = 128  # bytes before the first image

    def __init__(self, path: pathlib.Path, shape: Sequence[int]):
        self._file, self._shape, self.written = open(path, "wb"), tuple(shape), 0
        self._digest = hashlib.blake2b(digest_size=8)
        self._file.write(b"\0" * self.LENGTH)

    def __enter__(self) -> "FlatWriter":
        return self

    def write(self, image: np.ndarray) -> None:
        """Adds an image."""
        data = np.ascontiguousarray(image, np.uint8).reshape(self._shape).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self.written += 1

    def digest(self) -> str:
        """A digest of the images that were written, 16 hexadecimal digits."""
        return self._digest.hexdigest()

    def __exit__(self, *exception: object) -> None:
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(self.written, *self._shape)}, }}"
        space = self.LENGTH - len(np.lib.format.magic(1, 0)) - 2
        with self._file as file:
            file.seek(0)
            file.write(np.lib.format.magic(1, 0) + space.to_bytes(2, "little"))
            file.write(header.encode("latin1").ljust(space - 1) + b"\n")


def find_conversion(array: np.ndarray, path: pathlib.Path) -> Conversion:
    """Reads every pixel once to find the scale in which the pixels are stored.

    Integers are 0..255, or 0/1 ink if their maximum is 1. Floats are in [0, 1], or in 0..255 if their maximum is at
    least 2. If all floats are multiples of 1/255, they become uint8, which loses nothing and needs a quarter of the
    memory.

    Args:
      array: [classes, instances, ...], as from `open_array`.
      path: its file, for messages.

    Raises:
      UsageError: a value is negative, above 255, or non-finite (NaN or Inf); all values are 0; or the largest float is
        between 1 and 2, which fits neither scale (division by 255 would give black images).
    """
    highest, unit_steps, whole_steps = 0.0, True, True
    for block in array:
        low, high = float(block.min()), float(block.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise UsageError(f"{path} holds non-finite pixels (NaN or Inf): fix its source and build it again.")
        if low < 0 or high > 255:
            raise UsageError(f"{path} holds pixels from {low:g} to {high:g}: scale them to 0..1 or 0..255.")
        highest = max(highest, high)
        if array.dtype.kind == "f":
            unit_steps = unit_steps and _are_whole(block * 255)
            whole_steps = whole_steps and _are_whole(block)
    if highest == 0:
        raise UsageError(f"{path} holds only blank images (every pixel is 0): fix its source and build it again.")
    if array.dtype.kind != "f":
        return Conversion("uint8", 255 if highest == 1 else 1)
    if highest <= 1 + _TOLERANCE:
        return Conversion("uint8", 255) if unit_steps else Conversion("float32", 1)
    if highest < 2:
        raise UsageError(f"{path} holds floats up to {highest:g}: scale them to 0..1 or 0..255.")
    return Conversion("uint8", 1) if whole_steps else Conversion("float32", 1 / 255)


def _are_whole(values: np.ndarray) -> bool:
    return bool(np.abs(values - np.rint(values)).max() <= 255 * _TOLERANCE)


def convert(block: np.ndarray, conversion: Conversion) -> np.ndarray:
    """Converts the pixels of `block`, which may have any shape."""
    if conversion.dtype == "float32":
        return np.clip(block * conversion.factor, 0, 1).astype(np.float32)
    if block.dtype.kind == "f":
        block = np.rint(block * conversion.factor)
        return np.clip(block, 0, 255).astype(np.uint8)
    return block.astype(np.uint8) * np.uint8(conversion.factor)


def convert_classes(array: np.ndarray, conversion: Conversion, classes: Sequence[int]) -> np.ndarray:
    """Returns the chosen classes of `array` [K, N, H, W, C] as a new C-contiguous array in memory."""
    pixels = np.empty((len(classes), *array.shape[1:]), conversion.dtype)
    for row, label in enumerate(classes):
        pixels[row] = convert(array[label], conversion)
    return pixels


def write_npy(path: pathlib.Path, shape: Sequence[int], blocks: Iterable[np.ndarray]) -> None:
    """Writes a uint8 .npy file of `shape` [K, ...] from its K blocks; memory holds one block at a time.

    It uses plain writes, not a memory map: on a full disk, a write raises OSError, but a map kills the process.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(int(size) for size in shape)}
    written = 0
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            if block.shape != tuple(shape[1:]) or block.dtype != np.uint8:
                raise ValueError(f"block {written} is {block.dtype} {block.shape}, not uint8 {tuple(shape[1:])}")
            file.write(np.ascontiguousarray(block).data)
            written += 1
    if written != shape[0]:
        raise ValueError(f"{written} blocks for {shape[0]} classes")
