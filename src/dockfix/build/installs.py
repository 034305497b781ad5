"""What a RUN installs: the package managers that dockfix knows, in all their spellings."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from dockfix.build.managers import PIP, PIP_PROGRAM, PREFIXES, PROGRAMS, PYTHON_MODULES, PYTHON_PROGRAM, Manager
from dockfix.build.scripts import inner_script
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, Word

if TYPE_CHECKING:
    from dockfix.build.model import Step

_MAX_NESTING: Final = 3
_LOOKS_LIKE: Final = pattern(
    r"pip|uv|poetry|pdm|conda|mamba|apt|apk|yum|dnf|npm|yarn|gem|go|bundle|composer", re.IGNORECASE
)
_VARIABLE: Final = pattern(r"[A-Za-z_][A-Za-z0-9_]*=")
_PYTHON_OPTIONS: Final = pattern(r"-[A-Zbdisuvx]*(?:m(.*))?\Z")
_PROGRAM_IN_VARIABLE: Final = pattern(r"\"?\$(?:\{[A-Za-z0-9_]+\}|[A-Za-z0-9_]+)\"?[A-Za-z0-9_./-]*/([a-z.0-9-]+)\"?\Z")
_EXTRA: Final = pattern(r"[A-Za-z0-9._/:@+-]+\[[A-Za-z0-9._,-]*\](?:(?:[=~!]=)[A-Za-z0-9.!+_-]+)?\Z")
_VERSION_UNKNOWN: Final = pattern(r"\"?[A-Za-z][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]*\])?[=~<>!]=\$(?:\w+|\{\w+\})\"?\Z")
_OPTION_NAME: Final = pattern(r"--?[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ARCHIVES: Final = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".deb", ".rpm", ".apk", ".gem", "/")
_NO_PROJECT: Final = frozenset({"--no-root", "--only-root", "--no-self", "--no-install-project", "--no-directory"})


@record
class Install:
    """One command that installs packages.

    ``manager`` is one of pip, uv-pip, uv-sync, uv-tool, poetry, pipenv, pdm, conda, apt, apk, yum, npm,
    yarn, pnpm, gem, go, composer, bundle.
    ``action`` is the manager's own subcommand ("install", "sync", "ci", "add", "update", "download" ...).
    ``command`` is the simple command in ``script``; where the command stands inside ``sh -c '...'`` or the like,
    ``script`` is the inner script (its own mapping leads to file offsets all the same).
    ``verb`` is the word of the subcommand, the usual place to insert an option behind.
    ``packages`` are the operands (requirement specifiers, package names, paths, URLs), None for one with an expansion.
    ``manifests`` are the files that it reads, as written: ``-r``/``-c`` files, pyproject.toml, lock files by the
    manager's convention, relative to ``workdir``.
    ``workdir`` is the absolute directory it runs in (a ``cd`` in the RUN counted in), None if unknown.
    ``options`` are the values of its words that begin with a dash, up to ``=``.
    ``local`` are operands that are paths of the image (``.``, ``-e .``, ``./x``, ``*.whl``), which need the source.
    ``find_links``, ``index`` as given.
    """

    manager: str
    action: str
    script: Script
    command: Command
    verb: Word
    options: frozenset[str]
    packages: tuple[str | None, ...]
    manifests: tuple[str, ...]
    local: tuple[str, ...]
    workdir: str | None
    editable: bool = False
    requirements: tuple[str, ...] = ()
    """The ``-r`` files only, as written."""
    constraints: tuple[str, ...] = ()
    """The ``-c`` files only, as written."""
    unsure: tuple[str, ...] = ()
    """Reasons for which the reading is not complete (an expansion in an operand, an unknown option)."""


def installs_of(step: Step) -> tuple[Install, ...]:
    """Return the installs of a RUN step in order; empty for other steps and for shell that is not understood."""
    if step.keyword != "RUN" or not _LOOKS_LIKE.search(_text_of(step)):
        return ()
    script = step.script
    if script is None:
        return ()
    found: list[Install] = []
    _collect(script, step.workdir, found, 0)
    return tuple(found)


def _text_of(step: Step) -> str:
    heredocs = step.instruction.heredocs
    return (
        step.instruction.value + "".join(heredoc.body for heredoc in heredocs) if heredocs else step.instruction.value
    )


def _collect(script: Script, workdir: str | None, found: list[Install], nesting: int) -> None:
    directories = _Directories(workdir)
    for command in script.commands:
        directory = directories.enter(command)
        if not command.words:
            continue
        install = _install(script, command, directory)
        if install:
            found.append(install)
        elif nesting < _MAX_NESTING:
            inner = inner_script(script, command)
            if inner:
                _collect(inner, directory, found, nesting + 1)


class _Directories:
    """Follows ``cd`` through the commands of a script, subshells apart."""

    def __init__(self, workdir: str | None) -> None:
        self.current: dict[tuple[int, ...], str | None] = {(): workdir}
        self.conditional: list[tuple[tuple[int, ...], int]] = []

    def enter(self, command: Command) -> str | None:
        """Return the directory that *command* starts in, and take note of where it goes."""
        while self.conditional and command.depth < self.conditional[-1][1]:
            shells, _ = self.conditional.pop()
            if command.shells[: len(shells)] == shells:
                self.current[shells] = None
        shells = command.shells
        while shells not in self.current:
            shells = shells[:-1]
        directory = self.current[shells]
        apart = command.before in ("|", "|&") or command.after in ("|", "|&", "&")
        if command.name in ("cd", "pushd", "popd") and not apart:
            # What stands behind `||` may not have run.
            self.current[command.shells] = self.target(command, directory) if command.before != "||" else None
            if command.depth > len(command.shells):
                self.conditional.append((command.shells, command.depth))
        return directory

    @staticmethod
    def target(command: Command, directory: str | None) -> str | None:
        words = [word for word in command.words[1:] if word.value not in ("--", "-P", "-L")]
        if command.name == "popd" or len(words) != 1 or words[0].value is None:
            return None
        return _join(directory, words[0].value) if words[0].value not in ("", "-") else None


def _join(directory: str | None, path: str) -> str | None:
    if path.startswith("/"):
        return posixpath.normpath("/" + path.lstrip("/"))
    return posixpath.normpath(posixpath.join(directory, path)) if directory is not None else None


def _install(script: Script, command: Command, workdir: str | None) -> Install | None:
    words = command.words
    start = _program(words)
    if start is None:
        return None
    manager, at = start
    reading = _read(manager, words, at)
    if reading is None:
        return None
    reasons = reading.unsure
    reasons += [
        f"the shell redirects to a file named {redirect.target.raw}"
        for redirect in command.redirects
        if redirect.target.raw.startswith("=")
    ]
    for directory in reading.directories:
        workdir = _join(workdir, directory) if directory is not None else None
    manifests = (*reading.requirements, *reading.constraints)
    if manager.manifests and (manager.always or not reading.packages) and not reading.options & {"-g", "--global"}:
        manifests = (*manager.manifests, *manifests)
    local = [package for package in reading.packages if package is not None and manager.paths and _is_path(package)]
    if manager.name in ("poetry", "pdm", "uv-sync") and not reading.options & _NO_PROJECT:
        local.append(".")
    return Install(
        manager.name,
        reading.action,
        script,
        command,
        reading.verb,
        reading.options,
        tuple(reading.packages),
        tuple(manifests),
        tuple(local),
        workdir,
        reading.editable,
        tuple(reading.requirements),
        tuple(reading.constraints),
        tuple(reasons),
    )


def _program(words: tuple[Word, ...]) -> tuple[Manager, int] | None:
    """Return the manager that *words* start, and the index of the word behind its name."""
    at = 0
    while at < len(words):
        name = _base(words[at])
        following = words[at + 1].value if at + 1 < len(words) else None
        if PIP_PROGRAM.match(name):
            return PIP, at + 1
        if PYTHON_PROGRAM.match(name):
            return _python_module(words, at + 1)
        if name == "uv" and (option := _uv_subcommand(words, at + 1)):
            return option
        if name in PROGRAMS and f"{name} {following}" not in PREFIXES:
            return PROGRAMS[name], at + 1
        prefix = f"{name} {following}" if f"{name} {following}" in PREFIXES else name
        if prefix not in PREFIXES:
            return None
        at = _behind_prefix(words, at + 1 + prefix.count(" "), PREFIXES[prefix])
    return None


def _uv_subcommand(words: tuple[Word, ...], at: int) -> tuple[Manager, int] | None:
    for index in range(at, min(len(words), at + 6)):
        value = words[index].value
        if value in ("pip", "tool"):
            return PROGRAMS[f"uv {value}"], index + 1
        if value is None or not value.startswith("-"):
            return None
    return None


def _behind_prefix(words: tuple[Word, ...], at: int, values: frozenset[str]) -> int:
    while at < len(words):
        raw = words[at].raw
        if raw in values:
            at += 2
        elif raw == "--":
            return at + 1
        elif raw.startswith("-") or _VARIABLE.match(raw):
            at += 1
        else:
            return at
    return at


def _python_module(words: tuple[Word, ...], at: int) -> tuple[Manager, int] | None:
    while at < len(words):
        value = words[at].value or ""
        if value in ("-W", "-X"):
            at += 2
            continue
        match = _PYTHON_OPTIONS.match(value)
        if not match:
            return None
        if match.group(1) is not None:
            module = match.group(1)
            if not module:
                at += 1
                module = (words[at].value or "") if at < len(words) else ""
            if module == "uv" and (option := _uv_subcommand(words, at + 1)):
                return option
            return (PROGRAMS[module], at + 1) if module in PYTHON_MODULES else None
        at += 1
    return None


def _base(word: Word) -> str:
    """Return the name of the program that *word* starts, "" if that cannot be told."""
    if word.value is not None:
        return word.value.rpartition("/")[2]
    match = _PROGRAM_IN_VARIABLE.match(word.raw)
    return match.group(1) if match else ""


class _Reading:
    """What the words behind a manager's name say, put together word by word."""

    def __init__(self, action: str, verb: Word) -> None:
        self.action = action
        self.verb = verb
        self.packages: list[str | None] = []
        self.seen: list[str] = []
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.directories: list[str | None] = []
        self.unsure: list[str] = []
        self.editable = False

    @property
    def options(self) -> frozenset[str]:
        return frozenset(self.seen)


