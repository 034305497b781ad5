"""``ENV name value`` and ``LABEL name value`` as ``name=value``: the same value in today's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockfix.build.expand import expand_word
from dockfix.build.keyvalue import SPACE
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from dockfix.build.keyvalue import Pair

_GAP: Final = pattern(r"(?:[ \t]|[\\`][ \t]*\r?\n)+\Z")


class Unclear(Exception):
    """The value cannot be written in another form; the message says why."""


def modern(text: str, pair: Pair, escape: str) -> list[Edit]:
    """Return the edits of the file's *text* that write the old *pair* with ``=``. Raises ``Unclear``."""
    raw = pair.raw or ""
    name_end = pair.start + len(pair.name)
    if text[pair.start : name_end] != pair.name or not SPACE.union("'\"`\\").isdisjoint(pair.name):
        raise Unclear("its name is not plain")
    if not _GAP.match(text[name_end : pair.value_start]):
        raise Unclear("a comment stands between name and value")
    if raw.startswith("="):
        raise Unclear(f"{pair.name} gets the value {raw!r}, equals sign included, which is hardly meant")
    inner, several = _in_quotes(raw, escape)
    if not several:
        return [Edit(name_end, pair.value_start, "=")]
    _same(raw, f'"{inner}"', escape)
    if inner == raw:
        return [Edit(name_end, pair.value_start, '="'), insert(pair.value_end, '"')]
    if text[pair.value_start : pair.value_end] != raw:
        raise Unclear("it has quotes and goes over several lines")
    return [Edit(name_end, pair.value_end, f'="{inner}"')]


def quoted(value: str, escape: str) -> str:
    """Return *value* in double quotes, so that BuildKit reads just that."""
    return '"' + "".join(_literal(char, escape) for char in value) + '"'


def _literal(char: str, escape: str) -> str:
    return escape + char if char in '"$' or char == escape else char


def _in_quotes(raw: str, escape: str) -> tuple[str, bool]:
    """Return what stands for *raw* between double quotes, and whether it is more than one word without them."""
    parts: list[str] = []
    several = False
    at = 0
    while at < len(raw):
        char = raw[at]
        if char == "'":
            end = raw.find("'", at + 1)
            if end < 0:
                raise Unclear("a quote is not closed")
            parts += (_literal(one, escape) for one in raw[at + 1 : end])
            at = end
        elif char == '"':
            at = _double_quoted(raw, at + 1, escape, parts)
        elif char == escape:
            at += 1
            if at == len(raw):
                raise Unclear("it ends with the escape character")
            parts.append(_literal(raw[at], escape))
        elif raw.startswith("${", at):
            end = raw.find("}", at)
            inside = raw[at : end + 1]
            if end < 0 or any(one in inside[2:] for one in "'\"`\\$"):
                raise Unclear("it has an expansion that is not plain")
            several = several or not SPACE.isdisjoint(inside)
            parts.append(inside)
            at = end
        else:
            several = several or char in SPACE
            parts.append(char)
        at += 1
    return "".join(parts), several


def _double_quoted(raw: str, at: int, escape: str, parts: list[str]) -> int:
    """Take over what stands in double quotes; return the offset of the closing one."""
    while at < len(raw) and raw[at] != '"':
        size = 2 if raw[at] == escape else 1
        parts.append(raw[at : at + size])
        at += size
    if at >= len(raw):
        raise Unclear("a quote is not closed")
    return at


def _same(old: str, new: str, escape: str) -> None:
    """Raise ``Unclear`` where BuildKit would read another value."""
    for env in (dict[str, str | None](), _Everything()):
        value = expand_word(old, env, escape, complete=True)
        if value is None or value != expand_word(new, env, escape, complete=True):
            raise Unclear("its quotes are not plain")


class _Everything(dict[str, "str | None"]):
    def get(self, name: str, default: object = None) -> str:
        return f"<{name}>"

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"<{name}>"
