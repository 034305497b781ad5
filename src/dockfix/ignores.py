"""Comments that keep transforms away: ``# dockfix: ignore=NAME`` and ``# dockfix: ignore-file=NAME``."""

from __future__ import annotations

import re
from typing import Final

from dockfix.syntax.dockerfile import Comment, Dockerfile, DockerfileSyntaxError, Instruction
from dockfix.transform import Fix, Skip

_COMMENT: Final = r"(?s)\s*#\s*dockfix:\s*(.*)"


class Ignores:
    """The comments ``# dockfix: ignore=NAME`` and ``# dockfix: ignore-file=NAME`` of a Dockerfile."""

    def __init__(self) -> None:
        self.file: frozenset[str] = frozenset()
        self.spans: dict[str, list[tuple[int, int, int, int]]] = {}  # name -> lines and offsets of instructions

    @classmethod
    def read(cls, dockerfile: Dockerfile) -> Ignores:
        """Read the comments. Raises ``DockerfileSyntaxError`` where one names no transform."""
        self = cls()
        if "dockfix:" not in dockerfile.text:
            return self
        pending: list[str] = []
        for node in dockerfile.nodes:
            if not isinstance(node, Comment):
                if isinstance(node, Instruction):
                    for name in pending:
                        self.spans.setdefault(name, []).append((node.line, node.end_line, node.start, node.end))
                    pending = []
                continue
            match = re.match(_COMMENT, dockerfile.raw(node))
            if not match:
                continue
            command, _, value = match.group(1).partition("=")
            names = [name.strip() for name in value.split("#")[0].split(",") if name.strip()]
            match command.strip():
                case "ignore" | "ignore-file" if not names:
                    raise DockerfileSyntaxError(
                        node.line, "names no transform; write `# dockfix: ignore=NAME`, as `dockfix list` shows it"
                    )
                case "ignore":
                    pending += names
                case "ignore-file":
                    self.file |= frozenset(names)
                case other:
                    raise DockerfileSyntaxError(
                        node.line, f"unknown: dockfix: {other}; there are ignore=NAME and ignore-file=NAME"
                    )
        return self

    def hides(self, transform: str, item: Fix | Skip, path: str) -> bool:
        """Return whether *item* of that transform is about something that is to be left alone."""
        if transform in self.file:
            return True
        for first, last, start, end in self.spans.get(transform, ()):
            if first <= item.line <= last and not (isinstance(item, Skip) and item.path not in (None, path)):
                return True
            if isinstance(item, Fix) and any(
                edit.start < end and start < max(edit.end, edit.start + 1) and (edit.start, edit.end) != (start, start)
                for edit in item.edits.get(path, ())
            ):
                return True
        return False
