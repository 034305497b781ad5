"""The command that a container ends up running, wherever it is written.

It may stand in CMD, in ENTRYPOINT, in both, behind ``sh -c``, as the last of several shell commands, or at the end of
a script that one of them runs.
"""

from __future__ import annotations

import posixpath
from itertools import pairwise
from typing import Final

from dockfix.build.lineage import image_path, start_steps
from dockfix.build.model import Build, Step
from dockfix.build.scripts import argv_of
from dockfix.records import record, replace
from dockfix.syntax.edit import Edit
from dockfix.syntax.logical import Logical
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, ShellError, read_shell

_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash"})
_WRAPPERS: Final = frozenset({"exec", "tini", "dumb-init", "env", "nohup", "ddtrace-run", "opentelemetry-instrument"})
_RUNNERS: Final = frozenset({"poetry", "pipenv", "uv", "pdm"})
_ALL_ARGUMENTS: Final = frozenset({'"$@"', "$@", '"${@}"', "$*", "${@}"})
_ARGUMENT: Final = pattern(r"\$(?:[1-9#]|\{#?[1-9#]|[*@]|\{[*@])")
_PLAIN_WORD: Final = pattern(r"[\w@%+=:,./${}-]+\Z")
_EXPANDED: Final = pattern(r'(?:[\w@%+=:,./${}-]|"[^"\\`]*")+\Z')
"""A word as a script has it, where a variable in it is not known: its quotes are still there."""


@record
class Shell:
    """Shell text on the way to the command. ``passes`` tells that it ends in ``exec "$@"``.

    The offsets of ``script`` lead into the file ``path``, or into ``within``, the string of the JSON form of ``step``.
    """

    path: str
    step: Step
    script: Script
    within: str | None = None
    passes: bool = False


@record
class Start:
    """The command: ``words`` are values; a word in which the shell expands something stands as it is written.

    ``path`` and ``line`` tell where it is written (``path`` relative to the repository's root), ``step`` the
    instruction that leads there. ``shell`` tells whether a shell expands variables in it. ``workdir`` is the directory
    in which it starts. ``before`` are the texts of the commands that the shell runs first. ``entrypoint`` is an
    ENTRYPOINT that holds the first ``from_entrypoint`` of the words, where CMD holds the rest.
    """

    path: str
    line: int
    step: Step
    words: tuple[str, ...]
    shell: bool
    workdir: str
    span: tuple[int, int]
    before: tuple[str, ...] = ()
    entrypoint: Step | None = None
    from_entrypoint: int = 0
    within: str | None = None
    """The text that ``sh -c`` gets, where that is a string of the JSON form; ``span`` is then its part of that text."""
    exec_form: bool = True
    """Whether it is, or may become, a JSON array: a plain command that is the whole of the instruction."""
    replaceable: bool = False
    """Whether the shell has nothing left to do when it starts: ``exec`` may take its place."""
    shells: tuple[Shell, ...] = ()
    """The shell texts that run on the way, the one that holds the command last."""

    @property
    def prefix(self) -> int:
        """How many words stand before the program: ``exec``, ``tini --``, ``poetry run`` and the like."""
        return wrapped(self.words)

    @property
    def runner(self) -> str:
        """The package manager in whose environment the program runs (``poetry run ...``), "" for none."""
        prefix = self.words[: self.prefix]
        return next((word for word, run in pairwise(prefix) if run == "run"), "")

    def rewritten(self, words: tuple[str, ...]) -> Edit:
        """Return the edit of ``path`` that starts *words* in its place, in the same form.

        A shell form that is one plain command becomes the JSON form.
        """
        if self.exec_form:
            return Edit(*self.span, _array(words))
        text = " ".join(map(shell_word, words))
        if self.within is None:
            return Edit(*self.span, text)
        start, end = self.span
        whole = self.step.instruction.json_form or ()
        arguments = self.step.instruction.arguments
        inner = self.within[:start] + text + self.within[end:]
        return Edit(*arguments.raw_span(0, len(arguments.text)), _array((*whole[:-1], inner)))


@record
class Unclear:
    """Why the command cannot be told; ``text`` is what the shell gets, for those who look for a word in it."""

    reason: str
    text: str
    line: int
    path: str


