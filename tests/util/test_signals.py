"""Ctrl-C that gets lost."""

import contextlib
import signal

import pytest

from tf_metadrop.util import signals


def test_an_interrupt_that_gets_lost_is_remembered():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
    try:
        with signals.watched():
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signals.check()
        signals.check()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
