"""Ending a command when it is told to: between two steps, with nothing left in the middle."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
NAP = 1.0  # seconds: how long a command that waits may go on after it was told to stop


class Stop:
    """Whether somebody wants the command to end."""

    def __init__(self) -> None:
        self.is_asked_for = False

    def sleep(self, seconds: int) -> None:
        """Sleep so long, or until somebody wants it to end."""
        ends = time.monotonic() + seconds
        # In naps: a handler that returns does not end a sleep (PEP 475), and a lock that it could
        # set instead might be held by what it interrupted.
        while not self.is_asked_for and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, NAP))


@contextmanager
def on_signals() -> Iterator[Stop]:
    """
    ``with on_signals() as stop:`` SIGTERM and SIGINT set ``stop.is_asked_for``.

    Only the first: the second does what it would have done, for whoever cannot wait. In a thread
    that is not the main one signals are left alone, as Python has it.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        restore()
        stop.is_asked_for = True

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