def _read(manager: Manager, words: tuple[Word, ...], at: int) -> _Reading | None:
    reading = _Reading("install", words[at - 1])
    verb: list[str] = []
    found = False
    plain = False
    while at < len(words):
        word = words[at]
        at += 1
        value = _value(word)
        if not plain and word.raw == "--":
            plain = True
        elif not plain and word.raw.startswith("-") and len(word.raw) > 1:
            name, inline = _option(manager, word)
            takes = _takes_value(manager, name, inline, reading)
            if takes and inline is None:
                if at >= len(words):
                    reading.unsure.append(f"{name} without its value")
                    return reading if found else None
                inline = _value(words[at])
                at += 1
            if takes:
                _note_value(manager, reading, name, inline)
        elif not found:
            if value is None:
                return None
            verb.append(value)
            action = " ".join(verb)
            if action in manager.verbs:
                found = True
                reading.action, reading.verb = value, word
            elif not any(known.startswith(action + " ") for known in manager.verbs):
                return None
        else:
            if value is None and not _VERSION_UNKNOWN.match(word.raw):
                reading.unsure.append(f"{word.raw} is not known")
            reading.packages.append(value)
    if found:
        return reading
    if manager.bare and not verb and not set(reading.seen) & {"-v", "--version", "-h", "--help"}:
        return reading
    return None


