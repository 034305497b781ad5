"""The transform no-sudo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockfix.build.lineage import lineage
from dockfix.records import replace
from dockfix.syntax.edit import delete
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step
    from dockfix.syntax.shell import Command

_ROOT: Final = ("root", "0", "root:root", "0:0")
_OPTIONS: Final = ("-E", "-n", "-H")


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def no_sudo(build: Build) -> Iterator[Fix | Skip]:
    """Run commands as the root that the build is anyway, without sudo.

    Why: a build runs as root unless USER says otherwise. There sudo does nothing but to ask for a package, and to
    start the command with other variables than ENV sets.

    Example:
         FROM debian:bookworm-slim
        -RUN sudo apt-get update && sudo apt-get install -y jq
        +RUN apt-get update && apt-get install -y jq

    When it holds back: another user, by USER or by a base image that is not known; ``sudo -u``; a PATH of the
    Dockerfile, since sudo has its own and may find other programs.

    Source: Docker's documentation, "Building best practices", USER
    (https://docs.docker.com/build/building/best-practices/#user).
    """
    if "sudo" not in build.dockerfile.text:
        return
    for step in build.steps:
        if step.keyword != "RUN" or "sudo" not in build.dockerfile.text[step.instruction.start : step.instruction.end]:
            continue
        script = step.script
        found = [command for command in script.commands if command.name == "sudo"] if script is not None else []
        if script is None or not found:
            continue
        reason = _reason(build, step)
        plain = [(command, size) for command in found if (size := _size(command))]
        if reason is not None:
            yield Skip(f"sudo stays: {reason}", step.line)
        elif plain:
            edits = [
                delete(script.span(command.words[0])[0], script.span(command.words[size])[0]) for command, size in plain
            ]
            if not any("#" in build.dockerfile.text[edit.start : edit.end] for edit in edits):
                yield Fix("run it as root without sudo", {build.path: edits}, step.line)


def _reason(build: Build, step: Step) -> str | None:
    if step.user is None:
        first = lineage(replace(build, stages=build.stages[: step.stage + 1]))[0]
        from dockfix_transforms._base_images import runs_as_root

        if not runs_as_root(first.image):
            return f"whether {first.base or 'the base image'} builds as root is not known"
    elif step.user not in _ROOT:
        return f"the build runs as {step.user}"
    if "PATH" in step.env:
        return "it looks for programs elsewhere than in the PATH that is set here"
    return None


def _size(command: Command) -> int:
    """Return how many words in front of the command belong to sudo, 0 where it does more than to run as root."""
    at = 1
    while at < len(command.words) and command.words[at].raw in _OPTIONS:
        at += 1
    if at >= len(command.words) or command.words[at].raw.startswith("-") or command.assignments:
        return 0
    return at
