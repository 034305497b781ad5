"""A transform after which the program answers something else."""

from __future__ import annotations

from collections.abc import Iterator

from dockfix.build.model import Build
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, Skip, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTEXT)
def broken_answer(build: Build) -> Iterator[Fix | Skip]:
    """Greet in another way."""
    text = build.project.files.text("greeting.txt")
    if text == "Good morning\n":
        yield Fix("greet", {"greeting.txt": [Edit(0, len(text), "Good evening\n")]}, 1)