def _option(manager: Manager, word: Word) -> tuple[str, str | None]:
    """Return the name of the option *word* and the value that stands in the same word, "" if that is not known."""
    text = _value(word)
    known = text is not None
    raw = word.raw if text is None else text
    name, equals, inline = raw.partition("=")
    if raw.startswith("--") or manager.single_dash or raw in manager.values or raw in manager.flags:
        return name, (inline if known else "\0") if equals else None
    for index in range(1, len(raw)):
        if "-" + raw[index] in manager.values:
            rest = raw[index + 1 :].removeprefix("=")
            return "-" + raw[1 : index + 1], (rest if known else "\0") if rest else None
    return name, None


def _takes_value(manager: Manager, name: str, inline: str | None, reading: _Reading) -> bool:
    if not _OPTION_NAME.match(name):
        reading.unsure.append(f"{name} is not known")
        return False
    if name.startswith("--") or manager.single_dash or len(name) == 2 or name in manager.flags:
        reading.seen.append(name)
        if name in manager.values:
            return True
        if name not in manager.flags and inline is None:
            reading.unsure.append(f"the option {name} is not known")
        return False
    letters = ["-" + letter for letter in name[1:]]
    reading.seen.extend(letters)
    unknown = [letter for letter in letters if letter not in manager.values and letter not in manager.flags]
    reading.unsure.extend(f"the option {letter} is not known" for letter in unknown)
    return letters[-1] in manager.values


def _note_value(manager: Manager, reading: _Reading, name: str, inline: str | None) -> None:
    option = name if name.startswith("--") or manager.single_dash else "-" + name[-1]
    value = None if inline == "\0" else inline
    if option in manager.directory:
        reading.directories.append(value)
    if option in manager.editable:
        reading.editable = True
        reading.packages.append(value)
    elif option in manager.requirements and value is not None:
        reading.requirements.append(value)
    elif option in manager.constraints and value is not None:
        reading.constraints.append(value)
    interesting = manager.directory | manager.editable | manager.requirements | manager.constraints
    if value is None and option in interesting:
        reading.unsure.append(f"the value of {option} is not known")


def _value(word: Word) -> str | None:
    """Return the value of *word*; an extra such as ``a[b]`` counts, although a shell could take it for a glob."""
    if word.value is None and _EXTRA.match(word.raw):
        return word.raw
    return word.value


def _is_path(package: str) -> bool:
    """Whether an operand is a path of the image rather than a name in an index."""
    if package.startswith((".", "/", "~", "file:")) or " @ file:" in package:
        return True
    if "://" in package or package.startswith(("git+", "hg+", "svn+", "bzr+", "@")) or "@" in package:
        return False
    bare = package.partition("[")[0]
    return bare.endswith(_ARCHIVES)
