"""Builds miniImageNet's train.npy, val.npy and test.npy from the formats in which it is distributed.

The images are from ImageNet, so there is no official download. The split is that of Ravi and Larochelle, "Optimization
as a model for few-shot learning", ICLR 2017.
"""

import pathlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np
import tqdm

from tf_metadrop.data import arrays, layouts, mimgnet_csv, mimgnet_folders, mimgnet_pickle, outputs
from tf_metadrop.data.mimgnet_folders import Split
from tf_metadrop.data.spec import SPLITS, get_spec
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

PICKLES = {"train": ["train"], "val": ["val", "validation"], "test": ["test"]}


Opener: TypeAlias = Callable[[], Split]


def build(folder: pathlib.Path, source: str | None) -> list[str]:
    """Builds uint8 train.npy, test.npy and, if the source has it, val.npy [classes, instances, 84, 84, 3].

    Args:
      folder: <data_dir>/mimgnet, to which the arrays are written, and classes.json if the source names the classes.
      source: folder with one of these formats, which are tried in this order:
        train.npy, test.npy[, val.npy]: [K, N, 21168] or [K, N, 84, 84, 3] of any dtype that `load_split` reads;
          floats are rounded to 8 bits.
        mini-imagenet-cache-train.pkl, -test.pkl[, -val.pkl or -validation.pkl].
        images/ and train.csv, test.csv[, val.csv]; images are resized to 84x84.
        train/, test/[, val/ or validation/] with a folder for each class, or a folder for each of the 100 classes;
          images are resized to 84x84.
        The folder above or below the right one will do too.

    Returns:
      One line per file written.

    Raises:
      UsageError: there is no source, outputs exist, or the source is not usable: it does not have 64/16/20 classes,
        classes differ in size, or a class is in two splits.
    """
    if source is not None and paths.path(source).resolve() == folder.resolve() and (folder / "train.npy").exists():
        raise UsageError(
            f"--source={source} is the folder of the output, whose files are used as they are: nothing to do."
        )
    outputs.check_free(folder)
    if source is None:
        raise UsageError(
            "--source is missing: miniImageNet has no official download, so get the authors' train.npy and test.npy, "
            "the three mini-imagenet-cache-*.pkl, or ImageNet's images/ with the train/val/test.csv of Ravi and "
            "Larochelle (github.com/twitter-research/meta-learning-lstm), and give their folder as --source."
        )
    openers = _find(paths.path(source))
    names: dict[str, list[str]] = {}
    lines = []
    with outputs.staged(folder) as stage:
        # Only one split is open at a time: a pickle of the train images needs gigabytes while it loads.
        for split, opener in openers.items():
            opened = opener()
            shape = _check(split, opened, names)
            blocks = tqdm.tqdm(opened.blocks(), total=shape[0], desc=split, unit="class", disable=None)
            arrays.write_npy(stage / f"{split}.npy", shape, blocks)
            lines.append(f"{folder / split}.npy: {list(shape)}" + _note(shape))
            if opened.names:
                names[split] = opened.names
        if names:
            outputs.write_classes(stage, names)
    return lines + ([] if "val" in openers else ["The source has no val split: val.npy is not written."])


def _find(source: pathlib.Path) -> dict[str, Opener]:
    """For each split, a function that opens it, for the first format found in `source` or near it."""
    if not source.is_dir():
        raise UsageError(f"--source {source} is not a folder: give the folder that holds miniImageNet.")
    found = layouts.first(source, _splits)
    if found is None:
        raise UsageError(
            f"--source {source} holds neither train.npy and test.npy, nor mini-imagenet-cache-train.pkl and -test.pkl, "
            "nor images/ with train.csv and test.csv, nor train/ and test/ with a folder for each class, nor a folder "
            "for each of the 100 classes: give the folder that holds one of these."
        )
    return found


def _splits(folder: pathlib.Path) -> dict[str, Opener] | None:
    """The splits in this folder itself; None unless it has train and test."""
    forms: list[tuple[Callable[[pathlib.Path], Split], dict[str, list[str]]]] = [
        (_open_npy, {split: [f"{split}.npy"] for split in SPLITS}),
        (_open_pickle, {split: [f"mini-imagenet-cache-{word}.pkl" for word in PICKLES[split]] for split in SPLITS}),
        (mimgnet_folders.open_split, dict(PICKLES.items())),
    ]
    if (folder / "images").is_dir():
        forms.insert(2, (_open_csv, {split: [f"{split}.csv"] for split in SPLITS}))
    for opener, candidates in forms:
        paths: dict[str, Opener] = {}
        for split, names in candidates.items():
            wanted = pathlib.Path.is_dir if opener is mimgnet_folders.open_split else pathlib.Path.is_file
            existing = [folder / name for name in names if wanted(folder / name)]
            if existing:
                paths[split] = partial(opener, existing[0])
        if "train" in paths and "test" in paths:
            return paths
    return mimgnet_folders.of_one_folder(folder)


def _check(split: str, opened: Split, earlier: dict[str, list[str]]) -> tuple[int, ...]:
    """The shape of a split's array; raises UsageError if its counts or names are wrong."""
    spec = get_spec("mimgnet")
    expected, found = spec.classes[split], len(opened.instances)
    if found != expected:
        raise UsageError(f"{opened.path} has {found} classes instead of {expected}: get the 64/16/20 split.")
    if len(set(opened.instances)) > 1:
        low, high = min(opened.instances), max(opened.instances)
        raise UsageError(f"{opened.path} has classes with {low} to {high} images: give all classes the same number.")
    for other, names in earlier.items():
        if both := set(names) & set(opened.names or []):
            raise UsageError(f"{opened.path} has class {min(both)}, which is in {other} too: get the 64/16/20 split.")
    return found, opened.instances[0], *spec.image_shape


def _note(shape: tuple[int, ...]) -> str:
    usual = get_spec("mimgnet").instances
    return "" if shape[1] == usual else f" (note: the usual miniImageNet has {usual} images per class)"


def _open_npy(path: pathlib.Path) -> Split:
    array = arrays.open_array(path, get_spec("mimgnet"), fix="give a correct copy of it")
    stored = arrays.find_conversion(array, path)
    # Images are written with 8 bits, as they were before they were scaled.
    to_bytes = arrays.Conversion("uint8", stored.factor * 255 if stored.dtype == "float32" else stored.factor)

    def blocks() -> Iterator[np.ndarray]:
        return (arrays.convert(block, to_bytes) for block in array)

    return Split(None, [array.shape[1]] * len(array), blocks, path)


def _open_pickle(path: pathlib.Path) -> Split:
    images, classes = mimgnet_pickle.load(path)
    sizes = [len(indices) for indices in classes.values()]
    return Split(list(classes), sizes, lambda: (images[indices] for indices in classes.values()), path)


def _open_csv(path: pathlib.Path) -> Split:
    classes = mimgnet_csv.read_list(path)
    images = path.parent / "images"
    # All files are searched for before the first is read, so that a missing one is reported at once.
    files = {label: [mimgnet_csv.find_image(images, label, name) for name in names] for label, names in classes.items()}

    def blocks() -> Iterator[np.ndarray]:
        return (np.stack([mimgnet_csv.read_image(file) for file in group]) for group in files.values())

    return Split(list(files), [len(group) for group in files.values()], blocks, path)
