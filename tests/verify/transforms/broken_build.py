"""A transform after which the image does not build."""

from __future__ import annotations

from collections.abc import Iterator

from dockfix.build.model import Build
from dockfix.syntax.edit import insert
from dockfix.transform import Fix, Phase, Safety, Skip, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def broken_build(build: Build) -> Iterator[Fix | Skip]:
    """Add a step that fails."""
    if "/no/such/file" not in build.dockerfile.text:
        for step in build.final.of("CMD"):
            line = insert(step.instruction.keyword_start, "RUN cat /no/such/file\n")
            yield Fix("add a step", {build.path: [line]}, step.line)
