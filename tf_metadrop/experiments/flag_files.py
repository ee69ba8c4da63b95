"""Where the flag files are: in the package where it was installed from a wheel, on top of the checkout elsewhere."""

import pathlib
from collections.abc import Sequence

PACKAGE = pathlib.Path(__file__).parents[1]
NAME = "flags"


def folder() -> pathlib.Path:
    """The folder `flags`, with a flag file for each experiment."""
    installed = PACKAGE / NAME
    return installed if installed.is_dir() else PACKAGE.parent / NAME


def find(path: str) -> str:
    """The path of a flag file; one called flags/... that is not below the current folder is this project's own."""
    first, *rest = pathlib.PurePath(path).parts or (path,)
    ours = folder().joinpath(*rest)
    return str(ours) if first == NAME and rest and not pathlib.Path(path).exists() and ours.exists() else path


def found(argv: Sequence[str]) -> list[str]:
    """These arguments with every `--flagfile` as `find` has it."""
    arguments = list(argv)
    for place, argument in enumerate(arguments):
        name, given, path = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            if given:
                arguments[place] = f"{name}={find(path)}"
            elif place + 1 < len(arguments):
                arguments[place + 1] = find(arguments[place + 1])
    return arguments
