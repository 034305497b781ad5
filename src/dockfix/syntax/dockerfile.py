"""A lossless Dockerfile syntax tree.

A file is its text and nodes that tile it without a gap: directives, comments, blank lines and instructions. White
space and comments inside an instruction are the text between spans, not objects. The rules are those of BuildKit's
``frontend/dockerfile/parser``, the parser that ``docker build`` runs.

Because Docker strips comment lines and blank lines inside a continuation before the shell sees the text, an
instruction has a *logical* text with a mapping back to offsets in the file. Read the logical text, never the raw one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from dockfix.records import record
from dockfix.syntax.logical import Logical
from dockfix.syntax.patterns import pattern

# fmt: off
KEYWORDS: Final = frozenset({
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
})
# fmt: on
_HEREDOC_KEYWORDS: Final = frozenset({"ADD", "COPY", "RUN"})
_JSON_KEYWORDS: Final = frozenset({"ADD", "COPY", "RUN", "CMD", "ENTRYPOINT", "SHELL", "VOLUME", "HEALTHCHECK"})
_DIRECTIVE: Final = pattern(r"#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*\r?\n?\Z")
_DIRECTIVES: Final = frozenset({"syntax", "escape", "check"})
_BLANK: Final = " \t\v\f\r\n\x85\xa0"
_WORD_END: Final = pattern(r"[\t\v\f\r ]+")
_HEREDOC: Final = pattern(r"(\d*)<<(-?)([^<]+)\Z")


class DockerfileSyntaxError(ValueError):
    """The text is no Dockerfile. ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@record
class Node:
    """A run of whole lines: ``text[start:end]``, line ending included. ``line`` and ``end_line`` count from 1."""

    start: int
    end: int
    line: int
    end_line: int


@record
class Directive(Node):
    """A parser directive at the top of the file, such as ``# syntax=docker/dockerfile:1``."""

    name: str
    value: str


@record
class Comment(Node):
    """A comment line outside of an instruction."""


@record
class Blank(Node):
    """A line of white space outside of an instruction."""


@record
class Flag:
    """A flag such as ``--from=builder``; ``start`` and ``end`` are file offsets. ``value`` is None without ``=``."""

    name: str
    value: str | None
    start: int
    end: int


@record
class Heredoc:
    """A here-document of RUN, COPY or ADD. ``text[start:end]`` of the file is its body, without the terminator."""

    name: str
    expand: bool
    chomp: bool
    start: int
    end: int
    body: str


@record
class Instruction(Node):
    """One instruction. ``keyword`` is in upper case; ``keyword_text`` as it stands in the file.

    ``arguments`` is the logical text behind keyword and flags, stripped. ``text_end`` is the file offset behind the
    last character of the instruction's own line, before its line ending and before heredoc bodies.
    For ONBUILD, ``trigger`` is the keyword of the instruction that it holds.
    """

    keyword: str
    keyword_text: str
    keyword_start: int
    text_end: int
    flags: tuple[Flag, ...]
    arguments: Logical
    heredocs: tuple[Heredoc, ...] = ()
    trigger: str | None = None

    @cached_property
    def value(self) -> str:
        """The logical text of the arguments."""
        return self.arguments.text

    def flag(self, name: str) -> Flag | None:
        """Return the last flag of that *name* (without dashes), or None."""
        return next((flag for flag in reversed(self.flags) if flag.name == name), None)

    @cached_property
    def json_form(self) -> tuple[str, ...] | None:
        """The strings of the JSON (exec) form, or None in shell form. BuildKit takes invalid JSON as shell form."""
        if self.keyword not in _JSON_KEYWORDS:
            return None
        text = self.value
        if self.keyword == "HEALTHCHECK":
            match = re.match(r"(?i:CMD)\s+", text)
            text = text[match.end() :] if match else ""
        return json_strings(text)


