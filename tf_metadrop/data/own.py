"""Builds a data set from a user's folder of images: `metadrop data --source DIR --name NAME`."""

from __future__ import annotations

import pathlib
import shlex
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_metadrop.data import description, layouts, mimgnet_csv, outputs, own_writer
from tf_metadrop.data.own_writer import Classes
from tf_metadrop.data.spec import DATASETS, SPLITS, DatasetSpec
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

FOLDERS = {"train": ("train", "training"), "val": ("val", "validation", "valid"), "test": ("test", "testing")}
SMALLEST, LARGEST = 16, 1024  # pixels: conv4 halves an image four times
WIDE_UP_TO = 32  # pixels: conv4 has 64 filters up to this size and 32 above it, as for the paper's two data sets
RESIZED = {
    "crop": "the shorter side made to fit, the middle taken",
    "pad": "the longer side made to fit, black beside it",
    "stretch": "both sides made to fit, proportions lost",
}


class Wish(NamedTuple):
    """The properties of the data set to build.

    Attributes:
      name: value of --dataset.
      size: height and width of the images, in pixels.
      channels: 1 (grey) or 3 (RGB).
      parts: fractions of the classes for train, val and test, used if the source has no such folders.
      seed: seed of that split.
      divided: whether parts or seed were asked for; a source with its own split is then refused.
      fit: see `DatasetSpec`.
    """

    name: str
    size: int = 84
    channels: int = 3
    parts: tuple[float, float, float] = (0.64, 0.16, 0.2)
    seed: int = 0
    fit: str = "crop"
    divided: bool = False

    def spec(self) -> DatasetSpec:
        """The description of the data set; raises UsageError if its name or size cannot be used."""
        if not description.NAME.fullmatch(self.name) or self.name in DATASETS:
            raise UsageError(
                f"--name={self.name} cannot be the name of your data set: give letters, digits, _ and -, with a letter "
                f"first, and none of {', '.join(DATASETS)}."
            )
        if not SMALLEST <= self.size <= LARGEST:
            raise UsageError(f"--size={self.size} is out of range: give {SMALLEST} to {LARGEST} pixels.")
        filters = 64 if self.size <= WIDE_UP_TO else 32
        return DatasetSpec(self.name, self.size, self.size, self.channels, filters, {}, 0, fit=self.fit)


def build(folder: pathlib.Path, source: str | None, wish: Wish) -> list[str]:
    """Writes uint8 train.npy, val.npy, test.npy [images, height, width, channels] and dataset.json.

    Args:
      folder: <data_dir>/<name>, to which they are written.
      source: a folder with one of these, or a folder that holds such a folder:
        a folder of images for each class; train/, test/[, val/] with such folders; images/ and train.csv, test.csv
        [, val.csv].
      wish: the properties of the data set.

    Returns:
      Lines to print.
    Raises:
      UsageError: the source or the wish cannot be used, or outputs exist.
    """
    spec = wish.spec()
    outputs.check_free(folder)
    if source is None:
        raise UsageError("--source is missing: give the folder that holds a folder of images for each class.")
    place = paths.path(source)
    if not place.is_dir():
        raise UsageError(
            f"--source={source} is not a folder: give the one that holds a folder of images for each class."
        )
    splits = find(place, wish)
    check_names(splits)
    with outputs.staged(folder) as stage:
        writer = own_writer.Writer(stage, spec)
        written = {split: writer.split(split, classes) for split, classes in splits.items()}
        few = [split for split, of in written.items() if len(of["classes"]) < 2]
        if few:
            raise UsageError(
                f"{few[0]} has {len(written[few[0]]['classes'])} classes with usable images, but a task needs two: "
                "give more classes, or another --split."
            )
        how = dict(source=str(place.resolve()), resized=RESIZED[wish.fit] + "; Lanczos", skipped=sorted(writer.skipped))
        description.write(stage, spec, **how, splits=written)
    return [*lines(folder, written, spec), *passed_over(splits), *writer.notes(), next_command(folder, spec, written)]


def find(source: pathlib.Path, wish: Wish) -> dict[str, Classes]:
    """Finds the image files of every class of every split, in the folder or in one of its folders."""
    if found := at(source, wish):
        return found
    fitting = [place for place in layouts.folders(source) if has_classes(place)]
    if len(fitting) > 1:
        raise UsageError(
            f"--source={source} has several folders with classes ({own_writer.some([str(each) for each in fitting])}): "
            "give one of them, or call them train, val and test."
        )
    if fitting and (found := at(fitting[0], wish)):
        print(f"--source={source}: using {fitting[0]}")
        return found
    raise UsageError(
        f"--source={source} has no folder of images for each class, no train/ and test/ with such folders, and no "
        "images/ with train.csv and test.csv: give a folder that has one of these."
    )


def at(place: pathlib.Path, wish: Wish) -> dict[str, Classes] | None:
    """The image files of every class of every split in a folder itself; None if it has no classes."""
    given = from_lists(place) or from_split_folders(place)
    if given and wish.divided:
        raise UsageError(f"{place} has a split of its own: leave --split and --split_seed out.")
    return given or from_class_folders(place, wish)


def has_classes(place: pathlib.Path) -> bool:
    """Whether `at` finds classes."""
    return bool(from_lists(place) or from_split_folders(place) or len(files_of(place)) > 1)


def from_class_folders(place: pathlib.Path, wish: Wish) -> dict[str, Classes] | None:
    """Splits made from the folders in `place` that have files; None if there are fewer than two."""
    classes = files_of(place)
    if len(classes) < 2:
        return None
    return divided(classes, wish)


