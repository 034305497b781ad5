"""The transform workdir-for-cd."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from dockfix.build.layout import block_start
from dockfix.syntax.edit import Edit, delete, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Stage, Step

_JOINT: Final = pattern(r"[ \t]*(?:[\\`][ \t]*\r?\n[ \t]*)*(?:&&|;)[ \t]*(?:[\\`][ \t]*\r?\n[ \t]*)*")
_MOST: Final = 50
"""How far apart the RUNs of one directory may be, in instructions."""
_INDIFFERENT: Final = frozenset(
    {"ARG", "ENV", "EXPOSE", "LABEL", "MAINTAINER", "SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def workdir_for_cd(build: Build) -> Iterator[Fix]:
    """Name the directory of several RUNs once, with WORKDIR.

    Why: every RUN begins in WORKDIR again, so that the next one has to repeat the ``cd``, and who reads it has to
    keep in mind where he is.

    Example:
         FROM debian:bookworm-slim
         COPY tool /src/tool
        -RUN cd /src/tool && ./configure
        -RUN cd /src/tool && make install
        +WORKDIR /src/tool
        +RUN ./configure
        +RUN make install
         WORKDIR /app

    A ``cd`` to the directory in which the RUN begins anyway goes as well.

    When it holds back: a single RUN, for which ``cd`` says the same in one line; an instruction behind them that would
    begin elsewhere then, above all the program itself, unless a WORKDIR stands before it; a path with a variable; a
    ``cd -`` further on; a RUN with mounts or in a heredoc.

    Source: Docker's documentation, "Building best practices", WORKDIR
    (https://docs.docker.com/build/building/best-practices/#workdir).
    """
    if not re.search(r"(?i)\bRUN\s+cd\s", build.dockerfile.text):
        return
    from dockfix_transforms._directories import directories

    places = {step.line: directory for step, directory in directories(build)}
    for stage in build.stages:
        done = -1
        indifferent = _indifferent(build, stage)
        for at, step in enumerate(stage.steps):
            found = _leading(build, step, places[step.line]) if at > done else None
            if found is None:
                continue
            target, edit = found
            if target == places[step.line]:
                yield Fix("leave out the cd to where the RUN is anyway", {build.path: [edit]}, step.line)
                continue
            edits, last = _group(build, stage, at, target)
            done = last
            if len(edits) > 1 and indifferent[last + 1]:
                keyword = "workdir" if step.instruction.keyword_text.islower() else "WORKDIR"
                start = block_start(build.dockerfile, step.instruction)
                line = insert(start, f"{keyword} {target}{build.dockerfile.newline}")
                yield Fix(f"name {target} once, with WORKDIR", {build.path: [line, *edits]}, step.line)


def _group(build: Build, stage: Stage, at: int, target: str) -> tuple[list[Edit], int]:
    """Return the edits of the RUNs from *at* on that begin with a ``cd`` to *target*, and the index of the last one."""
    edits: list[Edit] = []
    last = at
    for index in range(at, min(at + _MOST, len(stage.steps))):
        step = stage.steps[index]
        found = _leading(build, step, None)
        if found is not None and found[0] == target and _stops(step):
            edits.append(found[1])
            last = index
        elif not _ignores_directory(step):
            break
    return edits, last


def _leading(build: Build, step: Step, directory: str | None) -> tuple[str, Edit] | None:
    """Return where the ``cd`` goes with which the RUN begins, and the edit that removes it; None for other RUNs."""
    instruction = step.instruction
    if step.keyword != "RUN" or not instruction.value.startswith("cd ") or instruction.flags or instruction.heredocs:
        return None
    script = step.script
    if script is None or len(script.commands) < 2:
        return None
    command = script.commands[0]
    path = command.argv[1] if len(command.words) == 2 and not command.redirects else None
    if path is None or command.after not in ("&&", ";") or not re.match(r"[\w./+@-]+\Z", path):
        return None
    if not path.startswith("/"):
        if directory is None:
            return None
        path = posixpath.join(directory, path)
    for other in script.commands[1:]:
        if other.after == "&" or (other.name == "cd" and other.argv[1:2] in ((), ("-",))):
            return None
        if any("OLDPWD" in word.raw for word in other.words):
            return None
    start, end = script.span(command)
    match = _JOINT.match(build.dockerfile.text, end)
    if match is None or build.dockerfile.text.startswith("#", match.end()):  # a comment, which would stand before RUN
        return None
    return posixpath.normpath(path), delete(start, match.end())


def _stops(step: Step) -> bool:
    """Whether the RUN ends where its ``cd`` fails."""
    commands = step.script.commands if step.script is not None else ()
    return bool(commands) and commands[0].after == "&&" and all(one.after != "||" or one.depth for one in commands)


def _ignores_directory(step: Step) -> bool:
    """Whether the instruction does the same in every directory."""
    if step.keyword in _INDIFFERENT:
        return True
    if step.keyword in ("COPY", "ADD"):
        return step.copy is not None and step.copy.destination_text.startswith("/")
    if step.keyword == "RUN":
        return re.match(r"cd /\S* &&", step.instruction.value) is not None and not step.instruction.flags
    return False


def _indifferent(build: Build, stage: Stage) -> list[bool]:
    """Return for each step, and for the end, whether nothing from there on begins in the directory before it."""
    targets = {service.target for service in build.project.services}
    used = stage is build.final or stage.name in targets - {None}
    found = [not used and all(other.base_stage != stage.index for other in build.stages)]
    for step in reversed(stage.steps):
        if step.keyword == "WORKDIR":
            found.append(step.instruction.value.startswith("/"))
        else:
            found.append(found[-1] and _ignores_directory(step))
    return found[::-1]
