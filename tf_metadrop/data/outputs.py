"""Writes the files of a data set: all of them, or none."""

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence

from tf_metadrop.errors import UsageError

NAMES = ("train.npy", "val.npy", "test.npy", "classes.json", "dataset.json")
LEFT = 3600  # seconds without a write after which a staging folder counts as left over


def check_free(folder: pathlib.Path) -> None:
    """Raises UsageError if `folder` already holds an output; call it before the long work.

    Every output counts: with an old val.npy beside a new train.npy, validation would use training classes.
    """
    for name in NAMES:
        if os.path.lexists(folder / name):
            raise UsageError(
                f"{folder / name} already exists: move the folder {folder} away, or give another --data_dir."
            )


@contextlib.contextmanager
def staged(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A context manager that gives a new staging folder inside `folder`, and at its end moves the outputs to `folder`.

    If the block raises an exception, `folder` is unchanged.

    Args:
      folder: is created if it is missing.

    Raises:
      UsageError: a file could not be written, or an output of the same name was created meanwhile.
    """
    check_free(folder)
    stage = folder / f".building-{os.getpid()}"
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left(folder)
        stage.mkdir(exist_ok=True)
        yield stage
        check_free(folder)
        for name in NAMES:
            if (stage / name).exists():
                os.replace(stage / name, folder / name)
    except OSError as error:
        reason = error.strerror or error
        if error.filename and not is_ours(pathlib.Path(os.fsdecode(error.filename)).absolute(), folder.absolute()):
            raise UsageError(f"{error.filename} cannot be read ({reason}): give another --source.") from error
        raise UsageError(f"cannot write {folder} ({reason}): make room for it or give another --data_dir.") from error
    finally:
        # The stage may not exist, or its disk may be gone; an earlier error must not be hidden.
        with contextlib.suppress(OSError):
            for name in NAMES:
                (stage / name).unlink(missing_ok=True)
            stage.rmdir()
            if created:
                folder.rmdir()  # fails silently unless it is empty


def is_ours(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path belongs to the output (the folder, or a folder above or in it) and not to the source."""
    return path == folder or folder in path.parents or path in folder.parents


def remove_left(folder: pathlib.Path) -> None:
    """Removes staging folders of killed processes: those without a write for an hour."""
    for stage in folder.glob(".building-*"):
        with contextlib.suppress(OSError):
            files = [*stage.iterdir()]
            if time.time() - max(path.stat().st_mtime for path in (stage, *files)) > LEFT:
                for path in files:
                    path.unlink()
                stage.rmdir()


def write_classes(stage: pathlib.Path, names: Mapping[str, Sequence[str]]) -> None:
    """Writes classes.json: for each split, the class names in the order of its array."""
    text = json.dumps({split: list(classes) for split, classes in names.items()}, indent=0)
    (stage / "classes.json").write_text(text + "\n", encoding="utf-8")
