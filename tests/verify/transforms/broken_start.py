"""A transform after which the program does not start."""

from __future__ import annotations

from collections.abc import Iterator

from dockfix.build.model import Build
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform


@transform(safety=Safety.REVIEW, phase=Phase.START)
def broken_start(build: Build) -> Iterator[Fix | Skip]:
    """Run a program that is not there."""
    at = build.dockerfile.text.find("server.py")
    if at >= 0:
        yield Fix("run the server", {build.path: [Edit(at, at + len("server.py"), "serve.py")]}, 1)
