"""The command of a start that migrates a database: where it stands, and what runs before and behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from posixpath import basename
from typing import Final

from dockfix.build.start import Shell, Start, shell_word, wrapped
from dockfix.records import record
from dockfix.syntax.edit import Edit, apply_edits
from dockfix.syntax.logical import Logical
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, ShellError, read_shell
from dockfix_transforms._obstacle import Obstacle

MENTION: Final = pattern(r"\bdb\b.*\bupgrade\b|\bmigrate\b|\balembic\b.*\bupgrade\b|\baerich\b.*\bupgrade\b")
_WRITES: Final = pattern(r"\bmakemigrations\b|\bdb\s+(?:migrate|init|revision)\b|\brevision\s+--autogenerate\b")
_PYTHON: Final = pattern(r"python[\d.]*\Z")
_SAYING: Final = frozenset({"set", "echo", "printf", ":", "true"})
_WAITING: Final = pattern(
    r"(?:\S*/)?(?:wait[\w.-]*|sleep|nc|netcat|pg_isready|mysqladmin|dockerize|until|while|do|done|test|\[|echo|printf|true|:|break)(?=\s|\Z)"
)
_WITHOUT_DATABASE: Final = pattern(r"\bcollectstatic\b|\bcompilemessages\b|\bcompileall\b|\bcompress\b")
_BETWEEN: Final = pattern(r"\s*(?:&&|;|\n)[\s\\]*\Z")
_MESSAGE: Final = pattern(r"(?:echo|printf)\b.*(?:migrat|database|schema|\bdb\b)", re.IGNORECASE)


@record
class Migration:
    """``command`` in ``shell``; ``words`` are what it runs. ``waits`` tells that something waits in front of it."""

    shell: Shell
    command: Command
    words: tuple[str, ...]
    prefix: tuple[Command, ...]
    """What has to run in front of it wherever it runs: ``cd``."""
    waits: bool

    @property
    def text(self) -> str:
        """The command as it is written."""
        return self.shell.script.source.text[self.command.words[0].start : self.command.words[-1].end]

    @property
    def place(self) -> tuple[int, str]:
        """Line and path where it stands."""
        return _place(self.shell, self.command)

    @property
    def runner(self) -> str:
        """The package manager that starts it (``poetry run ...``), "" for none."""
        prefix = self.words[: wrapped(self.words)]
        return next((word for word, run in pairwise(prefix) if run == "run"), "")

    @property
    def may_fail(self) -> bool:
        """Whether the start goes on where it fails."""
        stops = re.search(r"(?m)^\s*set\s+-\w*e|\A#!.*\s-\w*e", self.shell.script.source.text)
        return self.command.after in (";", "\n") and stops is None

    def alone(self) -> tuple[str, ...]:
        """Return the words of a command that does the same in a container of its own."""
        words = self.words[1:] if self.words[:1] == ("exec",) else self.words
        expands = any(word.value is None for word in self.command.words)
        if not expands and not self.prefix:
            return words
        source = self.shell.script.source.text
        texts = [source[command.start : command.end] for command in self.prefix]
        return ("sh", "-c", " && ".join([*texts, " ".join(map(shell_word, words))]))


def migrates(words: Sequence[str]) -> bool:
    """Whether a command brings a database to the newest version of its schema."""
    rest = list(words[wrapped(tuple(words)) :])
    if rest and _PYTHON.match(basename(rest[0])):
        del rest[0]
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            del rest[0]
        rest = rest[1:] if rest[:1] == ["-m"] else rest
    if not rest:
        return False
    name, plain = basename(rest[0]), [word for word in rest[1:] if not word.startswith("-")]
    if name == "flask":
        return any(rest[at : at + 2] == ["db", "upgrade"] for at in range(len(rest)))
    if name in ("manage.py", "django-admin"):
        return plain[:1] == ["migrate"] and not {"--plan", "--check", "--list", "-l"} & set(rest)
    if name == "alembic":
        return "upgrade" in plain and "--sql" not in rest
    return name == "aerich" and plain[:1] == ["upgrade"]


def migration_of(start: Start) -> Migration | None:
    """Return the command that migrates before *start*, None where none does.

    Raises ``Obstacle`` where one does that cannot be taken out, or not run on its own.
    """
    found: list[Migration] = []
    for shell in start.shells:
        commands = [command for command in shell.script.commands if not command.substitution and command.words]
        last = None if shell.passes else commands[-1]
        for at, command in enumerate(commands):
            words = _words(command)
            text = " ".join(words)
            if _WRITES.search(text):
                if any(MENTION.search(_text(other)) for other in commands):
                    raise Obstacle(
                        f"`{text}` writes migrations in the container, where they are lost", *_place(shell, command)
                    )
            elif command is not last and migrates(words):
                found.append(_migration(shell, commands, at, words))
    if len(found) > 1:
        raise Obstacle("the start migrates more than once", *found[1].place)
    return found[0] if found else None


def _words(command: Command) -> tuple[str, ...]:
    return tuple(word.raw if word.value is None else word.value for word in command.words)


def _text(command: Command) -> str:
    return " ".join(word.raw for word in command.words)


def _in_file(shell: Shell) -> bool:
    """Whether the text is that of a script, not of an instruction."""
    return shell.within is None and shell.step.script is not shell.script


def _place(shell: Shell, command: Command) -> tuple[int, str]:
    """Return line and path of a command."""
    before = shell.script.source.text.count("\n", 0, command.start)
    return before + 1 if _in_file(shell) else shell.step.line, shell.path


def _migration(shell: Shell, commands: list[Command], at: int, words: tuple[str, ...]) -> Migration:
    command = commands[at]
    place = _place(shell, command)
    if command.depth:
        raise Obstacle("the migration stands in a condition, a loop or a group", *place)
    if command.before in ("|", "|&", "||", "&") or command.after in ("|", "|&", "||", "&"):
        raise Obstacle("what the start does depends on how the migration ends", *place)
    if command.assignments or command.redirects:
        raise Obstacle("the migration has variables or redirections of its own", *place)
    prefix: list[Command] = []
    waits = False
    for other in commands[:at]:
        text = _text(other)
        if shell.passes:  # it runs in front of every command, of the one that migrates as well
            waits = waits or "wait" in text or (_WAITING.match(text) is not None and other.name not in _SAYING)
        elif _WAITING.match(text) or (other.name in _SAYING and not other.depth):
            continue
        elif migrates(_words(other)):
            raise Obstacle("the start migrates more than once", *place)
        elif other.name == "cd" and not other.depth and len(other.words) == 2 and other.words[1].value is not None:
            prefix.append(other)
        else:
            raise Obstacle(f"`{_short(text)}` runs first, and whether the migration needs it is not known", *place)
    for other in commands[at + 1 : -1] if shell.passes else ():
        text = _text(other)
        if other.name not in _SAYING and not _WITHOUT_DATABASE.search(text) and other.name not in ("cd", "export"):
            raise Obstacle(f"`{_short(text)}` runs behind it, for every command, and may need the database", *place)
    return Migration(shell, command, words, tuple(prefix), waits)


def _short(text: str) -> str:
    return text if len(text) <= 50 else text[:47] + "..."


def without(text: str, migration: Migration) -> list[Edit]:
    """Return the edits of ``shell.path``, which is *text*, that take the migration out of the start.

    Raises ``Obstacle`` where it is not clear what would be left.
    """
    shell, command = migration.shell, migration.command
    commands = [one for one in shell.script.commands if not one.substitution and one.words]
    following = commands[commands.index(command) + 1]
    source = shell.script.source
    if command.before == "&&" and command.after != "&&":
        raise Obstacle("what the start does depends on what runs before the migration", *migration.place)
    if _in_file(shell) and _lines_of_its_own(source.text, command):
        return [Edit(*_whole_lines(source.text, command, commands), "")]
    if not _BETWEEN.match(source.text[command.end : following.start]):
        raise Obstacle("what follows the migration is not a plain command", *migration.place)
    if shell.within is not None:
        return [_rearranged(shell, apply_edits(shell.within, [Edit(command.start, following.start, "")]))]
    begin, end = source.raw_start(command.start), source.raw_start(following.start)
    if re.search(r"^[ \t]*#", text[begin:end], re.MULTILINE):
        raise Obstacle("a comment stands behind the migration", *migration.place)
    return [Edit(begin, end, "")]


def _lines_of_its_own(text: str, command: Command) -> bool:
    head = text[: command.start].rpartition("\n")[2]
    tail = text[command.end :].partition("\n")[0]
    return not head.strip() and (not tail.strip() or tail.strip().startswith("#"))


def _whole_lines(text: str, command: Command, commands: list[Command]) -> tuple[int, int]:
    """Return the span of the command's lines, with the comments and the message above that announce it."""
    begin = text.rfind("\n", 0, command.start) + 1
    end = text.find("\n", command.end)
    end = len(text) if end < 0 else end + 1
    at = commands.index(command)
    while begin:
        start = text.rfind("\n", 0, begin - 1) + 1
        line = text[start:begin].strip()
        message = at > 0 and commands[at - 1].start >= start and _MESSAGE.match(line)
        if not (message or (line.startswith("#") and not line.startswith("#!"))):
            break
        at -= 1 if message else 0
        begin = start
    above = text[:begin].rpartition("\n")[0].rpartition("\n")[2] if begin else ""
    if not above.strip():
        while text[end : end + 1] == "\n":
            end += 1
    return begin, end


def _rearranged(shell: Shell, inner: str) -> Edit:
    """Return the edit that makes *inner* the text of ``sh -c``, without the shell where it has nothing left to do."""
    import json

    whole = shell.step.instruction.json_form or ()
    arguments = shell.step.instruction.arguments
    words: tuple[str, ...] = (*whole[:-1], inner)
    try:
        script = read_shell(Logical(inner, ((0, 0, len(inner)),)))
    except ShellError:
        script = None
    if script is not None and script.simple and len(script.commands) == 1 and whole[1:2] == ("-c",):
        command = script.commands[0]
        argv = [value for value in command.argv if value is not None]
        if len(argv) == len(command.words) and not command.assignments and not command.redirects:
            words = tuple(argv[1:] if argv[:1] == ["exec"] else argv)
    return Edit(*arguments.raw_span(0, len(arguments.text)), json.dumps(words, ensure_ascii=False))
