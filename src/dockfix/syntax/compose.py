"""YAML as plain data with positions: compose files, workflows. Nothing in it is ever executed or constructed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from dockfix.records import record

MAX_SIZE: Final = 400_000
_MAX_VALUES: Final = 50_000
_MAX_DEPTH: Final = 60
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})

Value = str | None | tuple["Value", ...] | Mapping[str, "Value"]
"""Scalars stay as they are written (None for null), sequences are tuples."""


@record
class Entry:
    """Where ``key: value`` of a mapping stands: the key's line (from 1) and column, and the span of the value.

    ``flow`` tells that the mapping is written in braces.
    """

    line: int
    column: int
    key_start: int
    start: int
    end: int
    flow: bool


@record
class Document:
    """The first document of a YAML file."""

    data: Mapping[str, Value]
    positions: Mapping[tuple[str, ...], Entry]
    """By path of keys, to a depth of four; keys that a merge (``<<``) or an alias brings have none."""


class _TooLarge(Exception):
    """More values than any hand-written file has (aliases of aliases)."""


@lru_cache(maxsize=256)
def read_yaml(text: str) -> Document | None:
    """Read the first YAML document of *text* when it is a mapping; None where it cannot be read."""
    if len(text) > MAX_SIZE:
        return None
    from dockfix.syntax.yaml_events import YamlError, events

    reader = _Reader(events(text), text.startswith("\ufeff"))
    try:
        data = reader.document()
    except (YamlError, _TooLarge):
        return None
    return Document(data, reader.positions) if isinstance(data, Mapping) else None


class _Reader:
    def __init__(self, events: Iterator[Any], offset: int) -> None:
        self.events = events
        self.offset = offset
        self.left = _MAX_VALUES
        self.end = 0
        """The offset behind what was read last."""
        self.positions: dict[tuple[str, ...], Entry] = {}
        self.anchors: dict[str, tuple[Value, int]] = {}
        """What they name, and how many values that are."""

    def document(self) -> Value:
        from yaml.events import DocumentStartEvent

        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                value = self.value(next(self.events), (), 0)
                next(self.events)  # what ends the document may be wrong
                return value
        return None

    def value(self, event: Any, path: tuple[str, ...] | None, depth: int) -> Value:
        """Return what begins with *event*, and read the events to its end."""
        from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

        before = self.left
        self.left -= 1
        value: Value = None
        if isinstance(event, AliasEvent):  # inside of its own anchor it names nothing yet
            value, size = self.anchors.get(str(event.anchor), (None, 1))
            self.left -= size
        if self.left < 0 or depth > _MAX_DEPTH:
            raise _TooLarge
        last = event
        if isinstance(event, ScalarEvent):
            value = None if _is_null(event) else str(event.value)
        elif isinstance(event, MappingStartEvent):
            value, last = self.mapping(event, path, depth)
        elif isinstance(event, SequenceStartEvent):
            items = []
            while not isinstance(last := next(self.events), SequenceEndEvent):
                items.append(self.value(last, None, depth + 1))
            value = tuple(items)
        if event.anchor is not None and not isinstance(event, AliasEvent):
            self.anchors[event.anchor] = (value, before - self.left)
        self.end = last.end_mark.index + self.offset
        return value

    def mapping(self, event: Any, path: tuple[str, ...] | None, depth: int) -> tuple[dict[str, Value], Any]:
        """Return the mapping, and the event of its end."""
        from yaml.events import MappingEndEvent, ScalarEvent

        merged: dict[str, Value] = {}
        own: dict[str, Value] = {}
        while not isinstance(key := next(self.events), MappingEndEvent):
            named = self.value(key, None, depth + 1)
            first = next(self.events)
            if not isinstance(key, ScalarEvent):
                self.value(first, None, depth + 1)
                continue
            name = str(key.value)
            if name == "<<" and not key.style and named is not None:
                source = self.value(first, None, depth + 1)
                for one in source if isinstance(source, tuple) else (source,):
                    if isinstance(one, Mapping):
                        merged = {**one, **merged}
                continue
            below = (*path, name) if path is not None and len(path) < 4 else None
            own[name] = self.value(first, below, depth + 1)
            if below is not None:
                at: Any = key.start_mark
                self.positions[below] = Entry(
                    at.line + 1,
                    at.column,
                    at.index + self.offset,
                    first.start_mark.index + self.offset,
                    self.end,
                    bool(event.flow_style),
                )
        return {**merged, **own}, key


def _is_null(event: Any) -> bool:
    if event.tag is not None:
        return bool(event.tag == "tag:yaml.org,2002:null")
    return not event.style and event.value in _NULL
