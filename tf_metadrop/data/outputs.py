"""Writing of a data set's files all at once or not at all."""

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence

from tf_metadrop.errors import UsageError

NAMES = ("train.npy", "val.npy", "test.npy", "classes.json", "dataset.json")
LEFT = 3600  # seconds


def check_free(folder: pathlib.Path) -> None:
    """Raises UsageError if `folder` already holds an output: before the long work, so that nothing is overwritten.

    Any of them counts: an old val.npy beside a new train.npy would validate on training classes.
    """
    for name in NAMES:
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} already exists: remove it or give another --data_dir.")


@contextlib.contextmanager
def staged(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a new folder inside `folder` to write outputs in; at the end moves them into `folder`.

    If the block raises, `folder` is left as it was.

    Args:
      folder: created if missing.

    Raises:
      UsageError: a file could not be written, or an output of the same name came into being meanwhile.
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
        # The stage may not exist, or its disk may be gone; what matters is the error already on its way.
        with contextlib.suppress(OSError):
            for name in NAMES:
                (stage / name).unlink(missing_ok=True)
            stage.rmdir()
            if created:
                folder.rmdir()  # does nothing unless it is empty


def is_ours(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path is in the folder, or above it where the folder was to be made: not of the source."""
    return path == folder or folder in path.parents or path in folder.parents


def remove_left(folder: pathlib.Path) -> None:
    """Removes the stages of processes that were killed: of those that have not written for an hour."""
    for stage in folder.glob(".building-*"):
        with contextlib.suppress(OSError):
            files = [*stage.iterdir()]
            if time.time() - max(path.stat().st_mtime for path in (stage, *files)) > LEFT:
                for path in files:
                    path.unlink()
                stage.rmdir()


def write_classes(stage: pathlib.Path, names: Mapping[str, Sequence[str]]) -> None:
    """Writes classes.json: for each split the class names in the order of its array."""
    text = json.dumps({split: list(classes) for split, classes in names.items()}, indent=0)
    (stage / "classes.json").write_text(text + "\n", encoding="utf-8")
