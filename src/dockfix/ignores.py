"""Comments that keep transforms away: ``# dockfix: ignore=NAME`` and ``# dockfix: ignore-file=NAME``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from dockfix.syntax.dockerfile import Comment, Dockerfile, DockerfileSyntaxError, Instruction
from dockfix.transform import Fix, Skip

_COMMENT: Final = r"(?si)\s*#\s*dockfix(?::\s*|\s+(?=ignore(?:-file)?\s*=))(.*)"
_INSIDE: Final = r"(?i)#\s*dockfix:\s*ignore"


class Ignores:
    """The comments ``# dockfix: ignore=NAME`` and ``# dockfix: ignore-file=NAME`` of a Dockerfile."""

    def __init__(self) -> None:
        self.file: frozenset[str] = frozenset()
        self.spans: dict[str, list[tuple[int, int, int, int]]] = {}  # name -> lines and offsets of instructions

    @classmethod
    def read(cls, dockerfile: Dockerfile, known: Collection[str] = ()) -> Ignores:
        """Read the comments; *known* are the names of all transforms, where they are known.

        Raises ``DockerfileSyntaxError`` where a comment names no transform, or one that does not exist, or stands where
        it is about nothing: what was to be left alone would be changed.
        """
        self = cls()
        if "ockfix" not in dockerfile.text:
            return self
        pending: list[str] = []
        for node in dockerfile.nodes:
            if not isinstance(node, Comment):
                if isinstance(node, Instruction):
                    if known and not node.heredocs and (found := re.search(_INSIDE, dockerfile.raw(node))):
                        line = node.line + dockerfile.raw(node).count("\n", 0, found.start())
                        message = "this comment is inside of an instruction; it goes on a line of its own before it"
                        raise DockerfileSyntaxError(line, message)
                    for name in pending:
                        self.spans.setdefault(name, []).append((node.line, node.end_line, node.start, node.end))
                    pending = []
                continue
            match = re.match(_COMMENT, dockerfile.raw(node))
            if not match:
                continue
            command, _, value = match.group(1).partition("=")
            names = [name.strip() for name in value.split("#")[0].split(",") if name.strip()]
            wrong = next((name for name in names if name not in known), None) if known else None
            match command.strip().lower():
                case "ignore" | "ignore-file" if not names:
                    raise DockerfileSyntaxError(
                        node.line, "names no transform; write `# dockfix: ignore=NAME`, as `dockfix list` shows it"
                    )
                case "ignore" | "ignore-file" if wrong is not None:
                    from dockfix.registry import unknown

                    raise DockerfileSyntaxError(node.line, unknown(wrong, known))
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
