"""dataset.json: what a data set is that a user made, beside its arrays, in a savedir and in a classifier's folder."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

from tf_metadrop.data.spec import DATASETS, DatasetSpec
from tf_metadrop.errors import UsageError
from tf_metadrop.util import text

FILE = "dataset.json"
FORMAT = 1
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
FITS = "crop", "pad", "stretch"
KEPT = "name", "height", "width", "channels", "filters", "drawings", "fit"  # of a DatasetSpec
_seen: dict[str, DatasetSpec] = {}  # where neither folder has one, as for a classifier that came by pickle


def find_spec(name: str, *folders: pathlib.Path) -> DatasetSpec:
    """The data set of this name: one of the program's own, or one that a dataset.json in these folders describes.

    Raises:
      UsageError: there is none, or the file is broken.
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
        f"--dataset={name} is not known: choose one of {', '.join(DATASETS)}, or make it by `metadrop data "
        f"--source=DIR --name={name}` ({folders[-1] / FILE} is missing)."
    )


def remember(spec: DatasetSpec) -> DatasetSpec:
    """Lets `find_spec` find it in this process where no folder has it."""
    if spec.own:
        _seen[spec.name] = spec
    return spec


def read(path: pathlib.Path) -> DatasetSpec:
    """The data set that this file describes.

    Raises:
      UsageError: it is broken, or of another version.
    """
    return described(content(path), path)


def content(path: pathlib.Path) -> dict[str, Any]:
    """What the file holds.

    Raises:
      UsageError: it is broken, or of another version.
    """
    try:
        found = json.loads(text.read(path))
        if found["format"] != FORMAT:
            raise UsageError(f"{path} has the format {found['format']}, this version reads {FORMAT}: make it again.")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no description of a data set ({error!r}): make it again.") from error


def described(found: dict[str, Any], path: pathlib.Path) -> DatasetSpec:
    """The data set of a dataset.json's content."""
    values: dict[str, Any] = {name: found.get(name) for name in KEPT}
    sizes = [values[name] for name in ("height", "width", "channels", "filters")]
    usable = isinstance(values["name"], str) and NAME.fullmatch(values["name"]) and values["fit"] in FITS
    if not usable or not all(type(size) is int and size > 0 for size in sizes) or values["channels"] not in (1, 3):
        raise UsageError(f"{path} has no usable name, size, channels or fit: make the data set again.")
    splits = found.get("splits", {})
    counts = {split: len(of["classes"]) for split, of in splits.items()} if isinstance(splits, dict) else {}
    return DatasetSpec(classes=counts, instances=0, **{**values, "drawings": bool(values["drawings"])})


def write(folder: pathlib.Path, spec: DatasetSpec, **more: Any) -> None:
    """Writes <folder>/dataset.json; `more`: what else is to be said of it."""
    found = {"format": FORMAT, **{name: getattr(spec, name) for name in KEPT}, **more}
    (folder / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