def from_split_folders(place: pathlib.Path) -> dict[str, Classes] | None:
    """The splits that are folders in `place`; None if train or test is missing."""
    there = {folder.name.lower(): folder.name for folder in layouts.folders(place)}
    names = {split: [there[name] for name in of if name in there] for split, of in FOLDERS.items()}
    if not (names["train"] and names["test"]) or not files_of(place / names["train"][0]):
        return None
    return {split: files_of(place / name[0]) for split, name in names.items() if name}


def from_lists(place: pathlib.Path) -> dict[str, Classes] | None:
    """The splits that lists in miniImageNet's format define; None if there are no such lists."""
    images, lists = place / "images", {split: place / f"{split}.csv" for split in SPLITS}
    if not (images.is_dir() and lists["train"].is_file() and lists["test"].is_file()):
        return None
    read = {split: mimgnet_csv.read_list(path) for split, path in lists.items() if path.is_file()}
    return {
        split: {label: [mimgnet_csv.find_image(images, label, name) for name in of] for label, of in classes.items()}
        for split, classes in read.items()
    }


def files_of(place: pathlib.Path) -> Classes:
    """The files of each folder in `place` that has a picture, by its suffix; by the name of the folder."""
    known = Image.registered_extensions()
    has_picture = lambda files: any(file.suffix.lower() in known for file in files)
    return {name: files for name, files in layouts.files_by_folder(place).items() if has_picture(files)}


def passed_over(splits: dict[str, Classes]) -> list[str]:
    """Lines that name folders which were not used: beside those of the classes, and inside them."""
    used = {file.parent for classes in splits.values() for files in classes.values() for file in files}
    beside = sorted({each for place in {folder.parent for folder in used} for each in layouts.folders(place)} - used)
    below = [str(each) for each in beside if layouts.folders(each) and not layouts.files(each)]
    without = [str(each) for each in beside if str(each) not in below]
    inside = [str(each) for folder in sorted(used) for each in layouts.folders(folder)]
    found = []
    for folders, which in (
        (below, "whose images are in folders below them"), (without, "without a picture"),
        (inside, "inside those of the classes"),
    ):  # fmt: skip
        found += [f"left out {len(folders)} folders {which}: {own_writer.some(folders)}."] if folders else []
    return found


def divided(classes: Classes, wish: Wish) -> dict[str, Classes]:
    """Splits the classes at random, by the parts and the seed of the wish."""
    train, val, test = wish.parts
    if not (min(wish.parts) >= 0 and abs(sum(wish.parts) - 1) <= 1e-6 and train and test):  # also NaN
        raise UsageError(
            f"--split={train:g},{val:g},{test:g} are not fractions for train, val and test: give three that add up to "
            "1, as 0.64,0.16,0.2; val may be 0."
        )
    names, order = list(classes), np.random.RandomState(wish.seed).permutation(len(classes))
    n_test, n_val = (max(2, round(part * len(names))) if part else 0 for part in (test, val))
    ends = {"test": n_test, "val": n_test + n_val, "train": len(names)}
    if ends["train"] - ends["val"] < 2:
        raise UsageError(
            f"{len(names)} classes are too few for train, val and test with two classes each: give more classes, or "
            "train/ and test/ folders."
        )
    starts = {"test": 0, "val": n_test, "train": ends["val"]}
    chosen = {split: sorted(names[i] for i in order[starts[split] : ends[split]]) for split in SPLITS}
    return {split: {name: classes[name] for name in of} for split, of in chosen.items() if of}


def check_names(splits: dict[str, Classes]) -> None:
    """Raises UsageError if two classes have the same name, or names that differ only in case."""
    seen: dict[str, tuple[str, str]] = {}
    for split, classes in splits.items():
        for name in classes:
            if twin := seen.get(name.casefold()):
                where = f"{twin[1]} in {twin[0]} and {name} in {split}"
                raise UsageError(f"two classes have the same name except for case ({where}): rename one or merge them.")
            seen[name.casefold()] = split, name


def lines(folder: pathlib.Path, written: dict[str, dict], spec: DatasetSpec) -> list[str]:
    """A line for each file that was written."""
    size = "x".join(map(str, spec.image_shape))
    found = []
    for split, of in written.items():
        counts = [*of["classes"].values()]
        each = f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
        found.append(
            f"{folder / split}.npy: {len(counts)} classes of {each} images, {sum(counts):,} images of {size} in all"
        )
    return found


def next_command(folder: pathlib.Path, spec: DatasetSpec, written: dict[str, dict]) -> str:
    """The command that trains on the data set: a way of at most 5 and a shot that every split has, a suitable rate."""
    rate = 0.01 if spec.height > WIDE_UP_TO else 0.05
    way = min(5, *(len(of["classes"]) for of in written.values()))
    least = min(count for of in written.values() for count in of["classes"].values())
    sizes = "--shot=5 --query=2" if least >= 7 else f"--shot=1 --query={max(1, min(2, least - 1))}"
    split = " --eval_split=val" if "val" in written else ""
    where = "" if folder.parent == pathlib.Path("data") else f" --data_dir={shlex.quote(str(folder.parent))}"
    return (
        f"Next: metadrop train --dataset={spec.name}{where} --way={way} {sizes} --metabatch=4 --inner_lr={rate} "
        f"--n_train_iters=1200{split} --savedir=model"
    )
