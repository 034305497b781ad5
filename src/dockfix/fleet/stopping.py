"""Ctrl-C reaches the main thread alone: what runs in the others, and waits for processes, looks here."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

STOPPED: Final = threading.Event()
"""Whether what is under way in other threads is to be left; it is done again by the next run."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Let a job that is cancelled, or a terminal that is closed, end the run as Ctrl-C does: nothing is left behind."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:  # what is ignored, as nohup does, stays so
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
