"""Wheels that a builder stage makes, and the install of the final stage that takes them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

from dockfix.build.installs import Install
from dockfix.build.model import Stage, Step
from dockfix.syntax.shell import Command, Script

_VALUES: Final = frozenset(
    {"-w", "--wheel-dir", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"}
    | {"-b", "--build", "--cache-dir", "--src", "--timeout", "--retries", "--trusted-host", "--progress-bar"}
    | {"--no-binary", "--only-binary", "--config-settings", "--global-option", "--build-option"}
)
_REQUIREMENTS: Final = ("-r", "--requirement")


def wheel_builds(step: Step) -> Iterator[Install]:
    """Yield what every ``pip wheel`` of a RUN builds, as if it were installed."""
    script = step.script
    for command in script.commands if script is not None else ():
        words = [word.value for word in command.words]
        if words[:1] in (["python"], ["python3"]) and words[1:2] == ["-m"]:
            words = words[2:]
        if script is not None and words[:2] in (["pip", "wheel"], ["pip3", "wheel"]):
            yield _build(step, script, command, words[2:])


def _build(step: Step, script: Script, command: Command, words: list[str | None]) -> Install:
    requirements: list[str] = []
    packages: list[str | None] = []
    options: set[str] = set()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = (word or "").partition("=")
        if word is None or not word.startswith("-"):
            packages.append(word)
            continue
        options.add(name)
        if name in _REQUIREMENTS:
            requirements.append(value if equals else waiting.pop(0) or "" if waiting else "")
        elif name in _VALUES and not equals and waiting:
            waiting.pop(0)
    verb = command.words[-len(words) - 1]
    found, names = frozenset(options), tuple(packages)
    return Install(
        "pip", "wheel", script, command, verb, found, names, (), (), step.workdir, requirements=tuple(requirements)
    )


def from_wheelhouse(stage: Stage, step: Step, install: Install) -> bool:
    """Return whether *install* takes packages from a folder that another stage brought."""
    for other in stage.of("COPY"):
        copy = other.copy
        if copy is None or copy.from_ is None or copy.destination is None or other.line > step.line:
            continue
        folder = copy.destination
        if copy.directory and len(copy.sources) == 1 and (copy.sources[0].value or "").endswith(".whl"):
            folder = posixpath.dirname(folder) if folder.endswith(".whl") else folder
        texts = [word.raw.partition("=")[2] or word.raw for word in install.command.words]
        places = [posixpath.join(install.workdir or "/", text) for text in texts]
        if folder != "/" and any(posixpath.normpath(place).startswith(folder) for place in places):
            return True
    mounts = [flag.value or "" for flag in step.instruction.flags if flag.name == "mount"]
    return any("from=" in mount and "bind" in mount for mount in mounts) and "--find-links" in install.options
