"""Loading of one split of a data set."""

import sys
from collections.abc import Sequence

import numpy as np

from tf_metadrop.data import arrays, holdout, strokes
from tf_metadrop.data.spec import SPLITS, get_spec
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

MAPPED = 1 << 27  # bytes; arrays of at least this size stay in their file where they can be used as they are


def load_split(dataset: str, data_dir: str, split: str, hold_out_val: bool = False) -> np.ndarray:
    """Loads the images of one split into memory; a large uint8 file stays on disk and is mapped (`MAPPED`).

    The files are <data_dir>/<dataset>/{train,val,test}.npy, as `get_data.py` writes them or as the authors gave them
    out: [K, N, H*W*C], [K, N, H, W, C] or [K, N, H, W] (one channel); uint8 (other integers and bools too) of 0..255
    or 0/1 ink, or floats of [0, 1] or 0..255. `strokes` is computed and needs no files.

    Validation classes: if val.npy exists it is the split "val", and "train" is the whole of train.npy. If it does
    not, `hold_out_val` takes about one in seven characters (172 of 1200) of train.npy for "val" and leaves the rest
    for "train". The choice is fixed and does not depend on the run's seed. Rotations of a character stay together
    if classes.json, written by get_data.py, names the classes; without it each class counts by itself.

    Args:
      dataset: a key of `spec.DATASETS`.
      data_dir: root folder of the data sets.
      split: "train", "val" or "test".
      hold_out_val: see above; give the same value for "train" and "val", or the two overlap.

    Returns:
      [classes, instances, height, width, channels], C-contiguous; uint8 of 0..255 wherever that loses nothing,
      float32 of [0, 1] otherwise. A numpy.memmap, read-only, where the file is mapped.

    Raises:
      UsageError: the data set or split is not known, or a file is missing, broken or of another shape or scale.
    """
    spec = get_spec(dataset)
    if split not in SPLITS:
        raise UsageError(f"split {split} is not known: give one of {', '.join(SPLITS)}.")
    if spec.generated:
        return strokes.generate(split)
    folder = paths.path(data_dir) / dataset
    holding_out = split != "test" and hold_out_val and not (folder / "val.npy").exists()
    if split == "val" and not holding_out and not (folder / "val.npy").exists():
        raise UsageError(
            f"{folder / 'val.npy'} is missing and no train classes are held out in its place: build it with "
            f"`{spec.get_data_command}{' --val' if dataset == 'omniglot' else ''}`, or give --eval_split test."
        )
    path = folder / ("train.npy" if holding_out else f"{split}.npy")
    array = arrays.open_array(path, spec)
    conversion = arrays.find_conversion(array, path)
    classes: Sequence[int] = range(len(array))
    as_it_is = array.dtype == conversion.dtype == "uint8" and conversion.factor == 1 and array.flags.c_contiguous
    if as_it_is and not holding_out and array.nbytes >= MAPPED:
        return array
    if holding_out:
        if split == "val" and dataset == "omniglot" and not (folder / "classes.json").exists():
            print(
                f"{folder} has no classes.json to say what is a rotation of what: validation classes may be rotations "
                f"of training classes. `{spec.get_data_command}` makes it.",
                file=sys.stderr,
            )
        train, val = holdout.hold_out(holdout.train_names(folder, len(array)))
        classes = train if split == "train" else val
    return arrays.convert_classes(array, conversion, classes)
