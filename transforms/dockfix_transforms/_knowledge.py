"""The tables in ``knowledge/``: facts that age, each with its source.

They are TOML, of which they use little: ``[headers]`` of one or two parts, and entries that begin at the start of a
line. So what is asked for can be found and read alone; ``tomllib`` took a fifth of the whole start for all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    import re

_HEADER: Final = pattern(r"^\[(?:([\w-]+)\.)?(?:([\w-]+)|\"([^\"\n]+)\")\].*$", 8)  # re.MULTILINE
_ENTRY: Final = pattern(r"^(?:([\w-]+)|\"([^\"\n]+)\"|'([^'\n]+)')[ \t]*=[ \t]*", 8)
_TOKEN: Final = pattern(
    r"(?P<text>\"(?:[^\"\\\n]|\\.)*\")(?P<text_key>\s*=)?|'(?P<literal>[^'\n]*)'|(?P<key>[\w-]+)\s*="
    r"|(?P<dropped>#[^\n]*|,(?=(?:\s|#[^\n]*)*\]))"
)


class _Entries(Mapping[str, Any]):
    """The entries of a table, or of a part of it, with its own parts; a value is read when it is asked for."""

    def __init__(self, text: str, parts: Mapping[str, Any] = MappingProxyType({})) -> None:
        found = list(_ENTRY.finditer(text))
        ends = [*(match.start() for match in found), len(text)][1:]
        self._unread = {
            match[1] or match[2] or match[3]: text[match.end() : end] for match, end in zip(found, ends, strict=False)
        }
        self._unread.update(dict.fromkeys(parts, ""))
        self._read = dict(parts)

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = _value(self._unread[name])
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._unread

    def __iter__(self) -> Iterator[str]:
        return iter(self._unread)

    def __len__(self) -> int:
        return len(self._unread)


@cache
def table(name: str) -> Mapping[str, Any]:
    """Return ``knowledge/NAME.toml``."""
    with open(os.path.join(os.path.dirname(__file__), "knowledge", f"{name}.toml"), encoding="utf-8") as file:
        return read_table(file.read())


def read_table(text: str) -> Mapping[str, Any]:
    """Return what *text* says, which keeps to what the tables use of TOML."""
    headers = list(_HEADER.finditer(text))
    starts = [*(match.start() for match in headers), len(text)]
    parts: dict[str, Any] = {}
    for match, end in zip(headers, starts[1:], strict=True):
        entries = _Entries(text[match.end() : end])
        last = match[2] or match[3]
        if match[1]:
            parts.setdefault(match[1], {})[last] = entries
        else:
            parts[last] = entries
    return _Entries(text[: starts[0]], parts)


def _value(text: str) -> Any:
    import json

    text = "\n".join(line for line in text.split("\n") if line[:1] != "#")  # those above what follows
    if text.startswith("[") and text.count("[") == 1 and "\\" not in text:
        parts = text.split('"')
        if not "".join(parts[::2]).strip("[], \r\n"):  # a list of texts and nothing else: most of them, and long ones
            return parts[1::2]

    def spelled(match: re.Match[str]) -> str:
        if match["dropped"] is not None:
            return ""
        if match["literal"] is not None:
            return json.dumps(match["literal"])
        if match["key"] is not None:
            return f'"{match["key"]}":'
        return match["text"] + (":" if match["text_key"] else "")

    return json.loads(_TOKEN.sub(spelled, text))
