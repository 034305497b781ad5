"""The directory in which each instruction runs, where the files tell it for certain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockfix_transforms._base_images import starts_in_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step


def directories(build: Build) -> Iterator[tuple[Step, str | None]]:
    """Yield every step with the directory in which it runs; None where it depends on a base image that is not known."""
    known: list[bool] = []
    for stage in build.stages:
        if stage.base_stage is not None:
            certain = known[stage.base_stage]
        else:
            certain = stage.base == "scratch" or starts_in_root(stage.image)
        for step in stage.steps:
            yield step, step.workdir if certain else None
            if step.keyword == "WORKDIR":
                certain = certain or _is_absolute(step)
        known.append(certain)


def _is_absolute(step: Step) -> bool:
    if step.instruction.value.startswith("/"):
        return True
    if not step.instruction.value.startswith(("$", '"', "'")):
        return False
    from dockfix.build.expand import expand_word

    return (expand_word(step.instruction.value, step.env, step.escape) or "").startswith("/")
