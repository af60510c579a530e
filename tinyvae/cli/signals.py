"""The signals that ask a command to end, Ctrl-C's, SIGTERM and SIGHUP: each is a KeyboardInterrupt, and none comes
between while results are written."""

import contextlib
import math
import signal
import threading
import time

__all__ = ["as_interrupts", "ignored", "last"]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is unknown to Windows
PAUSE = 1.0  # seconds after a signal in which another one says nothing new: Ctrl-C twice is no second wish
_state = {}


@contextlib.contextmanager
def as_interrupts():
    """A context in which each of these signals raises KeyboardInterrupt, unless somebody else already handles it.

    Outside the main thread, which alone gets signals, nothing is changed.

    Yields
    ------
    None
    """
    _state.update(last=None, when=-math.inf, ignored=False)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in [getattr(signal, name) for name in NAMES if hasattr(signal, name)]:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # nohup ignores one
                before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ignored():
    """A context for saving: none of these signals ends it half-way.

    Yields
    ------
    None
    """
    _state["ignored"] = True
    try:
        yield
    finally:
        _state["ignored"] = False


def last():
    """The signal that ended the command.

    Returns
    -------
    signal.Signals
        Ctrl-C's where none was noted.
    """
    return signal.Signals(_state.get("last") or signal.SIGINT)


def _interrupt(number, frame):
    if _state["ignored"] or time.monotonic() - _state["when"] < PAUSE:
        return
    _state.update(last=number, when=time.monotonic())
    raise KeyboardInterrupt
