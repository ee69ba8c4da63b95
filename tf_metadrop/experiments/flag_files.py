"""Where the flag files are: in the package where it was installed from a wheel, on top of the checkout elsewhere."""

import pathlib
from collections.abc import Sequence

from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths, text

PACKAGE = pathlib.Path(__file__).parents[1]
NAME = "flags"
FLAG = "--flagfile", "-flagfile"


def folder() -> pathlib.Path:
    """The folder `flags`, with a flag file for each experiment."""
    installed = PACKAGE / NAME
    return installed if installed.is_dir() else PACKAGE.parent / NAME


def find(path: str) -> pathlib.Path:
    """The path of a flag file; one called flags/... that is not below the current folder is this project's own."""
    first, *rest = pathlib.PurePath(path).parts or (path,)
    ours, given = folder().joinpath(*rest), paths.path(path)
    return ours if first == NAME and rest and not given.exists() and ours.exists() else given


def expanded(arguments: Sequence[str], within: tuple[pathlib.Path, ...] = ()) -> list[str]:
    """These arguments with the lines of each `--flagfile` in its place, as absl reads them; # and // are comments.

    Not left to absl, which knows neither `find` nor the encodings of other systems' editors.

    Raises:
      UsageError: a file cannot be read, or is within itself.
    """
    found: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, given, path = argument.partition("=")
        if argument == "--":  # what follows is no flag
            return [*found, argument, *left]
        if name not in FLAG:
            found.append(argument)
            continue
        path = path if given else next(left, "")
        if not path.strip():
            raise UsageError("--flagfile names no file: give one with a flag per line.")
        file = find(path.strip())
        if file in within:
            raise UsageError(f"--flagfile {file} is within itself: take that line out.")
        lines = [line.strip() for line in text.read(file, "--flagfile").splitlines()]
        found += expanded([line for line in lines if line and not line.startswith(("#", "//"))], (*within, file))
    return found
