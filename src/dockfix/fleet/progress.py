"""How far a long run is: one line that changes on a terminal, a line for each repository elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from dockfix.fleet.journal import Standing

STATES: Final = (
    "changed",
    "open",
    "merged",
    "closed",
    "waiting",
    "opening",
    "unchanged",
    "refused",
    "failed",
    "pending",
)


class Progress:
    """Counts what is done, and says so on *stream*."""

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = total
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._start = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._before = 0
        self._drawn = 0.0

    def done(self, name: str, state: str, reason: str = "", *, before: bool = False) -> None:
        """Count a repository that is done; *before*: it was so already, and says nothing of how long one takes."""
        self._counts[state] += 1
        self._before += before
        if not self._live:
            self._stream.write(printable(f"{name}: {state}{f': {reason}' if reason else ''}") + "\n")
            self._stream.flush()
        elif time.monotonic() - self._drawn > 0.1 or self._counts.total() == self._total:
            self._draw()

    def say(self, text: str) -> None:
        """Say something in a line of its own."""
        self._stream.write(("\r\x1b[K" if self._live else "") + printable(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line on the terminal."""
        if self._live:
            self._draw()
            self._stream.write("\n")

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        count = self._counts.total()
        states = ", ".join(f"{number} {state}" for state, number in sorted(self._counts.items()))
        line = f"{self._what} {count}/{self._total}{f': {states}' if states else ''}{self._estimate(count)}"
        self._stream.write(f"\r\x1b[K{line[: _width(self._stream) - 1]}")
        self._stream.flush()

    def _estimate(self, count: int) -> str:
        left, own = self._total - count, count - self._before
        if not left or own < 2:
            return ""
        return f"; about {duration((time.monotonic() - self._start) / own * left)} left"


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    """Return *text* on one line, without what could play tricks on a terminal."""
    from dockfix.report.text import harmless

    return harmless(" ".join(text.split()))


def _fixes(count: int) -> str:
    return f"{count} fix{'' if count == 1 else 'es'}"


def table(standings: Iterable[Standing], *, everything: bool = False) -> Iterator[str]:
    """Yield the final table: counts by state, and the repositories that need a look."""
    counts: Counter[str] = Counter()
    fixes = 0
    shown: list[str] = []
    more = 0
    for one in standings:
        counts[one.state] += 1
        fixes += one.fixes
        if everything or one.state == "failed":
            if len(shown) < 50 or everything:
                what = one.reason or (_fixes(one.fixes) if one.fixes else "")
                line = f"  {one.state:9}  {printable('  '.join(filter(None, (one.name, one.pull_url, what))))}"
                if everything:
                    yield f"{line[2:]}\n"
                else:
                    shown.append(line)
            else:
                more += 1
    yield from (f"{state:10} {counts[state]:6}\n" for state in STATES if counts[state])
    yield f"{'total':10} {counts.total():6}   {_fixes(fixes)}\n"
    yield from (f"{line}\n" for line in shown)
    if more:
        yield f"  and {more} more; `dockfix fleet report` shows all\n"
