"""Which RUNs leave a directory of the image as the COPYs made it, and which may put files of their own into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from posixpath import basename, dirname, join, normpath
from typing import Final

from dockfix.build.expand import expand_word
from dockfix.build.model import Build, Step
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, Word

USER_COMMANDS: Final = frozenset({"useradd", "adduser", "groupadd", "addgroup", "usermod", "groupmod"})
_HARMLESS: Final = USER_COMMANDS | {
    *("set", "true", ":", "test", "[", "echo", "printf", "export", "cd", "rm", "rmdir", "sleep", "ldconfig"),
    *("date", "localedef"),
    *("update-ca-certificates", "locale-gen", "apt-get", "apt", "apk", "yum", "dnf", "microdnf"),
}
_INSTALLERS: Final = frozenset({"pip", "apt", "apk", "yum"})
_ELSEWHERE: Final = frozenset({"-t", "--target", "--prefix", "--root", "--src", "-d", "--dest", "--download-only"})
_PARENTS: Final = pattern(r"--parents\Z|-[a-z]*p")
_PLAIN: Final = pattern(r"-[a-su-z]+\Z")  # no -t, which names what is written first
_EDITABLE: Final = pattern(r"^\s*(?:-e|--editable)\b", re.MULTILINE)


def within(path: str, folder: str) -> bool:
    """Return whether *path* is *folder* or below it; both absolute."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def parents(path: str, folder: str) -> Iterator[str]:
    """Yield *path* and the directories above it, up to *folder*, the innermost first."""
    while within(path, folder):
        yield path
        if path == folder or path == "/":
            return
        path = dirname(path)


def path_of(word: Word, step: Step, script: Script) -> str | None:
    """Return the absolute path that a word of *step* names; None where the files do not tell."""
    value = word.value
    if value is None and not re.search(r"[`*?\[~{(]", re.sub(r"\$\{\w+\}", "", word.raw)):
        value = expand_word(word.raw, step.env)
    if not value or any(command.name in ("cd", "pushd", "popd") for command in script.commands):
        return normpath(value) if value and value.startswith("/") else None
    if step.workdir is None and not value.startswith("/"):
        return None
    return "/" + normpath(join(step.workdir or "/", value)).strip("/")


def writer(
    build: Build, step: Step, folder: str, commands: Iterable[Command], same: Callable[[Step, Command], bool]
) -> str | None:
    """Return what of *commands*, which are some of *step*, may put files below *folder* or say whose they are.

    *same* tells which of their chown, chgrp and chmod commands do not matter. None where nothing else does either.
    """
    script = step.script
    if script is None:
        return "shell that is not plain"
    installs = {install.command.start: install for install in step.installs}
    for command in commands:
        if not command.words:
            continue
        name = basename(command.name or "")
        if command.start in installs:
            install = installs[command.start]
            first = command.name or "/"
            plain = install.manager in _INSTALLERS and not install.local and not install.editable
            loose = any(word.value is None and word.raw[0] not in '/$"' for word in command.words)
            if (
                not plain
                or loose
                or install.options & _ELSEWHERE
                or first.startswith("/")
                or _own_environment(step, folder)
            ):
                return _shown(command)
            if any(_EDITABLE.search(text) for text in _texts(build, install.requirements)):
                return f"{_shown(command)} (an editable install)"
        elif name in ("mkdir", "touch"):
            if not all(path_of(word, step, script) for word in command.words[1:] if not word.raw.startswith("-")):
                return _shown(command)
        elif name in ("chown", "chgrp", "chmod"):
            paths = [path_of(word, step, script) for word in command.words[2:] if not word.raw.startswith("-")]
            reaches = any(path is None or within(path, folder) or within(folder, path) for path in paths)
            if reaches and not same(step, command):
                return _shown(command)
        elif name in ("cp", "mv", "ln", "sed") and _elsewhere(command, step, script, folder):
            pass
        elif name not in _HARMLESS:
            return _shown(command)
        for redirect in command.redirects:
            target = redirect.target.value
            outside = target is not None and target.startswith("/") and not within(normpath(target), folder)
            if redirect.operator in (">", ">>", "&>", ">|") and not outside:
                return _shown(command)
    return None


def _elsewhere(command: Command, step: Step, script: Script, folder: str) -> bool:
    """Whether cp, mv, ln or ``sed -i`` names as what it writes paths that have nothing to do with *folder*."""
    options = [word.raw for word in command.words[1:] if word.raw.startswith("-")]
    words = [word for word in command.words[1:] if not word.raw.startswith("-")]
    if command.name == "sed":
        written = words[1:] if options == ["-i"] else []
    else:
        written = words[-1:] if len(words) > 1 and all(_PLAIN.match(option) for option in options) else []
    paths = [path_of(word, step, script) for word in written]
    return bool(paths) and not any(path is None or within(path, folder) or within(folder, path) for path in paths)


def made(step: Step, commands: Iterable[Command], folder: str) -> list[str]:
    """Return what mkdir and touch make below *folder*, itself included, in *commands* of *step*."""
    found: list[str] = []
    for command in commands:
        if step.script is None or command.name not in ("mkdir", "touch"):
            continue
        parented = command.name == "mkdir" and any(_PARENTS.match(word.raw) for word in command.words[1:])
        for word in command.words[1:]:
            path = None if word.raw.startswith("-") else path_of(word, step, step.script)
            if path is not None and not parented:
                found += [path] if within(path, folder) and path not in found else []
            elif path is not None:
                found += [one for one in parents(path, folder) if one not in found]
    return found


def _own_environment(step: Step, folder: str) -> bool:
    """Whether pip installs into an environment below *folder*."""
    places = [step.env.get("VIRTUAL_ENV") or "", *(step.env.get("PATH") or "").split(":")]
    return any(place.startswith("/") and within(normpath(place), folder) for place in places)


def _texts(build: Build, names: Iterable[str]) -> Iterator[str]:
    context = build.project.context
    wanted = {basename(name) for name in names}
    for path in context.paths if wanted else ():
        if basename(path) in wanted:
            yield context.text(path) or ""


def _shown(command: Command) -> str:
    text = " ".join(word.raw for word in command.words)
    return f"`{text if len(text) <= 50 else text[:47] + '...'}`"
