"""What a COPY or ADD brings where: paths of the build context to paths of the image."""

from __future__ import annotations

import json
import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dockfix.build.expand import expand_word, split_words
from dockfix.records import record
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from dockfix.build.model import Step

_REMOTE: Final = pattern(
    r"(?i:https?|git|ssh)://|git@|(?:[\w.-]+@)?github\.com[:/]", words=("://", "git@", "github.com")
)
_GIT: Final = pattern(r"\.git(?:#.*)?\Z")
_ARCHIVE: Final = pattern(r"\.(?:tar(?:\.(?:gz|bz2|xz|zst|lzma))?|tgz|tbz2?|txz|tzst|gz|bz2|xz)\Z", re.IGNORECASE)
_JSON_STRING: Final = pattern(r'"(?:[^"\\]|\\.)*"')
_WILDCARD: Final = pattern(r"[*?\[]")


@record
class Source:
    """One source of a COPY: ``value`` expanded (None if unknown), ``start``/``end`` file offsets of the word."""

    value: str | None
    start: int
    end: int


@record
class Copy:
    """A COPY or ADD.

    ``from_`` is the value of ``--from`` (a stage, an image or a named context), None for the build context.
    ``sources`` are as written with variables expanded. ``destination`` is absolute, normalised and without the
    trailing slash (None if unknown); ``directory`` tells whether it is a directory for sure (trailing slash, several
    sources, ".", the WORKDIR itself, or one that is there before).  ``destination_text`` is as written, its file span
    beside it.
    ``remote`` holds sources that are URLs or git addresses. ``heredoc`` tells that a source is a heredoc.
    ``add`` tells ADD, which unpacks archives. ``selective`` tells that a flag (``--parents``, ``--exclude``) changes
    which files land where, so that ``image_path`` cannot tell.
    """

    from_: str | None
    sources: tuple[Source, ...]
    destination: str | None
    destination_text: str
    destination_start: int
    destination_end: int
    directory: bool
    remote: tuple[str, ...] = ()
    heredoc: bool = False
    add: bool = False
    selective: bool = False

    @property
    def everything(self) -> bool:
        """Whether it copies the whole build context (``COPY . .``)."""
        return self.from_ is None and any(source.value in (".", "./", "/", "") for source in self.sources)

    def image_path(self, context_path: str) -> str | None:
        """Return where the file *context_path* (POSIX, relative to the context) lands in the image.

        None where this COPY does not bring it, or where that cannot be told. ``COPY dir dst`` copies the *content*
        of a directory; ``COPY file dst`` renames unless the destination is a directory.
        """
        if self.from_ is not None or self.destination is None or self.selective:
            return None
        if self.add and _ARCHIVE.search(context_path):
            return None
        wanted = context_path.split("/")
        for source in self.sources:
            if source.value is None or source.value in self.remote:
                continue
            taken = self._taken(source.value, wanted)
            if taken is not None:
                return posixpath.join(self.destination, *taken) if taken else self.destination
        return None

    def _taken(self, value: str, wanted: list[str]) -> list[str] | None:
        """Return what comes behind the destination for the file *wanted*, None where this source does not bring it."""
        pattern = posixpath.normpath("/" + value).strip("/")
        parts = pattern.split("/") if pattern else []
        if len(parts) > len(wanted):
            return None
        glob = _WILDCARD.search(pattern) is not None or "\\" in pattern
        if glob:
            if not all(go_match(part, name) for part, name in zip(parts, wanted, strict=False)):
                return None
        elif parts != wanted[: len(parts)]:
            return None
        if len(parts) < len(wanted):
            return wanted[len(parts) :]
        if self.directory:
            return [wanted[-1]]
        return None if glob else []


def copy_of(step: Step) -> Copy | None:
    """Return what the COPY or ADD of *step* does, None for other instructions or where it cannot be read."""
    instruction = step.instruction
    if instruction.keyword not in ("COPY", "ADD"):
        return None
    logical = instruction.arguments
    text = logical.text
    spans: tuple[tuple[int, int], ...]
    words: list[str]
    if instruction.json_form is not None:
        spans = tuple(match.span() for match in _JSON_STRING.finditer(text))
        words = [json.loads(text[start:end]) for start, end in spans]
    else:
        spans = split_words(text)
        words = [text[start:end] for start, end in spans]
    if len(words) < 2:
        return None
    heredoc = bool(instruction.heredocs)
    sources: list[Source] = []
    remote: list[str] = []
    for word, (start, end) in zip(words[:-1], spans[:-1], strict=True):
        if heredoc and word.startswith("<<"):
            continue
        value = expand_word(word, step.env, step.escape)
        sources.append(Source(value, *logical.raw_span(start, end)))
        named = word if value is None else value
        if _REMOTE.match(named) or (instruction.keyword == "ADD" and _GIT.search(named) and ":" in named):
            remote.append(named)
    flag = instruction.flag("from")
    from_ = None
    if flag is not None and flag.value:
        from_ = expand_word(flag.value, step.env, step.escape) or flag.value
    last = words[-1]
    written = expand_word(last, step.env, step.escape)
    destination = _absolute(written, step.workdir)
    directory = (
        len(words) > 2
        or (written is not None and (written.endswith(("/", "/.")) or written in (".", "..")))
        or (destination is not None and (destination == step.workdir or step.is_directory(destination)))
    )
    return Copy(
        from_,
        tuple(sources),
        destination,
        last,
        *logical.raw_span(*spans[-1]),
        directory,
        tuple(remote),
        heredoc,
        instruction.keyword == "ADD",
        instruction.flag("parents") is not None or instruction.flag("exclude") is not None,
    )


def _absolute(path: str | None, workdir: str | None) -> str | None:
    if not path or "\\" in path or path[1:2] == ":":
        return None
    if not path.startswith("/"):
        if workdir is None:
            return None
        path = posixpath.join(workdir, path)
    return "/" + posixpath.normpath(path).strip("/")


def go_match(pattern: str, name: str) -> bool:
    """Return whether *name*, one path component, matches *pattern* by the rules of Go's ``filepath.Match``."""
    expression = _component(pattern)
    return expression is not None and expression.fullmatch(name) is not None


@lru_cache(maxsize=256)
def _component(pattern: str) -> re.Pattern[str] | None:
    """Return the regular expression of a pattern without slashes, None for a malformed one."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            if not parts or parts[-1] != ".*":
                parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[":
            end = re.compile(r"\^?(?:\\.|[^\]\\])+\]", re.DOTALL).match(pattern, position)
            if not end:
                return None
            body = pattern[position : end.end() - 1]
            negated = body.startswith("^")
            parts.append("[" + ("^" if negated else "") + re.sub(r"([\[&~|^])", r"\\\1", body[negated:]) + "]")
            position = end.end()
        elif char == "\\" and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(char))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return None
