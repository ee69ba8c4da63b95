"""dataset.json: the description of a user's data set, beside its arrays, in a savedir and in a classifier's folder."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any, NamedTuple

from tf_metadrop.data.spec import DATASETS, DatasetSpec
from tf_metadrop.errors import UsageError
from tf_metadrop.util import atomic, text

FILE = "dataset.json"
FORMAT = 1
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
FITS = "crop", "pad", "stretch"
KEPT = "name", "height", "width", "channels", "filters", "drawings", "fit"  # fields of a DatasetSpec in the file
_seen: dict[str, DatasetSpec] = {}  # used if no folder has a dataset.json, as for a pickled classifier


class ListedSplit(NamedTuple):
    """A split in a dataset.json."""

    classes: dict[str, int]  # the number of images by the name of the class, in the order of the file of images
    digest: str  # of the images


def find_spec(name: str, *folders: pathlib.Path) -> DatasetSpec:
    """Finds the data set of this name: one of the program's own, or one that a dataset.json in these folders describes.

    Raises:
      UsageError: there is no such data set, or the file is broken.
    """
    if name in DATASETS:
        return DATASETS[name]
    for folder in folders:
        if (folder / FILE).is_file():
            found = read(folder / FILE)
            if found.name == name:
                return remember(found)
    if name in _seen:
        return _seen[name]
    raise UsageError(
        f"--dataset={name} is not known: choose one of {', '.join(DATASETS)}, or make it with `metadrop data "
        f"--source=DIR --name={name}` ({folders[-1] / FILE} is missing)."
    )


def remember(spec: DatasetSpec) -> DatasetSpec:
    """Lets `find_spec` find a data set in this process even if no folder has a dataset.json; returns the data set."""
    if spec.own:
        _seen[spec.name] = spec
    return spec


def read(path: pathlib.Path) -> DatasetSpec:
    """Reads the data set that a file describes.

    Raises:
      UsageError: the file is broken, or another version wrote it.
    """
    return described(content(path), path)


def content(path: pathlib.Path) -> dict[str, Any]:
    """Reads the content of a file.

    Raises:
      UsageError: the file is broken, or another version wrote it.
    """
    try:
        found = json.loads(text.read(path))
        if found["format"] != FORMAT:
            raise UsageError(f"{path} has format {found['format']}, but this version reads {FORMAT}: make it again.")
        return found
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a description of a data set ({error!r}): make it again.") from error


def described(found: dict[str, Any], path: pathlib.Path) -> DatasetSpec:
    """The data set that the content of a dataset.json describes; raises UsageError if it is not usable."""
    values: dict[str, Any] = {name: found.get(name) for name in KEPT}
    sizes = [values[name] for name in ("height", "width", "channels", "filters")]
    usable = isinstance(values["name"], str) and NAME.fullmatch(values["name"]) and values["fit"] in FITS
    if not usable or not all(type(size) is int and size > 0 for size in sizes) or values["channels"] not in (1, 3):
        raise UsageError(f"{path} has no usable name, size, channels or fit: make the data set again.")
    counts = {split: len(of.classes) for split, of in splits_of(found, path).items()}
    return DatasetSpec(classes=counts, instances=0, **{**values, "drawings": bool(values["drawings"])})


def splits_of(found: dict[str, Any], path: pathlib.Path) -> dict[str, ListedSplit]:
    """The splits that the content of a dataset.json describes; none in a savedir, which has no images.

    Raises:
      UsageError: they are not as `data.own` writes them.
    """
    splits = found.get("splits", {})
    try:
        described = {split: ListedSplit(dict(of["classes"]), of["digest"]) for split, of in splits.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        described = {"": ListedSplit({}, "")}
    for of in described.values():
        if not (of.classes and all(type(n) is int and n > 0 for n in of.classes.values()) and type(of.digest) is str):
            raise UsageError(f"{path} has no usable splits, with classes and a digest: make the data set again.")
    return described


def write(folder: pathlib.Path, spec: DatasetSpec, **more: Any) -> None:
    """Writes <folder>/dataset.json; `more` has additional entries."""
    found = {"format": FORMAT, **{name: getattr(spec, name) for name in KEPT}, **more}
    atomic.write(folder / FILE, (json.dumps(found, indent=1) + "\n").encode())
