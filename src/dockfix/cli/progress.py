"""A line on a terminal that says how far long work is; nothing where nobody watches, or where it is short."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_PATIENCE = 1.0
"""Seconds of silence."""


class Progress:
    """Counts *total* things called *noun* on stderr while they are done; the line is gone at the end."""

    def __init__(self, total: int, noun: str) -> None:
        self.total = total
        self.noun = noun
        self.count = 0
        self.start = time.monotonic()
        self.width = 0
        self.shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.width:
            sys.stderr.write(f"\r{' ' * self.width}\r")
            sys.stderr.flush()

    def add(self, count: int) -> None:
        """Take note that *count* more are done."""
        self.count += count
        passed = time.monotonic() - self.start
        if not self.shown or passed < _PATIENCE or not self.count:
            return
        left = round(passed / self.count * (self.total - self.count))
        line = f"{self.count:,} of {self.total:,} {self.noun}, about {left} s left"
        sys.stderr.write(f"\r{line.ljust(self.width)}")
        sys.stderr.flush()
        self.width = max(self.width, len(line))
