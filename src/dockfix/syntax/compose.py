"""YAML as plain data with positions: compose files, workflows. Nothing in it is ever executed or constructed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dockfix.records import record

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

MAX_SIZE: Final = 400_000
_MAX_VALUES: Final = 50_000
_MAX_DEPTH: Final = 60

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
    """By path of keys, to a depth of four; keys that a merge (``<<``) brings have none."""


class _TooLarge(Exception):
    """More values than any hand-written file has (aliases of aliases)."""


@lru_cache(maxsize=64)
def read_yaml(text: str) -> Document | None:
    """Read the first YAML document of *text* when it is a mapping; None where it cannot be read."""
    if len(text) > MAX_SIZE:
        return None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    offset = 1 if text.startswith("\ufeff") else 0
    try:
        node = next(iter(yaml.compose_all(text[offset:], Loader=loader)), None)
        if not isinstance(node, yaml.MappingNode):
            return None
        reader = _Reader(text, offset)
        data = reader.mapping(node, (), 0)
    except (yaml.YAMLError, _TooLarge, UnicodeError, ValueError, RecursionError):
        return None
    return Document(data, reader.positions)


class _Reader:
    def __init__(self, text: str, offset: int) -> None:
        self.offset = offset
        self.left = _MAX_VALUES
        self.positions: dict[tuple[str, ...], Entry] = {}

    def value(self, node: Node, path: tuple[str, ...] | None, depth: int) -> Value:
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode

        self.left -= 1
        if self.left < 0 or depth > _MAX_DEPTH:
            raise _TooLarge
        if isinstance(node, MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return tuple(self.value(item, None, depth + 1) for item in node.value)
        if isinstance(node, ScalarNode):
            return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
        return None

    def mapping(self, node: MappingNode, path: tuple[str, ...] | None, depth: int) -> dict[str, Value]:
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode

        merged: dict[str, Value] = {}
        own: dict[str, Value] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                continue
            name = str(key.value)
            if name == "<<" and key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if isinstance(value, SequenceNode) else [value]
                for source in sources:
                    if isinstance(source, MappingNode):
                        self.left -= 1
                        if self.left < 0 or depth > _MAX_DEPTH:
                            raise _TooLarge
                        merged = self.mapping(source, None, depth + 1) | merged
                continue
            below = None
            if path is not None and len(path) < 4:
                below = (*path, name)
                self.positions[below] = Entry(
                    key.start_mark.line + 1,
                    key.start_mark.column,
                    key.start_mark.index + self.offset,
                    value.start_mark.index + self.offset,
                    value.end_mark.index + self.offset,
                    bool(node.flow_style),
                )
            own[name] = self.value(value, below, depth + 1)
        return merged | own
