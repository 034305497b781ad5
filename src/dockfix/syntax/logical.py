"""Text that stands in pieces in the file: what is left of an instruction without continuations and comments."""

from __future__ import annotations

from bisect import bisect_right

from dockfix.records import record


@record
class Logical:
    """Text that was put together from pieces of the file, with the way back to their offsets.

    ``pieces`` holds ``(offset in text, offset in the file, length)``, in order and without a gap in ``text``.
    """

    text: str
    pieces: tuple[tuple[int, int, int], ...]

    def raw_start(self, offset: int) -> int:
        """Return the file offset of the character at *offset*; for ``len(text)`` the end of the last piece."""
        index = max(bisect_right(self.pieces, (offset, 1 << 62, 0)) - 1, 0)
        begin, raw, length = self.pieces[index]
        return raw + min(offset - begin, length)

    def raw_end(self, offset: int) -> int:
        """Return the file offset just behind the character at *offset* - 1."""
        return self.raw_start(offset - 1) + 1 if offset else self.raw_start(0)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the file span of ``text[start:end]``; it may hold continuations and comments in its middle."""
        return (self.raw_start(start), self.raw_end(end)) if end > start else (self.raw_start(start),) * 2

    def slice(self, start: int, end: int | None = None) -> Logical:
        """Return ``text[start:end]`` with its own mapping."""
        end = len(self.text) if end is None else end
        pieces = [
            (max(begin, start) - start, raw + max(start - begin, 0), min(begin + length, end) - max(begin, start))
            for begin, raw, length in self.pieces
            if begin < end and begin + length > start
        ]
        if not pieces:
            at = self.raw_start(start)
            pieces = [(0, at, 0)]
        return Logical(self.text[start:end], tuple(pieces))
