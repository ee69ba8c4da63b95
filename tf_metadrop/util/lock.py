"""Locks a savedir, so that only one process at a time works in it; the lock ends with the process that holds it."""

import contextlib
import errno
import pathlib
import sys
from collections.abc import Iterator

import filelock

from tf_metadrop.errors import UsageError

PATIENCE = 60  # seconds
NO_LOCKS = errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS


@contextlib.contextmanager
def held(directory: pathlib.Path, work: str) -> Iterator[None]:
    """Locks the savedir for one kind of work (meta_train, meta_test, ...); other kinds are not blocked.

    Some file systems have no locks, as NFS without a lock daemon. Then a warning says that another process would not be
    noticed.

    Raises:
      UsageError: another process does the same work in this savedir, or the savedir cannot be written to.
    """
    lock = filelock.FileLock(directory / f".{work}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise UsageError(
            f"another process runs --mode={work} in {directory}: wait for its end, or give another --savedir."
        ) from None
    except (OSError, NotImplementedError) as error:  # filelock raises the latter if locks are not implemented
        if isinstance(error, NotImplementedError) or error.errno in NO_LOCKS:
            print(
                f"{directory} is on a file system without locks: make sure that no other process runs --mode={work} "
                "there, because it would not be noticed.",
                file=sys.stderr,
            )
            yield
            return
        raise UsageError(
            f"{directory} cannot be written to ({error.strerror or error}): give another --savedir."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def waited_for(directory: pathlib.Path, name: str) -> Iterator[None]:
    """Locks a folder for a moment, and waits while another process does; without effect where there are no locks."""
    lock = filelock.FileLock(directory / f".{name}.lock", timeout=PATIENCE)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, NotImplementedError):
            stack.enter_context(lock)
        yield
