"""The nodes of a YAML file with the places where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dockfix.records import record

if TYPE_CHECKING:
    from yaml.resolver import Resolver

MAX_SIZE: Final = 400_000
_MAX_DEPTH: Final = 60
TAG: Final = "tag:yaml.org,2002:"

Path = Sequence[str | int]
"""Keys and positions in sequences, from the top."""


@record
class Node:
    """A node of the document. ``start``/``end`` are offsets in the text, of block collections up to what follows."""

    start: int
    end: int
    column: int
    anchor: str | None
    tag: str | None
    """An explicit tag."""


@record
class Scalar(Node):
    """``resolved`` is the tag that the text has, explicit or not. ``style``: "" plain, a quote, ``|`` or ``>``."""

    value: str
    resolved: str
    style: str

    @property
    def null(self) -> bool:
        """Whether there is nothing at its place."""
        return self.start == self.end and not self.style


@record
class Alias(Node):
    """``*name``."""

    name: str


@record
class Items(Node):
    """A sequence; ``flow`` in brackets."""

    flow: bool
    items: tuple[Node, ...]


@record
class Keys(Node):
    """A mapping, its entries in order, merges (``<<``) included; ``flow`` in braces."""

    flow: bool
    entries: tuple[tuple[Node, Node], ...]

    def find(self, key: str) -> int | None:
        """Return the position of the entry with this key."""
        return next((at for at, (name, _) in enumerate(self.entries) if is_key(name, key)), None)


@record
class Tree:
    """A file that holds one document."""

    root: Node
    anchors: Mapping[str, Node] = MappingProxyType({})
    aliases: frozenset[str] = frozenset()
    """The anchors that something refers to."""

    def at(self, path: Path) -> Node | None:
        """Return the node at *path*; None where there is none or an alias or merge brings it."""
        found: Node | None = self.root
        for step in path:
            if isinstance(found, Keys) and isinstance(step, str):
                at = found.find(step)
                found = found.entries[at][1] if at is not None else None
            elif isinstance(found, Items) and isinstance(step, int):
                found = found.items[step] if 0 <= step < len(found.items) else None
            else:
                return None
        return found

    def merged(self, mapping: Keys) -> frozenset[str] | None:
        """Return the keys that merges bring to *mapping*, None where that is not known."""
        names: set[str] = set()
        for key, value in mapping.entries:
            if not is_key(key, "<<"):
                continue
            for one in value.items if isinstance(value, Items) else (value,):
                source = self.anchors.get(one.name) if isinstance(one, Alias) else one
                if not isinstance(source, Keys):
                    return None
                names |= {name.value for name, _ in source.entries if isinstance(name, Scalar) and name.value != "<<"}
                if any(is_key(name, "<<") for name, _ in source.entries):
                    return None
        return frozenset(names)


@lru_cache(maxsize=32)
def read_tree(text: str) -> Tree | None:
    """Return the nodes of the one document that *text* holds; None where it cannot be read or there are several."""
    if len(text) > MAX_SIZE:
        return None
    from dockfix.syntax.yaml_events import YamlError, events

    try:
        return _Builder(text, events(text)).tree()
    except (YamlError, _Unclear, StopIteration):
        return None


class _Unclear(Exception):
    """The file is not of the plain sort that is edited."""


class _Builder:
    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self.text = text
        self.events = events
        self.offset = int(text.startswith("\ufeff"))
        self.anchors: dict[str, Node] = {}
        self.aliases: set[str] = set()

    def tree(self) -> Tree:
        from yaml.events import DocumentStartEvent, StreamEndEvent

        next(self.events)  # the start of the stream
        if not isinstance(next(self.events), DocumentStartEvent):
            raise _Unclear
        root = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        if not isinstance(next(self.events), StreamEndEvent):
            raise _Unclear
        return Tree(root, self.anchors, frozenset(self.aliases))

    def node(self, event: Any, depth: int) -> Node:
        from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

        if depth > _MAX_DEPTH:
            raise _Unclear
        start, end = event.start_mark.index + self.offset, event.end_mark.index + self.offset
        column = event.start_mark.column
        made: Node
        if isinstance(event, AliasEvent):
            self.aliases.add(str(event.anchor))
            return Alias(start, end, column, None, None, str(event.anchor))
        anchor, tag = event.anchor, event.tag
        if anchor is not None and anchor in self.anchors:
            raise _Unclear  # an alias would mean one of two
        if isinstance(event, ScalarEvent):
            style = event.style or ""
            kind = tag or resolved(event.value, plain=not style)
            made = Scalar(start, end, column, anchor, tag, event.value, kind, style)
        elif isinstance(event, SequenceStartEvent):
            items, end = self.items(depth)
            if (anchor or tag) and items and not event.flow_style:  # begins behind its anchor, on another line
                line = self.text[self.text.rfind("\n", 0, items[0].start) + 1 : items[0].start]
                column = len(line) - len(line.lstrip(" ")) if line.lstrip(" ").startswith("-") else column
            made = Items(start, end, column, anchor, tag, bool(event.flow_style), tuple(items))
        elif isinstance(event, MappingStartEvent):
            items, end = self.items(depth)
            entries = tuple(zip(items[::2], items[1::2], strict=True))
            if (anchor or tag) and entries and not event.flow_style:
                column = entries[0][0].column
            made = Keys(start, end, column, anchor, tag, bool(event.flow_style), entries)
            names = [key.value for key, _ in entries if isinstance(key, Scalar)]
            if len(set(names)) < len(names):
                raise _Unclear
        else:
            raise _Unclear
        if anchor is not None:
            self.anchors[anchor] = made
        return made

    def items(self, depth: int) -> tuple[list[Node], int]:
        from yaml.events import MappingEndEvent, SequenceEndEvent

        found: list[Node] = []
        for event in self.events:
            if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
                end: Any = event.end_mark
                return found, end.index + self.offset
            found.append(self.node(event, depth + 1))
        raise _Unclear


@cache
def _resolver() -> Resolver:
    from yaml.resolver import Resolver

    return Resolver()


def resolved(value: str, *, plain: bool) -> str:
    """Return the tag of a scalar as YAML 1.1 resolves it."""
    from yaml.nodes import ScalarNode

    return str(_resolver().resolve(ScalarNode, value, (plain, not plain)))  # type: ignore[no-untyped-call]


def is_key(node: Node, key: str) -> bool:
    """Return whether *node* is the plain key *key*."""
    return isinstance(node, Scalar) and node.value == key


def walk(node: Node) -> Iterator[Node]:
    """Yield *node* and all nodes in it."""
    yield node
    below = node.items if isinstance(node, Items) else ()
    if isinstance(node, Keys):
        below = tuple(one for entry in node.entries for one in entry)
    for one in below:
        yield from walk(one)
