"""Installs that end with the project itself (poetry, uv, pdm), in two: the dependencies, and the project later."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from posixpath import join
from typing import Any, Final

from dockfix.build.installs import Install
from dockfix.build.manifests import Unknown, toml_of
from dockfix.build.model import Step
from dockfix.project.context import Context
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._tools import old_poetry

_FLAGS: Final = {"poetry": "--no-root", "uv-sync": "--no-install-project", "pdm": "--no-self"}
PROJECTS: Final = frozenset(_FLAGS)
WITHOUT_PROJECT: Final = frozenset({"--no-root", "--no-self", "--no-install-project"})
# What `poetry install --only-root` takes of the options of the install before it.
_KEPT: Final = frozenset(
    {"-n", "--no-interaction", "--no-ansi", "--ansi", "-q", "--quiet", "-v", "-vv", "-vvv", "--verbose", "--no-cache"}
)
_KEPT_VALUES: Final = frozenset({"-C", "--directory", "-P", "--project"})
# `--only-root` came with Poetry 1.2, `--no-install-project` with uv 0.4.
_TOO_OLD: Final = {
    "uv-sync": pattern(r"\buv\W{1,4}0\.[0-3]\."),
    "pdm": pattern(r"\bpdm\W{1,4}[01]\."),
}


@record
class Split:
    """An install of the dependencies alone, and the command that installs the project when the source is there.

    ``edit`` adds the option to the command that stands in the file; ``again`` has the flags of its RUN in front.
    """

    edit: Edit
    again: str


def split_of(
    install: Install, step: Step, earlier: Sequence[Step], context: Context, origin: Callable[[str], str | None]
) -> Split | None:
    """Return how *install* is split; None where it installs no project. Raises ``Unknown`` where it cannot be.

    *earlier* are the steps in front of it, *origin* is as for ``manifests_of``.
    """
    manager = install.manager
    if manager not in _FLAGS or install.options & WITHOUT_PROJECT or "--only-root" in install.options:
        return None
    if install.action not in ("install", "sync"):
        raise Unknown(f"{manager.split('-')[0]} {install.action} changes the project")
    if install.workdir is None:
        raise Unknown("the directory that it runs in is not known")
    source = origin(join(install.workdir, "pyproject.toml"))
    table = toml_of(context.text(source) or "") if source else None
    if table is None:
        raise Unknown("pyproject.toml is not in the build context" if source is None else f"{source} cannot be read")
    lock = origin(join(install.workdir, "uv.lock"))
    if not is_package(manager, table, context.text(lock) if lock else None):
        return None
    _check(install, step, earlier, table)
    at = install.script.span(install.verb)[1]
    flags = "".join(f"--{flag.name}={flag.value} " for flag in step.instruction.flags)
    return Split(insert(at, f" {_FLAGS[manager]}"), flags + _again(install))


def is_package(manager: str, table: dict[str, Any], lock: str | None = None) -> bool:
    """Whether *manager* installs the project of the pyproject *table* too; *lock* is the text of uv.lock."""
    tool = table.get("tool") or {}
    if manager == "poetry":
        return (tool.get("poetry") or {}).get("package-mode", True) is not False
    if manager == "pdm":
        return (tool.get("pdm") or {}).get("distribution", "build-system" in table) is not False
    if lock is not None and re.search(r"""^source = \{ virtual = "\." \}""", lock, re.MULTILINE):
        return False
    return lock is not None or (tool.get("uv") or {}).get("package", "build-system" in table) is not False


def _check(install: Install, step: Step, earlier: Sequence[Step], table: dict[str, Any]) -> None:
    command = install.command
    script = step.script
    if script is None or install.script is not script or command.depth or command.substitution:
        raise Unknown("it installs the project itself, in the midst of other commands")
    if "|" in (command.before, command.after) or "||" in (command.before, command.after) or command.after == "&":
        raise Unknown("it installs the project itself, in the midst of other commands")
    before = [other for other in script.commands if other.start < command.start]
    if any(other.name in ("cd", "export", "set", "umask", ".", "source") or not other.words for other in before):
        raise Unknown("it installs the project itself, behind commands that change the shell")
    if any(word.value is None and not word.raw.startswith('"$') for word in command.words):
        raise Unknown("it installs the project itself, with options that are not known")
    if install.unsure or install.options & {"--package", "--all-packages", "--script", "--dry-run", "--check"}:
        raise Unknown("it installs the project itself, with options that cannot be split")
    if any(flag.name == "mount" and "type=bind" in (flag.value or "") for flag in step.instruction.flags):
        raise Unknown("it installs the project itself, and a mount brings its manifest")
    manager = install.manager
    known = (*earlier, step)
    old = _TOO_OLD.get(manager)
    if old_poetry(known) if old is None else any(old.search(other.instruction.value) for other in known):
        raise Unknown(f"it installs the project itself, and this {manager.split('-')[0]} cannot install it alone")
    dynamic = (table.get("project") or {}).get("dynamic")
    frozen = install.options & {"--frozen", "--frozen-lockfile", "--no-lock"} or step.env.get("UV_FROZEN")
    if manager != "poetry" and dynamic and not frozen:
        raise Unknown(f"what the project needs comes from the source (dynamic = {dynamic})")


def _again(install: Install) -> str:
    """Return the command that installs the project, the dependencies being there."""
    command = install.command
    words = list(command.words)
    text = [word.raw for word in command.assignments]
    if install.manager != "poetry":
        return " ".join([*text, *(word.raw for word in words)])
    at = words.index(install.verb)
    text += [word.raw for word in words[:at]]
    text += ["install", "--only-root"]
    rest = iter(words[at + 1 :])
    for word in rest:
        value = word.value or word.raw
        if value in _KEPT or ("=" in value and value.partition("=")[0] in _KEPT_VALUES):
            text.append(word.raw)
        elif value in _KEPT_VALUES:
            text += [word.raw, next(rest).raw]
        elif value in ("--only", "--with", "--without", "-E", "--extras"):
            next(rest, None)
    return " ".join(text)
