"""What goes on, for the one who waits: one changing line on a terminal, a line a step elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO


class Progress:
    """Tells which Dockfile, which image, which step, and how long it has taken. It writes to stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._start = time.monotonic()
        self._phase = ""
        self._text = ""
        self._shown = 0.0

    def phase(self, text: str) -> None:
        """Say what begins now."""
        self._phase, self._text, self._start = text, "", time.monotonic()
        if self._live:
            self._draw("")
        else:
            print(f"dockfix: {text}", file=self._stream, flush=True)

    def step(self, text: str) -> None:
        """Say what it is doing; nothing is shown where there is no terminal."""
        self._text = text
        if self._live and time.monotonic() - self._shown > 0.1:
            self._draw(text)

    def tick(self) -> None:
        """Show that time passes."""
        if self._live and self._phase and time.monotonic() - self._shown > 1.0:
            self._draw(self._text)

    def end(self) -> None:
        """Take the changing line away."""
        self._phase = ""
        if self._live:
            print("\r\x1b[K", end="", file=self._stream, flush=True)

    def _draw(self, text: str) -> None:
        self._shown = time.monotonic()
        seconds = int(self._shown - self._start)
        try:
            width = os.get_terminal_size(self._stream.fileno()).columns or 80  # 0: not known
        except (OSError, ValueError):
            width = 80
        line = f"{seconds // 60}:{seconds % 60:02} {self._phase}" + (f": {' '.join(text.split())}" if text else "")
        line = "".join(character if character.isprintable() else "?" for character in line)
        print(f"\r\x1b[K{line[: width - 1]}", end="", file=self._stream, flush=True)
