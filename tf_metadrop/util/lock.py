"""One process at a time in a savedir: a lock that ends with the process that holds it."""

import contextlib
import errno
import pathlib
import sys
from collections.abc import Iterator

import filelock

from tf_metadrop.errors import UsageError

NO_LOCKS = errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS


@contextlib.contextmanager
def held(directory: pathlib.Path, work: str) -> Iterator[None]:
    """Holds the savedir for this kind of work (meta_train, meta_test, ...): another kind may go on beside it.

    A file system may have no locks, as NFS without a lock daemon: then two processes are not told apart, which is said.

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
    except (OSError, NotImplementedError) as error:  # the latter: filelock where locks are not implemented
        if isinstance(error, NotImplementedError) or error.errno in NO_LOCKS:
            print(
                f"{directory} is on a file system without locks: see to it that no other process runs --mode={work} "
                "there, it would not be noticed.",
                file=sys.stderr,
            )
            yield
            return
        raise UsageError(
            f"{directory} cannot be written to ({error.strerror or error}): give a --savedir of yours."
        ) from error
    try:
        yield
    finally:
        lock.release()
