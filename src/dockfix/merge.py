"""Fixes of one transform put together: which of them go together, where lines go, whether files still parse."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from dockfix.syntax.dockerfile import Dockerfile
from dockfix.syntax.edit import Edit, delete
from dockfix.transform import Fix


def inside(path: str) -> bool:
    """Return whether *path* leads to a file of the repository, and not into its history."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/") and path.split("/")[0] != ".git"


def without_overlaps(fixes: Sequence[Fix]) -> list[Fix]:
    """Return the fixes that can be applied together, the first of those that touch the same text."""
    claimed: dict[str, list[tuple[int, int]]] = {}
    accepted = []
    for fix in fixes:
        spans = [(path, edit.start, edit.end) for path, edits in fix.edits.items() for edit in edits]
        if not spans or any(touches(claimed.get(path, []), start, end) for path, start, end in spans):
            continue
        for path, start, end in spans:
            taken = claimed.setdefault(path, [])
            taken.insert(bisect_right(taken, (start, end)), (start, end))
        accepted.append(fix)
    return accepted


def touches(taken: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Return whether ``start..end`` shares a character with a span taken, or begins where one begins."""
    at = bisect_right(taken, (start, end))
    return (at > 0 and (taken[at - 1][1] > start or taken[at - 1][0] == start)) or (
        at < len(taken) and (taken[at][0] < end or taken[at][0] == start)
    )


def move_lines(origin: Sequence[int], before: str, edits: Iterable[Edit]) -> list[int]:
    """Return the original line of each line of the text after *edits*.

    A line that is inserted somewhere has the line of that place; one that was only moved, as it is, keeps its own.
    """
    moved: list[int] = []
    line = position = 0  # the line, from 0, at *position* of the text before
    removed: dict[str, int] = {}
    inserted: list[tuple[int, str]] = []

    def original() -> int:
        return origin[min(line, len(origin) - 1)]

    for edit in [*sorted(edits, key=lambda edit: (edit.start, edit.end)), Edit(len(before), len(before), "")]:
        for _ in range(before.count("\n", position, edit.start)):
            moved.append(original())
            line += 1
        for text in edit.replacement.split("\n")[:-1]:
            inserted.append((len(moved), text))
            moved.append(original())
        for text in before[edit.start : edit.end].split("\n")[:-1]:
            removed.setdefault(text, original())
            line += 1
        position = edit.end
    moved.append(original())
    for at, text in inserted:
        if text.strip():
            moved[at] = removed.get(text, moved[at])
    return moved


def syntax_error(path: str, text: str) -> str | None:
    """Return why the file of a known format does not parse, or None."""
    try:
        if path.endswith(".py"):
            import ast
            import warnings

            with warnings.catch_warnings():  # about escapes in the user's strings, which are none of ours
                warnings.simplefilter("ignore")
                ast.parse(text.encode("utf-8", "surrogateescape"))
        elif path.endswith(".toml"):
            import tomllib

            tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
        elif path.endswith((".yml", ".yaml")):
            from dockfix.syntax.yaml_events import events

            for _ in events(text):
                pass
        elif path.endswith(".json"):
            import json

            json.loads(text)
    except Exception as error:
        return " ".join(str(error).split())
    return None


def closing(dockerfile: Dockerfile, edits: Iterable[Edit]) -> list[Edit]:
    """Return the edits that close an instruction at the end of the file, where *edits* add something behind it.

    Last lines that end in a continuation character continue into nothing: what is added would become part of it.
    """
    edits = list(edits)
    instructions = dockerfile.instructions
    last = instructions[-1] if instructions else None
    if last is None or last.heredocs or not any(edit.end >= last.end and edit.replacement for edit in edits):
        return []
    closed: list[Edit] = []
    position = last.text_end
    for line in dockerfile.text[last.text_end : last.end].splitlines(keepends=True):
        if line.strip() == dockerfile.escape:
            end = position + line.index(dockerfile.escape) + 1
            start = end - 1 if closed else last.text_end
            if not any(edit.start < end and start < edit.end for edit in edits):  # it may be deleted already
                closed.append(delete(start, end))
        position += len(line)
    return closed


def moves_open_end(dockerfile: Dockerfile, edits: Iterable[Edit]) -> bool:
    """Return whether *edits* put a last instruction that continues into nothing to another place, as it stands.

    There it would swallow what follows.
    """
    last = dockerfile.instructions[-1] if dockerfile.instructions else None
    if last is None or last.heredocs:
        return False
    end = dockerfile.text.find(dockerfile.escape, last.text_end, last.end)
    if end < 0 or dockerfile.text[last.text_end : end].strip():
        return False
    tail = dockerfile.text[max(last.text_end - 8, last.start) : end + 1]
    return any(tail in edit.replacement for edit in edits)
