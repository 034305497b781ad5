"""The names and values of ENV, ARG and LABEL, with the places where they stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Final

from dockfix.records import record
from dockfix.syntax.dockerfile import Dockerfile, Instruction
from dockfix.syntax.edit import Edit, delete, joined

_BLANK: Final = " \t\v\f\r\n"
SPACE: Final = frozenset(f"{_BLANK}\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
"""What separates words: white space by Go's ``unicode.IsSpace``, a no-break space among it."""


@record
class Pair:
    """One ``name=value``. ``raw`` is the logical text of the value, quotes and variables as written.

    ``raw`` is None for an ARG without a default. Offsets are file offsets: ``start`` to ``end`` is the whole pair,
    ``value_start`` to ``value_end`` the value. ``old`` tells the form ``ENV name value``, where the value goes on to
    the end of the instruction.
    """

    name: str
    raw: str | None
    start: int
    end: int
    value_start: int
    value_end: int
    old: bool = False


def pairs_of(instruction: Instruction, escape: str = "\\") -> tuple[Pair, ...]:
    """Return the pairs of an ENV, ARG or LABEL; empty for other instructions, and where BuildKit would refuse it."""
    if instruction.keyword not in ("ENV", "ARG", "LABEL"):
        return ()
    logical = instruction.arguments
    text = logical.text
    spans = list(_words(text, escape))
    pairs = []
    if spans and instruction.keyword != "ARG" and "=" not in text[slice(*spans[0])]:
        stop = _old_name_end(text)
        begin = stop
        while begin < len(text) and text[begin] in _BLANK:
            begin += 1
        if begin == len(text):
            return ()
        start, end = logical.raw_span(0, len(text))
        return (Pair(text[:stop], text[begin:], start, end, logical.raw_start(begin), end, True),)
    for begin, stop in spans:
        name, equals, value = text[begin:stop].partition("=")
        start, end = logical.raw_span(begin, stop)
        if equals:
            if not name:
                return ()
            value_at = begin + len(name) + 1
            value_start = logical.raw_start(value_at) if value_at < stop else end
            pairs.append(Pair(name, value, start, end, value_start, end))
        elif instruction.keyword == "ARG":
            pairs.append(Pair(name, None, start, end, end, end))
        else:
            return ()
    return tuple(pairs)


def without_names(dockerfile: Dockerfile, instructions: Iterable[Instruction], names: Collection[str]) -> list[Edit]:
    """Return the edits that take *names* out of ENVs, ARGs or LABELs: some of the pairs, or a whole instruction.

    A comment above a pair goes with it. A comment above a whole instruction stays where another one of its kind
    follows directly and it does not speak of what goes: it is a heading of both.
    """
    edits: list[Edit] = []
    gone: list[Instruction] = []
    for instruction in instructions:
        pairs = pairs_of(instruction, dockerfile.escape)
        kept = [pair for pair in pairs if pair.name not in names]
        if not kept:
            gone.append(instruction)
            continue
        first = kept[0]
        if first is not pairs[0]:
            last = pairs[pairs.index(first) - 1]
            gap = dockerfile.text[last.end : first.start]
            end = first.start if "#" not in gap else last.end + len(gap) - len(gap.lstrip(" \t"))
            edits.append(delete(pairs[0].start, end))
        for before, pair in pairwise(pairs):
            if pair.name in names and pair.start > first.start:
                edits.append(delete(before.end, pair.end))
    return edits + _without(dockerfile, gone)


def _without(dockerfile: Dockerfile, gone: list[Instruction]) -> list[Edit]:
    from dockfix.build.layout import removals

    alone: list[Instruction] = []
    edits: list[Edit] = []
    following = {one.start: other for one, other in pairwise(dockerfile.nodes)}
    for instruction in reversed(gone):  # one that heads a list stays headed while any of the list does
        other = following.get(instruction.start)
        heads = isinstance(other, Instruction) and other.keyword == instruction.keyword
        heads = heads and not any(one is other for one in alone)
        if isinstance(other, Instruction) and heads and not _own_comment(dockerfile, instruction, other):
            edits.append(delete(instruction.start, instruction.end))
        else:
            alone.append(instruction)
    return joined([*edits, *removals(dockerfile, alone)])


def _own_comment(dockerfile: Dockerfile, instruction: Instruction, following: Instruction) -> bool:
    """Whether the comment above speaks of what *instruction* sets, and not of what the following one sets."""
    import re

    from dockfix.build.layout import block_start

    def words(one: Instruction) -> set[str]:
        return {word for pair in pairs_of(one, dockerfile.escape) for word in pair.name.lower().split("_")}

    comment = dockerfile.text[block_start(dockerfile, instruction) : instruction.start]
    return bool(set(re.findall(r"[a-z]+", comment.lower())) & (words(instruction) - words(following)))


def _old_name_end(text: str) -> int:
    return next((index for index, char in enumerate(text) if char in _BLANK), len(text))


def _words(text: str, escape: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of words; quotes and the escape character protect white space (BuildKit's ``parseWords``)."""
    position, size = 0, len(text)
    while position < size:
        if text[position] in SPACE:
            position += 1
            continue
        start = position
        quote = ""
        while position < size and (quote or text[position] not in SPACE):
            char = text[position]
            if char == escape and quote != "'":
                position += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            position += 1
        position = min(position, size)
        yield start, position
