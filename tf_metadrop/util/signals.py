"""SIGINT (Ctrl-C), SIGTERM and SIGHUP are remembered, because an exception can be lost in a library's callback."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_asked: int | None = None  # the last signal
_deferring = False


class Terminated(KeyboardInterrupt):
    """Raised after SIGTERM, for example when a cluster ends a job."""


class HungUp(KeyboardInterrupt):
    """Raised after SIGHUP: the terminal is closed, or the connection to the machine is lost."""


OF_SIGNAL: dict[int, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: HungUp
}  # fmt: skip


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """In this context, SIGINT raises KeyboardInterrupt, SIGTERM Terminated and SIGHUP HungUp; `check` raises it again.

    Only the main thread gets signals. A process that was started with SIGINT ignored, as in the background of a script,
    or with SIGHUP ignored, as by nohup, still ignores it.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in OF_SIGNAL if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _note) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = None


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In this context, a first signal waits for the next `check`: an exception inside TensorFlow can crash it."""
    global _deferring
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
    check()


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    first, _asked = _asked is None, number
    if not (first and _deferring):
        raise OF_SIGNAL[number]


def check() -> None:
    """Raises what `watched` says after a signal; call it in every round of long work."""
    if _asked is not None:
        raise OF_SIGNAL[_asked]
