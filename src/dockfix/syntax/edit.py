"""Edits: the only way in which dockfix changes text.

Files are handled as ``str`` decoded from UTF-8 with ``surrogateescape``: every byte sequence, valid UTF-8 or not,
survives ``encode(decode(data))`` unchanged, and offsets are offsets into that ``str``.
"""

from __future__ import annotations

from collections.abc import Iterable

from dockfix.records import record


def decode(data: bytes) -> str:
    """Return the text of *data*; ``encode`` gives back exactly the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of *text*, the inverse of ``decode``."""
    return text.encode("utf-8", "surrogateescape")


class OverlapError(ValueError):
    """Two edits touch the same text, so their result would depend on their order."""


@record
class Edit:
    """Replace ``text[start:end]`` by *replacement*. An insertion has ``start == end``."""

    start: int
    end: int
    replacement: str

    def __init__(self, start: int, end: int, replacement: str) -> None:
        if not 0 <= start <= end:
            raise ValueError(f"not a span: {start}..{end}")
        vars(self).update(start=start, end=end, replacement=replacement)

    def __lt__(self, other: Edit) -> bool:
        return (self.start, self.end, self.replacement) < (other.start, other.end, other.replacement)


def insert(at: int, text: str) -> Edit:
    """Return the edit that inserts *text* at offset *at*."""
    return Edit(at, at, text)


def delete(start: int, end: int) -> Edit:
    """Return the edit that removes ``text[start:end]``."""
    return Edit(start, end, "")


def joined(deletions: Iterable[Edit]) -> list[Edit]:
    """Return the deletions in order, those that share text as one.

    Two that each remove lines may share a line ending: where a file's last line has none, it takes the one above along.
    """
    result: list[Edit] = []
    for one in sorted(deletions):
        if result and one.start < result[-1].end:
            result[-1] = delete(result[-1].start, max(result[-1].end, one.end))
        else:
            result.append(one)
    return result


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with all *edits* applied; their offsets refer to *text* as given.

    Insertions at one offset keep the order in which they were given, before a replacement that starts there.
    Raises ``OverlapError`` when two edits share a character, or one lies outside of *text*.
    """
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < position:
            raise OverlapError(f"edit at {edit.start}..{edit.end} overlaps one that ends at {position}")
        if edit.end > len(text):
            raise OverlapError(f"edit at {edit.start}..{edit.end} lies behind the end of the text, {len(text)}")
        parts += (text[position : edit.start], edit.replacement)
        position = edit.end
    parts.append(text[position:])
    return "".join(parts)


def overlaps(edits: Iterable[Edit], others: Iterable[Edit]) -> bool:
    """Return whether an edit of one set touches an edit of the other, or inserts at the same place."""
    mine = list(edits)
    for other in others:
        for edit in mine:
            if edit.start == other.start or (edit.start < other.end and other.start < edit.end):
                return True
    return False
