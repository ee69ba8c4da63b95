"""Ctrl-C (SIGINT) and SIGTERM: remembered, since an exception can get lost where libraries call back into Python."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_asked: int | None = None  # the signal that came
_deferring = False


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the machine is taken away."""


OF_SIGNAL: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """While this is open, SIGINT raises KeyboardInterrupt and SIGTERM Terminated, and `check` raises it again.

    Signals are the main thread's; a process that was started to ignore SIGINT, as a script's in the background, does.
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
    """While this is open, a first signal waits for the next `check`: an exception within TensorFlow can crash it."""
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
    """Raises KeyboardInterrupt if SIGINT came, Terminated if SIGTERM did; for every round of long work."""
    if _asked is not None:
        raise OF_SIGNAL[_asked]
