"""Loading of one split of a data set."""

import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from tf_metadrop.data import arrays, description, holdout, strokes
from tf_metadrop.data.spec import SPLITS, DatasetSpec
from tf_metadrop.data.split import Split, of_array
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

MAPPED = 1 << 27  # bytes; arrays of at least this size stay in their file where they can be used as they are


def load_split(dataset: str, data_dir: str, split: str, hold_out_val: bool = False) -> np.ndarray:
    """The images of one split as one array, where the classes have equally many; see `open_split`.

    Args:
      dataset: a key of `spec.DATASETS`, or the name of a user's data set in data_dir.
      data_dir, split, hold_out_val: see `open_split`.

    Returns:
      [classes, instances, height, width, channels], C-contiguous; uint8 of 0..255 wherever that loses nothing,
      float32 of [0, 1] otherwise. A numpy.memmap, read-only, where the file is mapped.

    Raises:
      UsageError: see `open_split`.
    """
    spec = description.find_spec(dataset, paths.path(data_dir) / dataset)
    return open_split(spec, data_dir, split, hold_out_val).array()


def open_split(spec: DatasetSpec, data_dir: str, split: str, hold_out_val: bool = False) -> Split:
    """Loads one split into memory; a large uint8 file stays on disk and is mapped (`MAPPED`).

    The files are <data_dir>/<dataset>/{train,val,test}.npy, as `get_data.py` writes them or as the authors gave them
    out: [K, N, H*W*C], [K, N, H, W, C] or [K, N, H, W] (one channel); uint8 (other integers and bools too) of 0..255
    or 0/1 ink, or floats of [0, 1] or 0..255. `strokes` is computed and needs no files.

    Validation classes: if val.npy exists it is the split "val", and "train" is the whole of train.npy. If it does
    not, `hold_out_val` takes about one in seven characters (172 of 1200) of train.npy for "val" and leaves the rest
    for "train". The choice is fixed and does not depend on the run's seed. Rotations of a character stay together
    if classes.json, written by get_data.py, names the classes; without it each class counts by itself.

    A user's data set has [images, H, W, C] there, class by class, and the number of each class in dataset.json.

    Args:
      data_dir: root folder of the data sets.
      split: "train", "val" or "test".
      hold_out_val: see above; give the same value for "train" and "val", or the two overlap.

    Raises:
      UsageError: the split is not known, or a file is missing, broken or of another shape or scale.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split} is not known: give one of {', '.join(SPLITS)}.")
    if spec.generated:
        return of_array(strokes.generate(split))
    folder = paths.path(data_dir) / spec.name
    holding_out = split != "test" and hold_out_val and not (folder / "val.npy").exists()
    if split == "val" and not holding_out and not (folder / "val.npy").exists():
        raise UsageError(
            f"{folder / 'val.npy'} is missing and no train classes are held out in its place: build it with "
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
                f"{folder} has no classes.json to say what is a rotation of what: validation classes may be rotations "
                f"of training classes. `{spec.get_data_command}` makes it.",
                file=sys.stderr,
            )
        train, val = holdout.hold_out(holdout.train_names(folder, len(array)))
        classes = train if split == "train" else val
    return of_array(arrays.convert_classes(array, conversion, classes))


def own_split(folder: pathlib.Path, spec: DatasetSpec, split: str, holding_out: bool) -> Split:
    """A split of a user's data set, from the files that `data.own` wrote."""
    path, listed = folder / ("train.npy" if holding_out else f"{split}.npy"), folder / description.FILE
    found = description.content(listed)["splits"].get(path.stem)
    if found is None:
        raise UsageError(f"{listed} has no split {path.stem}: make the data set again with `{spec.get_data_command}`.")
    counts = np.array([*found["classes"].values()], int)
    array = arrays.open_flat(path, spec, int(counts.sum()))
    flat = array if array.nbytes >= MAPPED else np.array(array)
    whole = Split(flat, np.cumsum(counts) - counts, counts, tuple(found["classes"]), found["digest"])
    if not holding_out:
        return whole
    return whole.take(holdout.hold_out(whole.names or ())[0 if split == "train" else 1])
