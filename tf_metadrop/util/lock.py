"""One process at a time in a savedir: a lock that ends with the process that holds it."""

import contextlib
import pathlib
from collections.abc import Iterator

import filelock

from tf_metadrop.errors import UsageError


@contextlib.contextmanager
def held(directory: pathlib.Path, work: str) -> Iterator[None]:
    """Holds the savedir for this kind of work (meta_train, meta_test, ...): another kind may go on beside it.

    Raises:
      UsageError: another process does the same in this savedir, or it cannot be written to.
    """
    lock = filelock.FileLock(directory / f".{work}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise UsageError(
            f"another process runs --mode={work} in {directory}: wait for its end, or give another --savedir."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be written to ({error.strerror or error}): give a --savedir of yours."
        ) from error
    try:
        yield
    finally:
        lock.release()
