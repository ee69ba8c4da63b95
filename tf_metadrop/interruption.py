"""Ctrl-C and SIGINT: remembered, since a KeyboardInterrupt can get lost where libraries call back into Python."""

import contextlib
import signal
import threading

_asked = False


@contextlib.contextmanager
def watched():
    """While this is open, SIGINT raises KeyboardInterrupt, and `check` raises it again until it has been closed.

    Signals are the main thread's; a process that was started to ignore SIGINT, as a script's in the background, does.
    """
    global _asked
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _asked = False


def _note(number, frame):
    global _asked
    _asked = True
    raise KeyboardInterrupt


def check() -> None:
    """Raises KeyboardInterrupt if SIGINT came; for every round of long work."""
    if _asked:
        raise KeyboardInterrupt
