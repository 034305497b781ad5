"""The transform absolute-workdir."""

from __future__ import annotations

import re
from posixpath import join, normpath
from typing import TYPE_CHECKING

from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def absolute_workdir(build: Build) -> Iterator[Fix | Skip]:
    """Write WORKDIR with its whole path, and where COPY goes to as long as no WORKDIR stands.

    Why: ``WORKDIR app`` goes on from wherever the instruction above it, or the base image, left off. Who reads it has
    to look there, and another base image moves the application.

    Example:
         FROM python:3.12-slim
        -COPY requirements.txt .
        +COPY requirements.txt /
         RUN pip install -r requirements.txt
        -WORKDIR app
        +WORKDIR /app
         COPY . .

    When it holds back: the directory before it is the one of a base image that is not known, or has a variable without
    a value; the path has a variable itself; a Windows path. Where a WORKDIR stands, ``COPY . .`` says enough.

    Source: BuildKit's check WorkdirRelativePath (https://docs.docker.com/reference/build-checks/workdir-relative-path/),
    hadolint's rules DL3000 and DL3045 (https://github.com/hadolint/hadolint/wiki).
    """
    if not any(_relative(_path(step)) for step in build.steps if step.keyword in ("ADD", "COPY", "WORKDIR")):
        return
    from dockfix_transforms._directories import directories

    placed: list[bool] = []  # by stage: whether a WORKDIR stands so far
    for step, directory in directories(build):
        value = _path(step)
        if step.keyword == "FROM":
            base = build.stages[step.stage].base_stage
            placed.append(base is not None and placed[base])
        elif step.keyword in ("ADD", "COPY"):
            if not placed[-1] and directory is not None and _relative(value):
                yield _destination(build, step, directory)
            continue
        if step.keyword != "WORKDIR":
            continue
        placed[-1] = True
        if not _relative(value):
            continue
        if directory is None:
            yield Skip(f"WORKDIR {value} stays relative: the directory before it is not known", step.line)
            continue
        edit = Edit(*step.instruction.arguments.raw_span(0, len(value)), normpath(join(directory, value)))
        yield Fix(f"write the whole path of {value}", {build.path: [edit]}, step.line)


def _path(step: Step) -> str:
    """Return the path that WORKDIR names, or the one to which a COPY goes."""
    if step.keyword == "WORKDIR":
        return step.instruction.value
    copy = step.copy if step.instruction.json_form is None else None
    return copy.destination_text if copy is not None else ""


def _destination(build: Build, step: Step, directory: str) -> Fix:
    copy = step.copy
    assert copy is not None
    whole = normpath(join(directory, copy.destination_text))
    if whole != "/" and copy.destination_text.endswith("/"):
        whole += "/"
    edit = Edit(copy.destination_start, copy.destination_end, whole)
    return Fix(f"write the whole path of {copy.destination_text}", {build.path: [edit]}, step.line)


def _relative(value: str) -> bool:
    return re.match(r"[\w.-][\w./-]*\Z", value) is not None
