"""The lines of a .dockerignore file, and what they keep out of the build context.

The rules are those of moby's ``patternmatcher``: the last pattern that matches a path, or a folder above it, decides.
"""

from __future__ import annotations

import posixpath
import re
from functools import cached_property, lru_cache
from typing import Final, Protocol

from dockfix.records import record
from dockfix.syntax.patterns import pattern

_SPECIAL: Final = pattern(r"[*?\[\]\\]")
_CLASS: Final = pattern(r"(?:(?:\\.|[^\\-])(?:-(?:\\.|[^\\-]))?)+\Z", re.DOTALL)
"""Characters and ranges of them; a hyphen that is neither is an error (https://pkg.go.dev/path/filepath#Match)."""
_TOKEN: Final = pattern(r"\*\*+/?|\*|\?|\[\^?(?:\\.|[^\\\]])+\]|\\.|.", re.DOTALL)
_BOM: Final = "\ufeff"


class Expression(Protocol):
    """What a pattern matches."""

    def match(self, string: str, /) -> object:
        """Return a true value for a path that matches, as a regular expression does."""
        ...


class PatternError(ValueError):
    """A pattern that Docker does not accept; the build fails on it."""


@record
class Line:
    """One line, ``text[start:end]`` of the file without its line ending.

    ``pattern`` is the cleaned pattern without ``!``, None for a blank line or a comment.
    """

    start: int
    end: int
    text: str
    pattern: str | None
    negated: bool

    @cached_property
    def expression(self) -> Expression | None:
        """What the pattern matches, the content of a matching folder included; None where it is malformed."""
        if self.pattern is None:
            return None
        try:
            return compile_pattern(self.pattern)
        except PatternError:
            return None

    @property
    def malformed(self) -> bool:
        """Whether Docker refuses the line."""
        return self.pattern is not None and self.expression is None


@record
class IgnoreFile:
    """A .dockerignore file: its text and the lines that tile it."""

    text: str
    lines: tuple[Line, ...]

    @cached_property
    def patterns(self) -> tuple[Line, ...]:
        """The lines that hold a pattern that can be used."""
        return tuple(line for line in self.lines if line.expression is not None)

    @property
    def malformed(self) -> Line | None:
        """The first line that Docker refuses."""
        return next((line for line in self.lines if line.malformed), None)

    @property
    def newline(self) -> str:
        """The line ending that new lines take."""
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def allow_list(self) -> bool:
        """Whether it leaves everything out (``*``) and names what comes in."""
        return any(not line.negated and line.pattern in ("*", "**") for line in self.patterns)

    def decisive(self, path: str) -> Line | None:
        """Return the line that decides about *path* (POSIX, relative to the context), None where none matches."""
        for line in reversed(self.patterns):
            if line.expression is not None and line.expression.match(path):
                return line
        return None

    def ignored(self, path: str) -> bool:
        """Return whether *path* stays out of the build."""
        line = self.decisive(path)
        return line is not None and not line.negated


def read_dockerignore(text: str) -> IgnoreFile:
    """Read a .dockerignore file; every text is one."""
    lines: list[Line] = []
    position = 0
    for raw in text.split("\n"):
        end = position + len(raw)
        stop = end - 1 if raw.endswith("\r") else end
        body = raw.removeprefix(_BOM) if not lines else raw
        pattern, negated = _pattern(body)
        lines.append(Line(position, stop, text[position:stop], pattern, negated))
        position = end + 1
    if lines[-1].start == len(text):
        lines.pop()
    return IgnoreFile(text, tuple(lines))


def _pattern(line: str) -> tuple[str | None, bool]:
    pattern = line.strip()
    if line.startswith("#") or not pattern:
        return None, False
    negated = pattern.startswith("!")
    if negated:
        pattern = pattern[1:].strip()
        if not pattern:
            return "", True
    pattern = posixpath.normpath(pattern)
    if pattern.startswith("/"):
        pattern = pattern.lstrip("/") or "/"
    return pattern, negated


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Expression:
    """Compile a cleaned pattern; it matches a path that the pattern matches and everything below.

    Raises ``PatternError`` for a pattern that Docker refuses.
    """
    if not pattern:
        raise PatternError("! without a pattern")
    name = pattern.removeprefix("**/")
    if name and not _SPECIAL.search(name):
        return _Plain(name, anywhere=name != pattern)
    rest = pattern[2:]
    if pattern.startswith("**") and not rest.startswith("/") and not _SPECIAL.search(rest):
        body = ".*" + re.escape(rest)  # moby compares the end of the path here
    else:
        body = "".join(_translate(pattern))
    try:
        return re.compile(f"(?:{body})(?:/.*)?\\Z", re.DOTALL)
    except re.error as error:
        raise PatternError(f"malformed pattern {pattern}") from error


class _Plain:
    """A name or path without special characters, for which no regular expression has to be compiled."""

    def __init__(self, name: str, *, anywhere: bool) -> None:
        self._name = f"/{name}/"
        self._anywhere = anywhere

    def match(self, string: str, /) -> bool:
        path = f"/{string}/"
        return self._name in path if self._anywhere else path.startswith(self._name)


def _translate(pattern: str) -> list[str]:
    parts: list[str] = []
    for match in _TOKEN.finditer(pattern):
        token = match.group()
        if token.startswith("**"):
            part = ".*" if match.end() == len(pattern) else "(?:.*/)?"
            if not parts or parts[-1] != part:  # a run of ** is one, or matching takes exponential time
                parts.append(part)
        elif token == "*":
            parts.append("[^/]*")
        elif token == "?":
            parts.append("[^/]")
        elif token == "[" or token == "\\":
            raise PatternError(f"malformed pattern {pattern}")
        elif token[0] == "[":
            negated = token[1] == "^"
            inner = token[2 if negated else 1 : -1]
            if not _CLASS.match(inner):
                raise PatternError(f"malformed pattern {pattern}")
            parts.append(("[^" if negated else "[") + re.sub(r"([\[&~|^])", r"\\\1", inner) + "]")
        elif token[0] == "\\":
            parts.append(re.escape(token[1]))
        else:
            parts.append(re.escape(token))
    return parts
