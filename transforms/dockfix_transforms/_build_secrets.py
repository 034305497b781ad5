"""Which RUNs read a variable that ENV or ARG sets, and how they get it without one in the image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Final

from dockfix.build.model import Build, Step
from dockfix.build.scripts import argv_of
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix_transforms._obstacle import Obstacle

_HARMLESS: Final = pattern(
    r"(?::|\[|true|false|test|set|unset|export|cd|pwd|echo|printf|mkdir|rmdir|chown|chmod|chgrp|rm|ln|cp|mv|touch|ls|tee"
    r"|cat|head|tail|sed|awk|grep|tr|cut|sort|find|truncate|dirname|basename|install|which|command|sync|sleep|id|whoami"
    r"|date|tar|unzip|gunzip|gzip|xz|curl|wget|gpg|apt-key|sha256sum|md5sum|strip|ranlib|dos2unix|localedef|locale-gen"
    r"|(?:user|group)(?:add|mod)|add(?:user|group)|passwd|setcap|ldconfig|update-(?:ca-certificates|alternatives)"
    r"|g?cc|g\+\+|clang(?:\+\+)?|cmake|go|cargo|rustc|crystal|shards|javac|git"
    r"|apt-get|apt|apk|yum|dnf|microdnf|dpkg|dpkg-reconfigure|rpm|gem|pip[\d.]*|virtualenv|a2(?:en|dis)\w+)\Z"
)
"""Programs that read no variable of the application."""
_MODULES: Final = (("pip",), ("venv",), ("ensurepip",), ("compileall",), ("virtualenv",))
_OF_A_TOOL: Final = ("PIP_", "UV_", "POETRY_", "NPM_", "NODE_", "YARN_", "TWINE_", "CONDA_", "GIT", "GH_", "BUNDLE_")
"""Variables that begin so are read by package managers, or through their configuration."""
_MANAGEMENT: Final = pattern(
    r"(?:collectstatic|compilemessages|makemessages|compress|check|migrate|makemigrations|createcachetable|findstatic"
    r"|sass|compilescss|compilejsi18n|tailwind|generateschema|spectacular)\Z"
)
"""Commands of Django for which any secret key will do."""
_PYTHON: Final = pattern(r"python[\d.]*\Z")
_SIGNING_KEY: Final = pattern(r"(?:\w+_)?SECRET_KEY\Z|DJANGO_SECRET\w*\Z")


def readers(build: Build, step: Step, name: str) -> list[Step]:
    """Return the RUNs behind *step*, in its stage and the stages that start from it, that may read variable *name*."""
    stages = {step.stage}
    for stage in build.stages:
        if stage.base_stage in stages:
            stages.add(stage.index)
    later = (
        other for other in build.steps if other.stage in stages and other.instruction.start >= step.instruction.end
    )
    return [other for other in later if other.keyword == "RUN" and may_read(other, name)]


def may_read(step: Step, name: str) -> bool:
    """Return whether a RUN may read the variable *name*: it names it, or runs a program that is not known."""
    instruction = step.instruction
    text = instruction.value + "".join(heredoc.body for heredoc in instruction.heredocs)
    mention = re.escape(name)
    if re.search(rf"\$\{{?{mention}(?!\w)|(?<!\w){mention}(?![\w=])", text):
        return True
    if re.search(rf"\bexport\s+{mention}=", text):
        return False
    return any(command is None or not _given(command, name) for command in _programs(step, name))


def _given(command: Command, name: str) -> bool:
    """Whether a command is given a value of its own: ``NAME=placeholder program``."""
    return any(word.raw.startswith(f"{name}=") for word in command.assignments)


def _programs(step: Step, name: str) -> Iterator[Command | None]:
    """Yield the commands that may read *name*; None for what cannot be told."""
    argv = argv_of(step) if step.instruction.json_form is not None else None
    if argv is not None:
        if not _harmless(argv):
            yield None
        return
    if step.script is None:
        yield None
        return
    managers = {one.command.start: one.manager for one in step.installs if one.script is step.script}
    for command in step.script.commands:
        manager = managers.get(command.start)
        if manager is not None:
            if name.startswith(_OF_A_TOOL) and manager not in ("apt", "apk", "yum"):
                yield command
        elif command.words and not _harmless(tuple(word.value or word.raw for word in command.words)):
            yield command


def _harmless(words: tuple[str, ...]) -> bool:
    name = posixpath.basename(words[0])
    if _PYTHON.match(name):
        return words[1:2] in (("--version",), ("-V",)) or (words[1:2] == ("-m",) and words[2:3] in _MODULES)
    return _HARMLESS.match(name) is not None


def placeholders(step: Step, names: Iterable[str]) -> list[Edit] | None:
    """Return the edits that let management commands run with a placeholder as their secret key.

    None where the RUN does anything else that may read one of *names*, or one of them is no secret key.
    """
    names = list(names)
    commands = [command for name in names for command in _programs(step, name)]
    if step.script is None or not commands or not all(_SIGNING_KEY.match(name) for name in names):
        return None
    if any(re.search(rf"(?<!\w){name}(?!\w)", step.script.source.text) for name in names):
        return None
    edits: dict[int, Edit] = {}
    for command in commands:
        if command is None or not _manages(command):
            return None
        at = step.script.source.raw_start(command.start)
        edits[at] = insert(at, "".join(f"{name}=placeholder " for name in names))
    return list(edits.values())


def _manages(command: Command) -> bool:
    words = [word.value or word.raw for word in command.words]
    at = next((at for at, word in enumerate(words) if posixpath.basename(word) in ("manage.py", "django-admin")), None)
    if at is None or not any(map(_MANAGEMENT.match, words[at + 1 : at + 2])):
        return False
    before = [posixpath.basename(word) for word in words[:at]]
    return all(_PYTHON.match(word) or word in ("poetry", "pipenv", "uv", "pdm", "run", "-u", "-B") for word in before)


def mounted(step: Step, names: Iterable[str], newline: str) -> list[Edit]:
    """Return the edits that give a RUN build secrets as variables of the same names. Raises ``Obstacle``.

    Through a file: ``env=`` of the mount is younger than many builders are.
    """
    instruction = step.instruction
    if instruction.json_form is not None or step.script is None:
        raise Obstacle("a RUN that reads it is no shell text into which it could be given", step.line)
    readable = "" if step.user in (None, "", "root", "0", "root:root", "0:0") else ",mode=0444"
    flags = [f"--mount=type=secret,id={name}{readable}" for name in names]
    # In two commands, so that a secret that is not given stops the build: export's own status would hide it.
    exports = [f'{name}="$(cat /run/secrets/{name})" && export {name}' for name in names]
    start = instruction.arguments.raw_start(0)
    heredoc = instruction.heredocs[0] if len(instruction.heredocs) == 1 else None
    if heredoc is not None and step.script.source.pieces[0][1] >= heredoc.start:
        if heredoc.body.startswith("#!") or heredoc.chomp:
            raise Obstacle("a RUN that reads it is a script of its own", step.line)
        lines = "".join(f"{export}{newline}" for export in exports)
        return [insert(start, "".join(f"{flag} " for flag in flags)), insert(heredoc.start, lines)]
    continued = f" {step.escape}{newline}    "
    text = "".join(f"{flag}{continued}" for flag in flags) + "".join(f"{export} &&{continued}" for export in exports)
    return [insert(start, text)]