def start_of(build: Build) -> Start | Unclear | None:
    """Return the command that a container of the image runs in the end; None where the image says none."""
    entry, cmd = start_steps(build)
    if entry is None:
        return _of_step(build, cmd, ()) if cmd is not None else None
    given = entry.instruction.json_form
    if given is None:  # the shell form ignores CMD
        return _of_step(build, entry, ())
    rest = given[wrapped(given) :]
    if not rest:  # an init that runs what CMD says
        return _of_step(build, cmd, ()) if cmd is not None else None
    found = _script_file(build, entry, given, passes=cmd is not None)
    if isinstance(found, _Passes):
        return _of_step(build, cmd, found.before, found.shells) if cmd is not None else None
    if found is not None:
        return found
    if cmd is None:
        return _of_step(build, entry, ())
    own = cmd.instruction.json_form
    if own is None:
        return None  # the shell of CMD becomes an argument of ENTRYPOINT: it does not start as it is
    if entry.stage != cmd.stage:
        text = " ".join((*given, *own))
        return Unclear("ENTRYPOINT and CMD stand in different stages", text, cmd.line, build.path)
    span = cmd.instruction.arguments.raw_span(0, len(cmd.instruction.arguments.text))
    workdir = build.final.workdir or "/"
    return Start(build.path, cmd.line, cmd, (*given, *own), False, workdir, span, (), entry, len(given))


def wrapped(words: tuple[str, ...]) -> int:
    """Return how many of *words* stand before the program that they run in the end: ``exec``, ``poetry run``, ..."""
    at = 0
    while at < len(words):
        name = posixpath.basename(words[at])
        if name in _WRAPPERS:
            at += 1
            while at < len(words) and (words[at].startswith("-") or (name == "env" and "=" in words[at])):
                at += 1
        elif name in _RUNNERS and words[at + 1 : at + 2] == ("run",):
            at += 2
            while at < len(words) and words[at].startswith("-"):
                at += 1
        else:
            break
    return at


def looks_at_arguments(start: Start) -> str | None:
    """Return where a script that ends in ``exec "$@"`` does more with what it is given, None where none does."""
    for shell in start.shells:
        if shell.passes:
            text = shell.script.source.text
            last = max(command.start for command in shell.script.commands if not command.substitution)
            lines = text[:last].split("\n")
            for number, line in enumerate(lines, 1):
                if not line.lstrip().startswith("#") and _ARGUMENT.search(line):
                    return f"{shell.path}:{number}"
    return None


def shell_word(word: str) -> str:
    """Return *word* as it is written in shell text; ``$`` stays an expansion, within double quotes as well."""
    import shlex

    if "$" in word and _EXPANDED.match(word):
        return word
    return word if _PLAIN_WORD.match(word) else shlex.quote(word)


@record
class _Passes:
    """A script that ends in ``exec "$@"``: it runs what it is given."""

    before: tuple[str, ...]
    shells: tuple[Shell, ...]


def _of_step(
    build: Build, step: Step, before: tuple[str, ...], shells: tuple[Shell, ...] = ()
) -> Start | Unclear | None:
    """Return what one instruction starts, of which nothing stands elsewhere."""
    instruction = step.instruction
    words = argv_of(step)
    workdir = build.final.workdir or "/"
    if words is not None:
        found = _script_file(build, step, words, passes=False)
        if isinstance(found, Start) and shells:
            return replace(found, shells=(*shells, *found.shells))
        if isinstance(found, (Start, Unclear)):
            return found
        if len(words) == 3 and posixpath.basename(words[0]) in _SHELLS and words[1] in ("-c", "-ec", "-lc", "-xc"):
            return _inline(build, step, words[2], before, shells)
        span = instruction.arguments.raw_span(0, len(instruction.arguments.text))
        return Start(build.path, step.line, step, words, False, workdir, span, before, shells=shells)
    if step.script is None:
        return Unclear("the start command is shell that is not plain", instruction.value, step.line, build.path)
    found = _last(step.script, build.path, step, workdir, before, shells)
    return found if isinstance(found, (Start, Unclear)) else None


def _inline(
    build: Build, step: Step, text: str, before: tuple[str, ...], shells: tuple[Shell, ...]
) -> Start | Unclear | None:
    script = _read(text)
    if script is None:
        return Unclear("the start command is shell that is not plain", text, step.line, build.path)
    if step.instruction.json_form is None:  # sh -c "..." in shell form: two shells, one inside of the other
        return Unclear("the start command is a shell inside of a shell", text, step.line, build.path)
    found = _last(script, build.path, step, build.final.workdir or "/", before, shells, within=text)
    return found if isinstance(found, (Start, Unclear)) else None