def json_strings(text: str) -> tuple[str, ...] | None:
    """Return the strings of a JSON array, or None where *text* is anything else."""
    if not text.startswith("["):
        return None
    try:
        import json

        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return None
    if "\\u" in text:  # half of a surrogate pair is no character: BuildKit reads U+FFFD
        value = [re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", item) for item in value]
    return tuple(value)


@record
class Dockerfile:
    """A parsed file: ``"".join(text[n.start:n.end] for n in nodes)`` is ``text`` (behind a byte order mark)."""

    text: str
    nodes: tuple[Node, ...]
    escape: str = "\\"
    directives: Mapping[str, str] = MappingProxyType({})

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """The instructions, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Instruction))

    @cached_property
    def newline(self) -> str:
        """The line ending that most lines have; a line feed in a file of one line."""
        crlf = self.text.count("\r\n")
        return "\r\n" if crlf * 2 > self.text.count("\n") else "\n"

    def raw(self, node: Node) -> str:
        """Return the node's text as it stands in the file."""
        return self.text[node.start : node.end]


def parse(text: str) -> Dockerfile:
    """Return the syntax tree of *text*. Raises ``DockerfileSyntaxError``."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.escape = "\\"
        self.directives: dict[str, str] = {}
        start = 1 if text.startswith("\ufeff") else 0
        self.first = start
        self.ends: list[int] = []  # offset behind each line, its line feed included
        position = start
        while position < len(text):
            at = text.find("\n", position)
            position = len(text) if at < 0 else at + 1
            self.ends.append(position)

    def line_start(self, line: int) -> int:
        return self.ends[line - 1] if line else self.first

    def parse(self) -> Dockerfile:
        nodes: list[Node] = []
        line = 0
        directives_done = False
        while line < len(self.ends):
            start, end = self.line_start(line), self.ends[line]
            raw = self.text[start:end]
            stripped = raw.strip(_BLANK)
            if not directives_done:
                match = _DIRECTIVE.match(raw) if stripped.startswith("#") else None
                name = match.group(1).lower() if match else ""
                if match and name in _DIRECTIVES:
                    if name in self.directives:
                        raise DockerfileSyntaxError(line + 1, f"the directive {name} stands twice")
                    value = match.group(2)
                    if name == "escape":
                        if value not in ("\\", "`"):
                            raise DockerfileSyntaxError(line + 1, f"escape must be \\ or `, not {value}")
                        self.escape = value
                    self.directives[name] = value
                    nodes.append(Directive(start, end, line + 1, line + 1, name, value))
                    line += 1
                    continue
                directives_done = True
            if not stripped:
                nodes.append(Blank(start, end, line + 1, line + 1))
                line += 1
            elif stripped.startswith("#"):
                nodes.append(Comment(start, end, line + 1, line + 1))
                line += 1
            else:
                node, line = self.instruction(line)
                nodes.append(node)
        return Dockerfile(self.text, tuple(nodes), self.escape, self.directives)

    def instruction(self, first_line: int) -> tuple[Node, int]:
        """Return the node that starts at *first_line* (from 0) and the number of the line behind it."""
        line = first_line
        pieces: list[tuple[int, int, int]] = []
        texts: list[str] = []
        size = 0
        continues = True
        while continues and line < len(self.ends):
            start, end = self.line_start(line), self.ends[line]
            raw = self.text[start:end].rstrip("\r\n")
            line += 1
            lead = len(raw) - len(raw.lstrip(_BLANK))
            if line - 1 > first_line and (lead == len(raw) or raw[lead] == "#"):
                continue
            skip = lead if line - 1 == first_line else 0
            raw, start = raw[skip:], start + skip
            body = raw.rstrip(" \t")
            continues = body.endswith(self.escape) and not (len(body) > 1 and body[-2] == self.escape)
            if continues:
                raw = body[:-1]
            if raw:
                pieces.append((size, start, len(raw)))
                texts.append(raw)
                size += len(raw)
        logical = Logical("".join(texts), tuple(pieces) or ((0, self.line_start(first_line), 0),))
        if not logical.text.strip(_BLANK):  # a lone continuation character
            return Blank(self.line_start(first_line), self.ends[line - 1], first_line + 1, line), line
        return self.build(logical, first_line, line)

    def build(self, logical: Logical, first_line: int, line: int) -> tuple[Instruction, int]:
        text = logical.text
        match = _WORD_END.search(text.rstrip(_BLANK))
        keyword_end = match.start() if match else len(text.rstrip(_BLANK))
        keyword_text = text[:keyword_end]
        keyword = keyword_text.upper()
        if keyword not in KEYWORDS:
            raise DockerfileSyntaxError(first_line + 1, _no_instruction(keyword_text, text))
        at = keyword_end
        while at < len(text) and text[at] in _BLANK:
            at += 1
        flags, at = _flags(logical, at, self.escape)
        end = len(text.rstrip(_BLANK))
        arguments = logical.slice(at, max(end, at))
        trigger = None
        if keyword == "ONBUILD":
            word = _WORD_END.split(arguments.text, maxsplit=1)[0]
            trigger = word.upper() or None
        if keyword in ("ENV", "LABEL") and "=" not in arguments.text and len(arguments.text.split()) == 1:
            raise DockerfileSyntaxError(first_line + 1, f"{keyword} must have two arguments")
        text_end = logical.raw_end(len(text.rstrip(_BLANK)))
        heredocs: list[Heredoc] = []
        if (keyword in _HEREDOC_KEYWORDS or trigger in _HEREDOC_KEYWORDS) and "<<" in text:
            rest = arguments.text
            if trigger:
                rest = rest[len(trigger) :].strip(_BLANK)
            if json_strings(rest) is None:
                for name, expand, chomp in _heredoc_names(text):
                    start = self.line_start(line)
                    while True:
                        if line >= len(self.ends):
                            raise DockerfileSyntaxError(
                                first_line + 1,
                                f"unterminated heredoc {_printable(name)}: no line holds that word alone",
                            )
                        stop, end = self.line_start(line), self.ends[line]
                        line += 1
                        candidate = self.text[stop:end].rstrip("\r\n")
                        if (candidate.lstrip("\t") if chomp else candidate) == name:
                            break
                    heredocs.append(Heredoc(name, expand, chomp, start, stop, self.text[start:stop]))
        return (
            Instruction(
                self.line_start(first_line),
                self.ends[line - 1],
                first_line + 1,
                line,
                keyword,
                keyword_text,
                logical.raw_start(0),
                text_end,
                flags,
                arguments,
                tuple(heredocs),
                trigger,
            ),
            line,
        )


def _no_instruction(word: str, text: str) -> str:
    """Return what is said of a line that begins with *word*, which is no instruction."""
    from dockfix.hints import did_you_mean

    if word in ("<<<<<<<", "=======", ">>>>>>>"):
        return f"a merge conflict that is not resolved: {word}"
    if text.startswith("version https://git-lfs."):
        return "a pointer of Git LFS, not the file itself; `git lfs pull` fetches it"
    shown = _printable(word if len(word) <= 40 else word[:40] + "...")
    if word in ("&&", "||", "|", ";"):
        return f"unknown instruction: {shown} (does the line above lack the character that continues it?)"
    return f"unknown instruction: {shown}{did_you_mean(word, KEYWORDS)}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _flags(logical: Logical, at: int, escape: str) -> tuple[tuple[Flag, ...], int]:
    """Read ``--name[=value]`` words from *at*; return them and the offset of what follows (BuildKit's rules)."""
    text = logical.text
    flags: list[Flag] = []
    while text.startswith("--", at):
        begin = at
        quote = ""
        word: list[str] = []
        while at < len(text):
            char = text[at]
            if quote:
                if char == quote:
                    quote = ""
                elif char == escape and at + 1 < len(text):
                    at += 1
                    word.append(text[at])
                else:
                    word.append(char)
            elif char in " \t\v\f\r\n":
                break
            elif char in "'\"":
                quote = char
            elif char == escape and at + 1 < len(text):
                at += 1
                word.append(text[at])
            else:
                word.append(char)
            at += 1
        end = at
        while at < len(text) and text[at] in _BLANK:
            at += 1
        name, equals, value = "".join(word)[2:].partition("=")
        if not name:  # a lone `--` ends the flags
            break
        flags.append(Flag(name, value if equals else None, *logical.raw_span(begin, end)))
    return tuple(flags), at


def _heredoc_names(text: str) -> list[tuple[str, bool, bool]]:
    """Return ``(name, expand, chomp)`` for every here-document that the line *text* opens."""
    found = []
    for word in _raw_words(text):
        match = _HEREDOC.match(word)
        if not match:
            continue
        rest = match.group(3)
        name = re.sub(r"\\(.)", r"\1", rest.replace('"', "").replace("'", ""))
        if name:
            found.append((name, name == rest, match.group(2) == "-"))
    return found


def _raw_words(text: str) -> list[str]:
    """Split at white space outside of quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and quote != "'" and position + 1 < len(text):
            word.append(text[position : position + 2])
            position += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _BLANK:
            if word:
                words.append("".join(word))
                word = []
            position += 1
            continue
        word.append(char)
        position += 1
    if word:
        words.append("".join(word))
    return words
