"""How new text is written in a YAML file: quotes, indentation, line ends, as what is around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dockfix.syntax.patterns import pattern
from dockfix.syntax.yaml_tree import TAG, Items, Keys, Path, Scalar, Tree, resolved, walk

New = str | int | bool | None | Mapping[str, "New"] | list["New"] | tuple["New", ...]
"""A value to write; see ``yaml_edit``."""
_PLAIN: Final = pattern(r"[A-Za-z0-9_./$*-][^\n\r\t\x00-\x1f\"'`]*\Z")
_TRUTH: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "~"})


def scalar_text(value: str, *, flow: bool = False, style: str = "") -> str | None:
    """Return *value* as YAML writes it in this style, in other quotes where that cannot be; None for several lines."""
    if any(char < " " or char in "\x7f\x85\u2028\u2029\ufeff" or "\ud800" <= char <= "\udfff" for char in value):
        return None
    single = "'" + value.replace("'", "''") + "'"
    double = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if style == "'":
        return single
    if style == '"':
        return double
    if _may_be_plain(value, flow) and resolved(value, plain=True) == f"{TAG}str":
        return value
    return double if "\\" not in value or "'" in value else single


def _may_be_plain(value: str, flow: bool) -> bool:
    if not _PLAIN.match(value) or value.lower() in _TRUTH or re.search(r":(?:\s|\Z)|\s#|\s\Z", value):
        return False
    if value.startswith(("*", "- ", "---")) or value == "-":
        return False
    return not (flow and re.search(r"[][{},:?]", value))


class Layout:
    """How the file is laid out around the mapping at a path."""

    def __init__(self, text: str, tree: Tree, path: Path) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        here = [tree.at(path[:size]) for size in range(len(path), -1, -1)]
        steps = [
            value.column - node.column
            for node in here
            if isinstance(node, Keys) and not node.flow
            for _, value in node.entries
            if isinstance(value, Keys) and not value.flow and value.column > node.column
        ]
        self.step = steps[0] if steps else 2
        lists = [
            value.column - node.column
            for node in (*here, *walk(tree.root))
            if isinstance(node, Keys) and not node.flow
            for _, value in node.entries
            if isinstance(value, Items) and not value.flow
        ]
        self.list_step = lists[0] if lists else self.step

    def entry(self, key: str, value: New, column: int, style: str = "") -> list[str]:
        """Return the lines of a block entry."""
        head, lines = self.value(value, column, style)
        return [f"{' ' * column}{scalar_text(key)}:{head}", *lines]

    def item(self, value: New, column: int, style: str = "") -> list[str]:
        """Return the lines of an item of a block sequence."""
        if isinstance(value, Mapping) and value:
            lines = [line for key, item in value.items() for line in self.entry(key, item, column + 2)]
            return [f"{' ' * column}- {lines[0].lstrip()}", *lines[1:]]
        head, lines = self.value(value, column, style)
        return [f"{' ' * column}-{head}", *lines]

    def value(self, value: New, column: int, style: str) -> tuple[str, list[str]]:
        """Return what stands behind the colon, and the lines below."""
        if isinstance(value, Mapping) and value:
            return "", [line for key, item in value.items() for line in self.entry(key, item, column + self.step)]
        if isinstance(value, list) and value:
            return "", [line for item in value for line in self.item(item, column + self.list_step)]
        if value is None:
            return "", []
        if isinstance(value, str):
            return f" {scalar_text(value, style=style)}", []
        return f" {self.flow(value, '')}", []

    def flow(self, value: New, style: str) -> str:
        """Return *value* as it is written inside of brackets."""
        if isinstance(value, str):
            return str(scalar_text(value, flow=True, style=style))
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return "null"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, Mapping):
            return (
                "{"
                + ", ".join(f"{scalar_text(key, flow=True)}: {self.flow(one, '')}" for key, one in value.items())
                + "}"
            )
        return "[" + ", ".join(self.flow(one, '"' if isinstance(value, tuple) else "") for one in value) + "]"

    def flow_key(self, key: str, node: Keys) -> str:
        """Return a key in the quotes that the keys beside it have."""
        last = node.entries[-1][0] if node.entries else None
        return str(scalar_text(key, flow=True, style=last.style if isinstance(last, Scalar) else ""))