def _script_file(build: Build, step: Step, words: tuple[str, ...], *, passes: bool) -> Start | Unclear | _Passes | None:
    """Return what the script starts that *words* run, None where they run no script of the build context."""
    rest = words[wrapped(words) :]
    while rest and posixpath.basename(rest[0]) in _SHELLS:
        rest = rest[1:]
        while rest and rest[0].startswith("-") and "c" not in rest[0]:
            rest = rest[1:]
    if not rest or not (rest[0].endswith((".sh", ".bash")) or "entrypoint" in posixpath.basename(rest[0])):
        return None
    target = posixpath.normpath(posixpath.join(build.final.workdir or "/", rest[0]))
    context = build.project.context
    name = posixpath.basename(target)
    found = [path for path in context.paths if posixpath.basename(path) == name and image_path(build, path) == target]
    text = context.text(found[0]) if len(found) == 1 else None
    if text is None:
        return Unclear(f"{rest[0]} is not found among the files that the image has", "", step.line, build.path)
    place = context.repository_path(found[0])
    script = _read(text) if not text.startswith("#!") or _is_shell(text) else None
    if script is None:
        return Unclear(f"{place} is not a shell script that is plain", text, step.line, build.path)
    start = _last(script, place, step, build.final.workdir or "/", (), in_file=True, passes=passes)
    if isinstance(start, Start) and len(rest) > 1 and any(word in _ALL_ARGUMENTS for word in start.words):
        return Unclear(f"{place} gets arguments", text, start.line, place)
    return start


def _is_shell(text: str) -> bool:
    first = text.partition("\n")[0].split()
    return any(posixpath.basename(word.removeprefix("#!")) in _SHELLS for word in first)


def _read(text: str) -> Script | None:
    try:
        return read_shell(Logical(text, ((0, 0, len(text)),)))
    except ShellError:
        return None


def _last(
    script: Script,
    path: str,
    step: Step,
    workdir: str,
    before: tuple[str, ...],
    shells: tuple[Shell, ...] = (),
    *,
    within: str | None = None,
    in_file: bool = False,
    passes: bool = False,
) -> Start | Unclear | _Passes | None:
    """Return the last command of *script*, which runs it after the others."""
    commands = [command for command in script.commands if not command.substitution]
    if not commands:
        return None
    last = commands[-1]
    source = script.source
    shell = Shell(path, step, script, within, passes)
    start, end = (0, 0) if not last.words else (last.words[0].start, last.words[-1].end)
    line = source.text.count("\n", 0, last.start) + 1 if in_file else step.line
    words = tuple(word.raw if word.value is None else word.value for word in last.words)
    plain = words[wrapped(words) :]
    if len(plain) == 1 and plain[0] in _ALL_ARGUMENTS and not last.depth:
        texts = tuple(source.text[command.start : command.end] for command in commands[:-1])
        return _Passes(texts, (shell,)) if passes else None
    reason = _unclear(commands, last)
    if reason:
        return Unclear(reason, source.text, line, path)
    folder = _directory(commands, workdir)
    if folder is None:
        return Unclear("the directory in which the start command runs is not clear", source.text, line, path)
    texts = tuple(source.text[command.start : command.end] for command in commands[:-1])
    span = (start, end) if within is not None else source.raw_span(start, end)
    replaceable = not last.assignments and not any(command.name == "trap" for command in commands)
    replaceable = replaceable and last.after in ("", "\n", ";") and words[0] != "exec"
    texts = (*before, *texts)
    return Start(
        path,
        line,
        step,
        words,
        True,
        folder,
        span,
        texts,
        within=within,
        exec_form=False,
        replaceable=replaceable,
        shells=(*shells, replace(shell, passes=False)),
    )


def _unclear(commands: list[Command], last: Command) -> str | None:
    if last.depth:
        return "the start command stands inside of a condition, a loop or a group"
    if not last.words or last.before == "|" or last.after == "|":
        return "the start command is a pipe"
    if last.before == "||":
        return "the start command runs only if another one fails"
    if any(command.after == "&" for command in commands):
        return "the start command runs several programs at once"
    return None


def _directory(commands: list[Command], workdir: str) -> str | None:
    """Return the directory in which the last command runs, None where that is not clear."""
    folder = workdir
    for command in commands[:-1]:
        if command.name in ("pushd", "popd"):
            return None
        if command.name == "cd":
            if command.depth or len(command.words) != 2 or command.words[1].value is None:
                return None
            folder = posixpath.normpath(posixpath.join(folder, command.words[1].value))
    return folder


def _array(words: tuple[str, ...]) -> str:
    import json

    return json.dumps(words, ensure_ascii=False)
