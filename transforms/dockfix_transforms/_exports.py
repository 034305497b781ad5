"""Commands that write a requirements file from a lock file: ``poetry export``, ``pipenv requirements``, and kin."""

from __future__ import annotations

from posixpath import basename, join, normpath
from typing import Final

from dockfix.build.installs import Install
from dockfix.build.model import Step
from dockfix.records import record
from dockfix.syntax.shell import Command, Script

_EXPORTS: Final = {
    ("poetry", "export"): "poetry",
    ("uv", "export"): "uv-sync",
    ("pdm", "export"): "pdm",
    ("pipenv", "requirements"): "pipenv",
    ("pipenv", "lock"): "pipenv",
}
_OUTPUT: Final = ("-o", "--output", "--output-file")


@record
class Export:
    """``install`` is the command as if it installed without the project: it reads the same manifests.

    ``output`` is the absolute path of the file that it writes, ``/dev/stdin`` where it writes to a pipe.
    """

    install: Install
    output: str


def export_of(step: Step, script: Script, command: Command) -> Export | None:
    """Return what *command* exports; None for another command, and where its output is not known."""
    words = command.words
    if len(words) < 2 or command.depth or step.workdir is None:
        return None
    manager = _EXPORTS.get((basename(words[0].value or ""), words[1].value or ""))
    options = frozenset((word.value or word.raw).partition("=")[0] for word in words[2:] if word.raw.startswith("-"))
    if manager is None or (words[1].value == "lock" and not options & {"-r", "--requirements"}):
        return None
    if manager == "uv-sync" and not options & {"--no-emit-project", "--no-emit-local"}:
        return None  # it writes `-e .`
    if any(other.name == "cd" for other in script.commands if other.start < command.start):
        return None
    output = _output(command)
    if output is None:
        return None
    install = Install(
        manager, "export", script, command, words[1], options | {"--no-root"}, (), (), (), step.workdir, False
    )
    return Export(install, normpath(join(step.workdir, output)))


def _output(command: Command) -> str | None:
    words = command.words
    for index, word in enumerate(words[2:], 2):
        value = word.value or ""
        name, equals, inline = value.partition("=")
        if name in _OUTPUT:
            return inline if equals else words[index + 1].value if index + 1 < len(words) else None
    for redirect in command.redirects:
        if redirect.operator == ">" and redirect.target.value:
            return redirect.target.value
    return "/dev/stdin" if command.after == "|" else None
