"""Finds and reads flag files. They are in the package if it was installed from a wheel, else in the checkout's root."""

import pathlib
from collections.abc import Sequence

from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths, text

PACKAGE = pathlib.Path(__file__).parents[1]
NAME = "flags"
FLAG = "--flagfile", "-flagfile"


def folder() -> pathlib.Path:
    """The folder `flags`, which has a flag file for each experiment."""
    installed = PACKAGE / NAME
    return installed if installed.is_dir() else PACKAGE.parent / NAME


def find(path: str) -> pathlib.Path:
    """The path of a flag file; a file flags/... that is not in the current folder is searched for in this project."""
    first, *rest = pathlib.PurePath(path).parts or (path,)
    ours, given = folder().joinpath(*rest), paths.path(path)
    return ours if first == NAME and rest and not given.exists() and ours.exists() else given


def expanded(arguments: Sequence[str], within: tuple[pathlib.Path, ...] = ()) -> list[str]:
    """Replaces each `--flagfile` in the arguments by its lines, as absl does; # and // start comments.

    absl's own code is not used, because it knows neither `find` nor the encodings of editors on other systems.

    Raises:
      UsageError: a file cannot be read, or includes itself.
    """
    found: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, given, path = argument.partition("=")
        if argument == "--":  # the rest are not flags
            return [*found, argument, *left]
        if name not in FLAG:
            found.append(argument)
            continue
        path = path if given else next(left, "")
        if not path.strip():
            raise UsageError("--flagfile names no file: give a file with one flag per line.")
        file = find(path.strip())
        if file in within:
            raise UsageError(f"--flagfile {file} includes itself: remove that line.")
        lines = [line.strip() for line in text.read(file, "--flagfile").splitlines()]
        found += expanded([line for line in lines if line and not line.startswith(("#", "//"))], (*within, file))
    return found
