"""Writes a file so that a reader, and a process that is killed, find the old content or the new one, and no part."""

import os
import pathlib
from collections.abc import Callable

# A file in these folders is a stream of this process, also where it leads to a file.
STREAMS = "/dev", "/dev/fd", "/proc/self/fd"


def write(path: pathlib.Path, data: bytes, before: Callable[[], None] = lambda: None) -> None:
    """Writes a file atomically; if it replaces an old file, calls `before` just before it does so.

    A link stays one: the file that it names is written. A pipe or a device, as /dev/stdout, is written as it is.

    Raises:
      OSError: the file cannot be written; the old one is unchanged.
    """
    path = path.absolute()
    if path.exists() and (not path.is_file() or str(path.parent) in STREAMS):
        with open(path, "ab") as stream:  # of a folder, this raises IsADirectoryError
            stream.write(data)
        return
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if path.exists():
        before()
    os.replace(temporary, path)
