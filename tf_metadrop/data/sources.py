"""Loads one split of a data set."""

import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from tf_metadrop.data import arrays, description, holdout, strokes
from tf_metadrop.data.spec import DATASETS, SPLITS, DatasetSpec
from tf_metadrop.data.split import Split, of_array
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

MAPPED = 1 << 27  # bytes; arrays of at least this size stay in their file if they need no conversion


def load_split(dataset: str, data_dir: str, split: str, hold_out_val: bool = False) -> np.ndarray:
    """Loads the images of one split as one array; the classes must have equally many images. See `open_split`.

    Args:
      dataset: a key of `spec.DATASETS`, or the name of a user's data set in data_dir.
      data_dir, split, hold_out_val: see `open_split`.

    Returns:
      [classes, instances, height, width, channels], C-contiguous; uint8 in 0..255 if that loses nothing, otherwise
      float32 in [0, 1]. If the file is mapped, it is a read-only numpy.memmap.

    Raises:
      UsageError: see `open_split`.
    """
    spec = DATASETS.get(dataset) or description.find_spec(dataset, paths.path(data_dir) / dataset)
    return open_split(spec, data_dir, split, hold_out_val).array()


def open_split(spec: DatasetSpec, data_dir: str, split: str, hold_out_val: bool = False) -> Split:
    """Loads one split into memory; a large uint8 file stays on disk and is mapped (`MAPPED`).

    The files are <data_dir>/<dataset>/{train,val,test}.npy, as `get_data.py` writes them or as the authors published
    them: [K, N, H*W*C], [K, N, H, W, C] or [K, N, H, W] (one channel); uint8 (or other integers, or bools) in 0..255
    or 0/1 ink, or floats in [0, 1] or 0..255. `strokes` is computed and needs no files.

    Validation classes: if val.npy exists, it is the split "val", and "train" is all of train.npy. If it does not
    exist, `hold_out_val` takes about one in seven characters (172 of 1200) of train.npy for "val" and leaves the rest
    for "train". The choice is fixed and does not depend on the run's seed. The rotations of a character stay together
    if classes.json, which get_data.py writes, names the classes; without this file, each class is on its own.

    The files of a user's data set are [images, H, W, C], class by class; dataset.json has the number of images of each
    class.

    Args:
      spec: the data set.
      data_dir: root folder of the data sets.
      split: "train", "val" or "test".
      hold_out_val: see above; give the same value for "train" and "val", otherwise the two overlap.

    Raises:
      UsageError: the split is not known, or a file is missing, is broken, or has another shape or scale.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split} is not known: give one of {', '.join(SPLITS)}.")
    if spec.generated:
        return of_array(strokes.generate(split))
    folder = paths.path(data_dir) / spec.name
    holding_out = split != "test" and hold_out_val and not (folder / "val.npy").exists()
    if split == "val" and not holding_out and not (folder / "val.npy").exists():
        raise UsageError(
            f"{folder / 'val.npy'} is missing and no train classes are held out instead: build it with "
            f"`{spec.get_data_command}{' --val' if spec.name == 'omniglot' else ''}`, or give --eval_split test."
        )
    if spec.own:
        return own_split(folder, spec, split, holding_out)
    path = folder / ("train.npy" if holding_out else f"{split}.npy")
    array = arrays.open_array(path, spec)
    conversion = arrays.find_conversion(array, path)
    classes: Sequence[int] = range(len(array))
    as_it_is = array.dtype == conversion.dtype == "uint8" and conversion.factor == 1 and array.flags.c_contiguous
    if as_it_is and not holding_out and array.nbytes >= MAPPED:
        return of_array(array)
    if holding_out:
        if split == "val" and spec.name == "omniglot" and not (folder / "classes.json").exists():
            print(
                f"{folder} has no classes.json with the names of the classes, so validation classes may be rotations "
                f"of training classes. `{spec.get_data_command}` writes it.",
                file=sys.stderr,
            )
        train, val = holdout.hold_out(holdout.train_names(folder, len(array)))
        classes = train if split == "train" else val
    return of_array(arrays.convert_classes(array, conversion, classes))


def own_split(folder: pathlib.Path, spec: DatasetSpec, split: str, holding_out: bool) -> Split:
    """Loads a split of a user's data set, from the files that `data.own` wrote."""
    path, listed = folder / ("train.npy" if holding_out else f"{split}.npy"), folder / description.FILE
    found = description.splits_of(description.content(listed), listed).get(path.stem)
    if found is None:
        raise UsageError(f"{listed} has no split {path.stem}: make the data set again with `{spec.get_data_command}`.")
    counts = np.array([*found.classes.values()], int)
    array = arrays.open_flat(path, spec, int(counts.sum()))
    flat = array if array.nbytes >= MAPPED else np.array(array)
    whole = Split(flat, np.cumsum(counts) - counts, counts, tuple(found.classes), found.digest)
    if not holding_out:
        return whole
    return whole.take(holdout.hold_out(whole.names or ())[0 if split == "train" else 1])
