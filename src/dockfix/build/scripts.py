"""The shell script inside an instruction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dockfix.syntax.dockerfile import Instruction
from dockfix.syntax.logical import Logical
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, ShellError, read_shell

if TYPE_CHECKING:
    from dockfix.build.model import Step

_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
_HEREDOC_ALONE: Final = pattern(r"\d*<<-?[ \t]*(\"[^\"]+\"|'[^']+'|[A-Za-z0-9_.-]+)\s*\Z")
_SHEBANG: Final = pattern(r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?(?:\S*/)?(\S+)")
_HEALTHCHECK: Final = pattern(r"(?i:CMD)[ \t]+")
_DOUBLE_QUOTED: Final = pattern(r"\"[^\"\\$`!]*\"")
_SINGLE_QUOTED: Final = pattern(r"'[^']*'")


def script_of(step: Step) -> Script | None:
    """Return the commands of the step's shell text; None in JSON form, for non-POSIX shells, and when unsure."""
    if not _posix(step.shell):
        return None
    source = _shell_text(step.instruction)
    if source is None:
        return None
    try:
        return read_shell(source)
    except ShellError:
        return None


def argv_of(step: Step) -> tuple[str, ...] | None:
    """Return the words that RUN, CMD, ENTRYPOINT or HEALTHCHECK start, without the shell around them.

    In JSON form these are its strings; in shell form the words of the one plain simple command that it is. None where
    it is more than one command, or where a word holds an expansion, an assignment or a redirection.
    """
    instruction = step.instruction
    if instruction.keyword not in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
        return None
    words = instruction.json_form
    if words is not None:
        return words or None
    script = step.script
    if script is None or not script.simple or len(script.commands) != 1:
        return None
    command = script.commands[0]
    if command.assignments or command.redirects or command.after not in ("", ";", "\n"):
        return None
    argv = tuple(value for value in command.argv if value is not None)
    return argv if argv and len(argv) == len(command.words) else None


def inner_script(script: Script, command: Command) -> Script | None:
    """Return the script that ``sh -c '...'`` in *command* runs; None for any other command, and when unsure.

    The argument must be one quoted word in which the outer shell changes nothing, so that offsets lead to the file.
    """
    words = command.words
    if len(words) < 3 or words[0].value is None or words[0].value.rpartition("/")[2] not in _SHELLS:
        return None
    for index, word in enumerate(words[1:], 1):
        value = word.value
        if value is None or not value.startswith("-") or value.startswith("--"):
            return None
        if value.endswith("o") and "c" not in value:
            return None
        if "c" in value[1:]:
            if not value[1:].isalpha() or "o" in value or index + 1 >= len(words):
                return None
            return _quoted_script(script.source, words[index + 1].start, words[index + 1].end)
    return None


def _quoted_script(source: Logical, start: int, end: int) -> Script | None:
    raw = source.text[start:end]
    if not (_SINGLE_QUOTED.fullmatch(raw) or _DOUBLE_QUOTED.fullmatch(raw)):
        return None
    try:
        return read_shell(source.slice(start + 1, end - 1))
    except ShellError:
        return None


def _posix(shell: tuple[str, ...]) -> bool:
    """Whether SHELL is a POSIX shell that gets the text as the argument of ``-c``."""
    if not shell:
        return True
    name = shell[0].rpartition("/")[2]
    return name in _SHELLS and len(shell) > 1 and shell[-1].startswith("-") and shell[-1].endswith("c")


def _shell_text(instruction: Instruction) -> Logical | None:
    """Return the text that the shell gets, or None in JSON form and for instructions without shell text."""
    arguments = instruction.arguments
    if instruction.keyword not in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
        return None
    if instruction.json_form is not None:
        return None
    if instruction.keyword == "HEALTHCHECK":
        match = _HEALTHCHECK.match(arguments.text)
        return arguments.slice(match.end()) if match else None
    if not instruction.heredocs:
        return arguments
    if len(instruction.heredocs) == 1 and _HEREDOC_ALONE.match(arguments.text):
        return _heredoc_script(instruction)
    return _with_bodies(instruction)


def _heredoc_script(instruction: Instruction) -> Logical | None:
    """Return the body of ``RUN <<EOF``, which is the script itself, unless a shebang names another interpreter."""
    heredoc = instruction.heredocs[0]
    body = heredoc.body
    if heredoc.chomp and re.search(r"^\t", body, re.MULTILINE):
        return _without_tabs(body, heredoc.start)
    if body.startswith("#!"):
        match = _SHEBANG.match(body)
        if not match or match.group(1) not in _SHELLS:
            return None
    return Logical(body, ((0, heredoc.start, len(body)),))


def _without_tabs(body: str, start: int) -> Logical | None:
    pieces: list[tuple[int, int, int]] = []
    lines: list[str] = []
    size, at = 0, start
    for line in re.findall(r"[^\n]*\n|[^\n]+", body):
        kept = line.lstrip("\t")
        if kept:
            pieces.append((size, at + len(line) - len(kept), len(kept)))
            lines.append(kept)
            size += len(kept)
        at += len(line)
    text = "".join(lines)
    if text.startswith("#!"):
        match = _SHEBANG.match(text)
        if not match or match.group(1) not in _SHELLS:
            return None
    return Logical(text, tuple(pieces) or ((0, start, 0),))


def _with_bodies(instruction: Instruction) -> Logical:
    """Return the instruction's own line with the heredocs behind it, as the shell gets them."""
    arguments = instruction.arguments
    pieces = list(arguments.pieces)
    size = len(arguments.text)
    texts = [arguments.text]
    for heredoc in instruction.heredocs:
        # The line ending in front of the body and the terminator behind it stand in the file as well.
        if heredoc is instruction.heredocs[0]:
            pieces.append((size, heredoc.start - 1, 1))
            texts.append("\n")
            size += 1
        text = heredoc.body + heredoc.name + "\n"
        pieces.append((size, heredoc.start, len(text)))
        texts.append(text)
        size += len(text)
    return Logical("".join(texts), tuple(pieces))
