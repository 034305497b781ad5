"""The words of shell text: quotes, expansions, substitutions, heredocs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final

from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, ShellError, Word

MAX_NESTING: Final = 40
BLANKS: Final = pattern(r"(?:[ \t]|\\\n)+(?:#[^\n]*)?|(?<![^ \t\n;&|()`])#[^\n]*")
_PLAIN: Final = pattern(r"[^ \t\n;&|<>()\"'\\$`]+")
_IN_QUOTES: Final = pattern(r"[^\"\\$`]*")
_IN_HEREDOC: Final = pattern(r"[^\\$`]*")
_IN_BRACES: Final = pattern(r"[^\"'\\$`}]*")
_IN_ARITHMETIC: Final = pattern(r"[^()$`\"'\\;\n]*")
_ANSI_C: Final = pattern(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)
_VARIABLE: Final = pattern(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
_PARAMETER: Final = pattern(r"[!#]?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])(?=[]}:+=?#%/^,@*[-])")
ASSIGNMENT: Final = pattern(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


class WordReader(ABC):
    """A position in the text, and how words are read there.

    ``end`` is the limit of the region in hand (backticks, heredocs).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.end = len(text)
        self.commands: list[Command] = []
        self.simple = True
        self.depth = 0
        self.substitutions = 0
        self.nesting = 0
        self.shells: tuple[int, ...] = ()
        self.pending: list[tuple[str, bool, bool, int]] = []  # name, expands, strips tabs, substitutions around it

    def expect(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.match(self.text, self.position, self.end)
        if not match:
            raise ShellError(f"{what} expected")
        self.position = match.end()
        return match.group()

    def skip(self, *, newlines: bool) -> None:
        """Step over blanks, joined lines and comments, and over line ends as well if asked to."""
        while True:
            match = BLANKS.match(self.text, self.position, self.end)
            if match:
                self.position = match.end()
            if newlines and self.position < self.end and self.text[self.position] == "\n":
                self.read_newline()
            elif not match:
                return

    def read_newline(self) -> None:
        self.position += 1
        waiting, self.pending = self.pending, []
        for name, expands, chomps, substitutions in waiting:
            if substitutions != self.substitutions:
                raise ShellError("a heredoc across a substitution")
            self.read_heredoc(name, expands, chomps)

    def read_heredoc(self, name: str, expands: bool, chomps: bool) -> None:
        start = self.position
        while self.position < self.end:
            at = self.text.find("\n", self.position, self.end)
            stop = self.end if at < 0 else at
            line = self.text[self.position : stop]
            body_end = self.position
            self.position = min(stop + 1, self.end)
            if (line.lstrip("\t") if chomps else line) == name:
                if expands:
                    after, limit = self.position, self.end
                    self.position, self.end = start, body_end
                    self.read_expanding("")
                    self.position, self.end = after, limit
                return
        raise ShellError(f"a heredoc without its end {name}")

    def read_word(self) -> Word:
        text, end = self.text, self.end
        start = self.position
        parts: list[str] = []
        bare: list[str] = []
        quoted = False
        known = True
        while self.position < end:
            match = _PLAIN.match(text, self.position, end)
            if match:
                parts.append(match.group())
                bare.append(match.group())
                self.position = match.end()
                continue
            char = text[self.position]
            if char == '"':
                quoted = True
                self.position += 1
                value = self.read_expanding('"')
                if value is None:
                    known = False
                else:
                    parts.append(value)
                bare.append("\0")
            elif char == "'":
                quoted = True
                parts.append(self.read_single())
                bare.append("\0")
            elif char == "\\":
                if self.position + 1 >= end:
                    raise ShellError("a backslash at the end")
                if text[self.position + 1] != "\n":
                    quoted = True
                    parts.append(text[self.position + 1])
                    bare.append("\0")
                self.position += 2
            elif char == "$":
                following = text[self.position + 1 : self.position + 2] if self.position + 1 < end else ""
                if following == "'":
                    match = _ANSI_C.match(text, self.position, end)
                    if not match:
                        raise ShellError("a quote without its end")
                    self.position = match.end()
                    quoted, known = True, False
                elif following == '"':
                    self.position += 2
                    self.read_expanding('"')
                    quoted, known = True, False
                elif self.read_dollar(quoted=False):
                    known = False
                else:
                    parts.append("$")
                    bare.append("$")
            elif char == "`":
                self.read_backticks()
                known = False
            elif char in "<>" and text.startswith("(", self.position + 1) and self.position == start:
                self.position += 2
                self.read_substitution()
                known = False
            elif char == "(" and ASSIGNMENT.fullmatch(text, start, self.position):
                self.read_array()
                known = False
            else:
                break
        if self.position == start:
            raise ShellError(f"unexpected {text[start : start + 1] or 'end'}")
        raw = text[start : self.position]
        if known and _expands("".join(bare)):
            known = False
        return Word(start, self.position, raw, "".join(parts) if known else None, quoted)

    def read_single(self) -> str:
        at = self.text.find("'", self.position + 1, self.end)
        if at < 0:
            raise ShellError("a quote without its end")
        value = self.text[self.position + 1 : at]
        if self.pending and "\n" in value:
            raise ShellError("a heredoc across a quote")
        self.position = at + 1
        return value

    def read_expanding(self, closer: str) -> str | None:
        """Read the inside of double quotes, or a heredoc's body without *closer*; return its value if it is known."""
        text = self.text
        parts: list[str] = []
        known = True
        while True:
            match = (_IN_QUOTES if closer else _IN_HEREDOC).match(text, self.position, self.end)
            assert match
            parts.append(match.group())
            self.position = match.end()
            if self.pending and "\n" in match.group():
                raise ShellError("a heredoc across a quote")
            if self.position >= self.end:
                if closer:
                    raise ShellError("a quote without its end")
                return None
            char = text[self.position]
            if char == closer:
                self.position += 1
                return "".join(parts) if known else None
            if char == "\\":
                following = text[self.position + 1 : self.position + 2]
                if self.position + 1 >= self.end and closer:
                    raise ShellError("a quote without its end")
                self.position = min(self.position + 2, self.end)
                if following in ("$", "`", '"', "\\"):
                    parts.append(following)
                elif following != "\n":
                    parts.append("\\" + following)
            elif char == "`":
                self.read_backticks()
                known = False
            elif self.read_dollar(quoted=True):
                known = False
            else:
                parts.append("$")

    def read_dollar(self, *, quoted: bool) -> bool:
        """Step over ``$`` and the expansion behind it; return whether there is one."""
        text, at = self.text, self.position
        match = _VARIABLE.match(text, at, self.end)
        if match:
            self.position = match.end()
        elif text.startswith("$((", at):
            self.position = at + 3
            self.read_arithmetic()
        elif text.startswith("$(", at):
            self.position = at + 2
            self.read_substitution()
        elif text.startswith("${", at):
            self.position = at + 2
            self.read_parameter(quoted=quoted)
        elif text.startswith("$[", at):
            raise ShellError("$[ is not read")
        else:
            self.position = at + 1
            return False
        return True

    def read_substitution(self) -> None:
        simple = self.simple
        self.substitutions += 1
        self.read_subshell(frozenset({")"}))
        if self.pending and self.pending[-1][3] == self.substitutions:
            raise ShellError("a heredoc without its body")
        self.substitutions -= 1
        self.simple = simple

    def read_backticks(self) -> None:
        at = self.text.find("`", self.position + 1, self.end)
        if at < 0:
            raise ShellError("a backtick without its end")
        if "\\" in self.text[self.position : at]:
            raise ShellError("a backslash inside backticks")
        limit, simple = self.end, self.simple
        self.position, self.end = self.position + 1, at
        self.substitutions += 1
        self.read_subshell(frozenset())
        if self.pending and self.pending[-1][3] == self.substitutions:
            raise ShellError("a heredoc without its body")
        self.substitutions -= 1
        self.position, self.end, self.simple = at + 1, limit, simple

    def read_parameter(self, *, quoted: bool) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ShellError("nested too deeply")
        self.expect(_PARAMETER, "a variable in ${}")
        while True:
            match = _IN_BRACES.match(self.text, self.position, self.end)
            assert match
            self.position = match.end()
            if self.position >= self.end:
                raise ShellError("${ without }")
            char = self.text[self.position]
            if char == "}":
                self.position += 1
                self.nesting -= 1
                return
            if char == '"':
                self.position += 1
                self.read_expanding('"')
            elif char == "'":
                if quoted:
                    raise ShellError("a single quote in ${} in double quotes")
                self.read_single()
            elif char == "\\":
                self.position += 2
            elif char == "`":
                self.read_backticks()
            else:
                self.read_dollar(quoted=quoted)

    def read_arithmetic(self) -> None:
        open_parentheses = 0
        while True:
            match = _IN_ARITHMETIC.match(self.text, self.position, self.end)
            assert match
            self.position = match.end()
            char = self.text[self.position] if self.position < self.end else ""
            if char == "(":
                open_parentheses += 1
                self.position += 1
            elif char == ")" and open_parentheses:
                open_parentheses -= 1
                self.position += 1
            elif char == ")" and self.text.startswith("))", self.position) and self.position + 1 < self.end:
                self.position += 2
                return
            elif char == "$":
                self.read_dollar(quoted=True)
            else:
                raise ShellError("arithmetic that is not plain")

    def read_array(self) -> None:
        self.position += 1
        while True:
            self.skip(newlines=True)
            if self.position < self.end and self.text[self.position] == ")":
                self.position += 1
                return
            self.read_word()

    @abstractmethod
    def read_subshell(self, stops: frozenset[str]) -> None:
        """Read the commands of a substitution, up to one of *stops*."""


def _expands(bare: str) -> bool:
    """Whether the unquoted characters of a word make a glob, a brace expansion or a home directory."""
    if "*" in bare or "?" in bare or bare.startswith("~") or "=~" in bare or ":~" in bare:
        return True
    if "[" in bare and "]" in bare[bare.index("[") :] and bare not in ("[[", "]]"):
        return True
    return "{" in bare and "}" in bare and ("," in bare or ".." in bare)
