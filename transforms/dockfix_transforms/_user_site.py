"""Packages that ``pip install --user`` put into root's home, where another user is to find them."""

from __future__ import annotations

import re
from posixpath import basename
from typing import Final

from dockfix.build.layout import block_start, removals
from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Step
from dockfix.build.start import Start, start_of
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix.transform import Fix
from dockfix_transforms._carried import Carried, below, on_path
from dockfix_transforms._knowledge import table
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tree_writers import USER_COMMANDS

_FROM: Final = "/root/.local"
_NAME: Final = pattern(r"[a-z_][\w-]*\Z")
_HOME: Final = frozenset({"-d", "--home", "--home-dir", "-h"})
_OWN_GROUP: Final = pattern(r"(?:^|\s)(?:-g|-G|-N|--gid|--ingroup|--no-user-group|--system|-S)\b")
_WITHOUT_PACKAGES: Final = USER_COMMANDS | {
    *("set", "mkdir", "chown", "chmod", "rm", "echo", "true", "apt-get", "apt", "apk", "touch", "ln", "cp", "mv"),
    *("curl", "wget", "tar", "unzip", "sed", "useradd", "update-ca-certificates"),
}
_PASSED: Final = frozenset({"ENV", "ARG", "LABEL", "EXPOSE", "WORKDIR", "SHELL", "STOPSIGNAL"})


def moved_home(build: Build, one: Carried, last: Step, user: str) -> Fix | None:
    """Return the fix that copies the packages into the home of *user*, whom the program runs as since *last*.

    None where root's home was opened to others. Raises ``Obstacle`` with what is wrong where that cannot be done.
    """
    wrong = f"{user} cannot read {_FROM}, where the packages are"
    for service in build.project.services:
        if service.user is not None and service.user.partition(":")[0] != user:
            raise Obstacle(f"{wrong}; {service.name} runs it as {service.user}", service.line, service.path)
    for stage in lineage(build):
        for step in stage.of("RUN"):
            if re.search(r"\bch(?:mod|own)\b[^&;|\n]*\s/root(?:/|\s|\Z)", step.instruction.value):
                return None
    maker, home = _home(build, user, wrong, last)
    for step in build.final.of("RUN"):
        script = step.script
        as_root = step.user in (None, "root", "0")
        if step.line < one.step.line or not as_root:
            continue
        if script is None or not all(basename(item.name or "?") in _WITHOUT_PACKAGES for item in script.commands):
            raise Obstacle(f"{wrong}, and this RUN may need them as root", step.line)
    target = f"{home}/.local"
    edits = [edit for edit in _renamed(build, target) if not _inside(edit, one.step)]
    start = start_of(build)
    program = start.words[start.prefix] if isinstance(start, Start) and start.prefix < len(start.words) else ""
    line = ""
    known = on_path(build, f"{_FROM}/bin") or on_path(build, f"{target}/bin")
    if program in table("console_scripts")["scripts"] and not known:
        keyword = "env" if one.step.instruction.keyword_text.islower() else "ENV"
        line = f'{keyword} PATH="{target}/bin:$PATH"'
    edits += _copied(build, one, maker, target, user, wrong, line)
    title = f"copy the packages into the home of {user}"
    return Fix(title, {build.path: tuple(sorted(edits))}, one.step.line, notes=(wrong,))


def _home(build: Build, user: str, wrong: str, last: Step) -> tuple[tuple[Step, Command], str]:
    """Return the command that makes the user, with its step, and the user's home."""
    if not _NAME.match(user):
        raise Obstacle(f"{wrong}; which home that user has is not known", last.line)
    found = [
        (step, command)
        for step in build.final.of("RUN")
        for command in (step.script.commands if step.script else ())
        if basename(command.name or "") in ("useradd", "adduser") and command.argv[-1] == user
    ]
    if len(found) != 1 or found[0][0].line > last.line:
        raise Obstacle(f"{wrong}; which home that user has is not known", last.line)
    step, command = found[0]
    home = last.env.get("HOME")
    words = [word.value or "$" for word in command.words]
    for at, word in enumerate(words[:-1]):
        name, equals, inline = word.partition("=")
        if home is None and name in _HOME:
            home = inline if equals else words[at + 1]
    if home is None and command.name == "adduser" and "--system" in words:
        raise Obstacle(f"{wrong}; adduser --system gives no home", step.line)
    home = home or f"/home/{user}"
    if "$" in home or not home.startswith("/") or home.startswith("/root"):
        raise Obstacle(f"{wrong}; which home that user has is not known", step.line)
    return (step, command), home.rstrip("/")


def _renamed(build: Build, target: str) -> list[Edit]:
    """Return the edits of every place in the stages that ship that names the old path."""
    old = re.compile(re.escape(_FROM) + r"(?![\w-])")
    return [
        Edit(match.start(), match.end(), target)
        for stage in lineage(build)
        for step in stage.of("ENV", "CMD", "ENTRYPOINT", "HEALTHCHECK", "RUN", "COPY")
        if step.keyword != "COPY" or (step.copy is not None and step.copy.from_ is None)
        for match in old.finditer(build.dockerfile.text, step.instruction.start, step.instruction.end)
    ]


def _inside(edit: Edit, step: Step) -> bool:
    return step.instruction.start <= edit.start < step.instruction.end


def _copied(
    build: Build, one: Carried, maker: tuple[Step, Command], target: str, user: str, wrong: str, line: str
) -> list[Edit]:
    """Return the edits that make the COPY bring the packages to *target*, behind the RUN that makes the user.

    *line* goes below it.
    """
    dockerfile = build.dockerfile
    instruction, copy = one.step.instruction, one.step.copy
    assert copy is not None
    step, command = maker
    changes = [Edit(copy.destination_start, copy.destination_end, target)]
    grouped = _OWN_GROUP.search(" ".join(word.raw for word in command.words)) is not None
    if instruction.flag("chown") is None and not grouped:
        at = instruction.keyword_start + len(instruction.keyword_text)
        changes.insert(0, insert(at, f" --chown={user}:{user}"))
    if step.line < one.step.line:
        return [*changes, *([below(build, one.step, line)] if line else ())]
    between = [other for other in build.final.steps if one.step.line < other.line < step.line]
    if not all(other.keyword in _PASSED or other.keyword in ("COPY", "RUN", "ADD") for other in between):
        raise Obstacle(f"{wrong}; the user is made behind the COPY", step.line)
    start = block_start(dockerfile, instruction)
    own = apply_edits(
        dockerfile.text[start : instruction.end],
        [Edit(edit.start - start, edit.end - start, edit.replacement) for edit in changes],
    )
    own = own if own.endswith("\n") else own + dockerfile.newline
    own += line + dockerfile.newline if line else ""
    return [*removals(dockerfile, [instruction]), insert(step.instruction.end, own)]
