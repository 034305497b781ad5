"""The commands inside RUN, CMD, ENTRYPOINT and scripts: a reader of POSIX shell that gives up loudly.

It reads; it never writes shell. Every word and command carries the file offsets where it stands, so that transforms
insert and delete at spans. Where the text is not plain enough to be sure, ``ShellError`` is raised and the text is
left alone.
"""

from __future__ import annotations

from dockfix.records import record
from dockfix.syntax.logical import Logical


class ShellError(ValueError):
    """The text is no shell that this reader is sure about; the message says why."""


@record
class Word:
    """A shell word. ``start``/``end``: offsets in the *logical* text that was read; ``raw``: the text between.

    ``value`` is the text behind quotes and backslashes, None where it holds an expansion ($x, $(..), `..`, a glob,
    a leading tilde or a brace expansion). ``quoted`` tells whether any part of it was quoted or escaped.
    """

    start: int
    end: int
    raw: str
    value: str | None
    quoted: bool


@record
class Redirect:
    """``2>&1``, ``> file``, ``<<EOF``: ``operator`` without the file descriptor, ``target`` the word behind it."""

    start: int
    end: int
    operator: str
    target: Word


@record
class Command:
    """One simple command: assignments, words, redirections.

    ``start``/``end`` span it in the logical text, redirections included, separators not.
    ``before`` is the operator in front of it within its list ("", "&&", "||", ";", "|", "&", "\\n"); ``after`` the one
    behind it. ``depth`` is 0 at the top level and counts subshells, groups, if/for/while/case bodies and functions
    around it; commands inside ``$(...)`` or backticks are listed with ``substitution`` True.
    """

    start: int
    end: int
    assignments: tuple[Word, ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    before: str
    after: str
    depth: int = 0
    substitution: bool = False
    shells: tuple[int, ...] = ()
    """The offsets of the subshells and substitutions around it: a ``cd`` in one of them ends with it."""

    @property
    def argv(self) -> tuple[str | None, ...]:
        """The value of every word; None where it holds an expansion."""
        return tuple(word.value for word in self.words)

    @property
    def name(self) -> str | None:
        """The value of the first word, or None."""
        return self.words[0].value if self.words else None


@record
class Script:
    """What was read. ``source`` maps logical offsets back to the file (``source.raw_span(word.start, word.end)``).

    ``commands`` are all simple commands in the order of their start, nested ones as well. ``simple`` tells whether
    the whole is a list of depth-0 simple commands joined by ``&&``, ``;``, ``||``, ``|``, ``&`` or line ends only.
    """

    source: Logical
    commands: tuple[Command, ...]
    simple: bool

    def span(self, item: Word | Command | Redirect) -> tuple[int, int]:
        """Return the file offsets of *item*."""
        return self.source.raw_span(item.start, item.end)


def read_shell(source: Logical) -> Script:
    """Return the commands of the shell text *source*. Raises ``ShellError`` where it is not sure."""
    if "\r" in source.text or "\0" in source.text:
        raise ShellError("a carriage return or a null character in the shell text")
    from dockfix.syntax.shell_commands import CommandReader

    reader = CommandReader(source.text)
    reader.read_list(frozenset())
    if reader.pending:
        raise ShellError("a heredoc without its body")
    reader.commands.sort(key=lambda command: command.start)
    return Script(source, tuple(reader.commands), reader.simple)
