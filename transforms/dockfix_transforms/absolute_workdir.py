"""The transform absolute-workdir."""

from __future__ import annotations

import re
from posixpath import join, normpath
from typing import TYPE_CHECKING

from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def absolute_workdir(build: Build) -> Iterator[Fix | Skip]:
    """Write WORKDIR with its whole path.

    Why: ``WORKDIR app`` goes on from wherever the instruction above it, or the base image, left off. Who reads it has
    to look there, and another base image moves the application.

    Example:
         FROM python:3.12-slim
        -WORKDIR app
        +WORKDIR /app
         COPY . .

    When it holds back: the directory before it is the one of a base image that is not known, or has a variable without
    a value; the path has a variable itself; a Windows path.

    Source: BuildKit's check WorkdirRelativePath (https://docs.docker.com/reference/build-checks/workdir-relative-path/).
    """
    if not any(_relative(step.instruction.value) for step in build.steps if step.keyword == "WORKDIR"):
        return
    from dockfix_transforms._directories import directories

    for step, directory in directories(build):
        value = step.instruction.value
        if step.keyword != "WORKDIR" or not _relative(value):
            continue
        if directory is None:
            yield Skip(f"WORKDIR {value} stays relative: the directory before it is not known", step.line)
            continue
        edit = Edit(*step.instruction.arguments.raw_span(0, len(value)), normpath(join(directory, value)))
        yield Fix(f"write the whole path of {value}", {build.path: [edit]}, step.line)


def _relative(value: str) -> bool:
    return re.match(r"[\w.-][\w./-]*\Z", value) is not None
