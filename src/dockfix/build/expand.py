"""Variables in instructions: the expansion that BuildKit does itself (``frontend/dockerfile/shell/lex.go``).

It is no shell: it knows variables, a few modifiers, quotes and the escape character, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dockfix.syntax.patterns import pattern

_SPECIAL: Final = "@*#-?$!"
_PLAIN: Final = pattern(r"[^$'\"\\`]*\Z")
_SPACE: Final = pattern(r"[ \t\v\f\r\n]+")


def expand_word(text: str, env: Mapping[str, str | None], escape: str = "\\", *, complete: bool = False) -> str | None:
    """Return *text* with its variables expanded and quotes removed; None where that cannot be told.

    *env* holds None for a value that is unknown. A name that is missing in it may still be set by the base image, so
    it is unknown as well, but where ``${name:-default}`` names a default, which then holds; with *complete* it is
    unset. Malformed text (a quote that is not closed, an unknown modifier) gives None.
    """
    if _PLAIN.match(text):
        return text
    try:
        return _Lexer(text, env, escape, complete).until("")
    except _Unknown:
        return None


def split_words(text: str) -> tuple[tuple[int, int], ...]:
    """Return the spans of the words of *text*, split at white space as COPY and ADD do: quotes do not protect it."""
    spans = []
    position = 0
    for match in _SPACE.finditer(text):
        if match.start() > position:
            spans.append((position, match.start()))
        position = match.end()
    if position < len(text):
        spans.append((position, len(text)))
    return tuple(spans)


class _Unknown(Exception):
    """A value is not known, or the text is malformed."""


class _Malformed(_Unknown):
    """BuildKit refuses the text, or it is nested deeper than anybody writes."""


class _Lexer:
    def __init__(self, text: str, env: Mapping[str, str | None], escape: str, complete: bool) -> None:
        self.text = text
        self.env = env
        self.escape = escape
        self.complete = complete
        self.at = 0

    def until(self, stop: str, raw_escapes: bool = False, depth: int = 0) -> str:
        """Read up to the character *stop* ("" for the end) and behind it."""
        if depth > 10:
            raise _Malformed
        result: list[str] = []
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if stop and char == stop:
                self.at += 1
                return "".join(result)
            if char == "'":
                end = text.find("'", self.at + 1)
                if end < 0:
                    raise _Unknown
                result.append(text[self.at + (0 if raw_escapes else 1) : end + (1 if raw_escapes else 0)])
                self.at = end + 1
            elif char == '"':
                result.append(self.double_quoted(depth))
            elif char == "$":
                result.append(self.variable(depth))
            elif char == self.escape:
                if raw_escapes:
                    result.append(char)
                self.at += 1
                result.append(text[self.at : self.at + 1])
                self.at += 1
            else:
                result.append(char)
                self.at += 1
        if stop:
            raise _Unknown
        return "".join(result)

    def double_quoted(self, depth: int) -> str:
        result: list[str] = []
        text = self.text
        self.at += 1
        while self.at < len(text):
            char = text[self.at]
            if char == '"':
                self.at += 1
                return "".join(result)
            if char == "$":
                result.append(self.variable(depth))
                continue
            self.at += 1
            if char == self.escape:
                following = text[self.at : self.at + 1]
                if not following:
                    raise _Unknown
                if following not in ('"', "$", self.escape):
                    result.append(char)
                result.append(following)
                self.at += 1
            else:
                result.append(char)
        raise _Unknown

    def name(self) -> str:
        text = self.text
        start = self.at
        if text[start : start + 1].isdecimal():
            while text[self.at : self.at + 1].isdecimal():
                self.at += 1
        elif text[start : start + 1] and text[start] in _SPECIAL:
            self.at += 1
        else:
            while self.at < len(text) and (text[self.at].isalnum() or text[self.at] == "_"):
                self.at += 1
        return text[start : self.at]

    def value(self, name: str) -> str:
        value = self.env.get(name, "" if self.complete else None)
        if value is None:
            raise _Unknown
        return value

    def variable(self, depth: int) -> str:
        self.at += 1
        text = self.text
        if text[self.at : self.at + 1] != "{":
            name = self.name()
            return self.value(name) if name else "$"
        self.at += 1
        name = self.name()
        modifier = text[self.at : self.at + 1]
        self.at += 1
        if not name or not modifier:
            raise _Unknown
        if modifier == "}":
            return self.value(name)
        colon = modifier == ":"
        if colon:
            modifier = text[self.at : self.at + 1]
            self.at += 1
        if modifier in ("-", "+", "?"):
            # Both sides are read, as BuildKit does; only the one that counts must be known.
            word = self.lenient("}", depth)
            known = name in self.env
            value = self.env.get(name)
            if known and value is None:
                raise _Unknown
            present = bool(value) if colon else known
            if modifier == "+":
                return self.sure(word) if present else ""
            if present:
                return value or ""
            if modifier == "?":
                raise _Unknown
            return self.sure(word)
        if colon:
            raise _Unknown
        if modifier in ("#", "%"):
            greedy = text[self.at : self.at + 1] == modifier
            self.at += greedy
            pattern = self.until("}", True, depth + 1)
            return _trim(self.value(name), pattern, modifier == "#", greedy)
        if modifier == "/":
            everywhere = text[self.at : self.at + 1] == "/"
            self.at += everywhere
            pattern = self.until("/", True, depth + 1)
            replacement = self.until("}", True, depth + 1)
            expression = _regex(pattern, greedy=True)
            return re.sub(expression, lambda _: replacement, self.value(name), count=0 if everywhere else 1)
        raise _Unknown

    def lenient(self, stop: str, depth: int) -> str | None:
        """Read as ``until`` does; None where the text is well-formed and a value in it is unknown."""
        start = self.at
        try:
            return self.until(stop, False, depth + 1)
        except _Malformed:
            raise
        except _Unknown:
            skipper = _Lexer(self.text, _Anything(), self.escape, True)
            skipper.at = start
            skipper.until(stop, False, depth + 1)
            self.at = skipper.at
            return None

    @staticmethod
    def sure(word: str | None) -> str:
        if word is None:
            raise _Unknown
        return word


class _Anything(dict[str, "str | None"]):
    """An environment in which every name is empty, to find where a word ends."""


def _trim(value: str, pattern: str, front: bool, greedy: bool) -> str:
    expression = _regex(pattern, greedy)
    if front:
        match = re.match(expression, value, re.DOTALL)
        return value[match.end() :] if match else value
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    whole = re.compile(expression + r"\Z", re.DOTALL)
    if len(value) > 1000:
        raise _Unknown
    for start in starts:
        if whole.match(value, start):
            return value[:start]
    return value


def _regex(pattern: str, greedy: bool) -> str:
    """Return the regular expression of a shell pattern; BuildKit knows ``*``, ``?`` and the backslash."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "*":
            parts.append(".*" if greedy else ".*?")
        elif char == "?":
            parts.append(".")
        elif char == "\\":
            position += 1
            if position == len(pattern):
                raise _Unknown
            parts.append(re.escape(pattern[position]))
        else:
            parts.append(re.escape(char))
        position += 1
    if parts.count(".*") + parts.count(".*?") > 4:
        raise _Unknown
    return "".join(parts)
