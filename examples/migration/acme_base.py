"""A one-off migration: the company's old base image gives way to the new one."""

import re
from collections.abc import Iterator

from dockfix.build.model import Build
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform

OLD = re.compile(r"registry\.acme\.example/base/python(?::([^\s@\"']+))?(@\S+)?(?![\w./-])")
NEW = "images.acme.example/python"
TAGS = {None: "3.12-slim", "latest": "3.12-slim", "3.11": "3.11-slim", "3.12": "3.12-slim"}


@transform(safety=Safety.REVIEW, phase=Phase.BASE)
def acme_base(build: Build) -> Iterator[Fix | Skip]:
    """Start from images.acme.example, not from registry.acme.example.

    Why: the old registry is switched off on the first of May; the new image is the same, without compilers.

    Example:
        -FROM registry.acme.example/base/python:3.11 AS build
        +FROM images.acme.example/python:3.11-slim AS build
         COPY app.py /app/

    When it holds back: a tag that the new registry does not have, a digest, a tag that is a variable.
    """
    edits, lines = [], []
    for instruction in build.dockerfile.instructions:
        if instruction.keyword not in ("ARG", "FROM", "COPY"):
            continue
        start = instruction.keyword_start
        for old in OLD.finditer(build.dockerfile.text[start : instruction.text_end]):
            if old[1] not in TAGS or old[2]:
                yield Skip(f"there is no {NEW} for {old[0]}", instruction.line)
                return
            edits.append(Edit(start + old.start(), start + old.end(), f"{NEW}:{TAGS[old[1]]}"))
            lines.append(instruction.line)
    if edits:
        yield Fix("take the base image from images.acme.example", {build.path: edits}, lines[0])
