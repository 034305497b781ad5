"""What ships: the stages that the final image is built on, and where it has the files of the build context."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.image import ImageReference


def lineage(build: Build) -> tuple[Stage, ...]:
    """Return the stages whose layers the image has: those that the final stage is built on, and the final stage."""
    chain = [build.final]
    while (base := chain[0].base_stage) is not None:
        chain.insert(0, build.stages[base])
    return tuple(chain)


def open_images(stages: Iterable[Stage]) -> Iterator[tuple[Stage, ImageReference]]:
    """Yield the stages that start from an image which its tag names alone, without a digest."""
    for stage in stages:
        if stage.image is not None and stage.image.digest is None:
            yield stage, stage.image


def last_step(build: Build, keyword: str) -> Step | None:
    """Return the last step with this keyword in the image's lineage: the one that counts for CMD, HEALTHCHECK, ..."""
    return next((step for stage in reversed(lineage(build)) if (step := stage.last(keyword)) is not None), None)


def start_steps(build: Build) -> tuple[Step | None, Step | None]:
    """Return the ENTRYPOINT and the CMD in force; an ENTRYPOINT of a later stage resets the CMD of an earlier one."""
    entry = cmd = None
    for stage in lineage(build):
        own_entry, own_cmd = stage.last("ENTRYPOINT"), stage.last("CMD")
        if own_entry is not None:
            cmd = None
        entry, cmd = own_entry or entry, own_cmd or cmd
    return entry, cmd


def image_path(build: Build, context_path: str) -> str | None:
    """Return where the image has the file *context_path* (relative to the context's root); the last COPY counts.

    A COPY ``--from`` a stage of the same file is followed. None where no COPY brings the file, where .dockerignore
    keeps it out, and where it cannot be told.
    """
    if build.project.context.ignored(context_path):
        return None
    return _path_in(build, build.final.index, context_path, 0)


def _path_in(build: Build, stage_index: int, context_path: str, depth: int) -> str | None:
    index: int | None = stage_index
    while index is not None and depth < 5:
        stage = build.stages[index]
        for step in reversed(stage.of("COPY", "ADD")):
            copy = step.copy
            if copy is None:
                continue
            if copy.from_ is None:
                target = copy.image_path(context_path)
            else:
                target = _copied_on(build, step, context_path, depth)
            if target is not None:
                return target
        index = stage.base_stage
    return None


def _copied_on(build: Build, step: Step, context_path: str, depth: int) -> str | None:
    """Return where a COPY ``--from`` a stage puts what that stage has of the file."""
    copy = step.copy
    if copy is None or copy.from_ is None or copy.destination is None or len(copy.sources) != 1:
        return None
    name = copy.from_.lower()
    other = next(
        (stage for stage in build.stages[: step.stage] if name == (stage.name or "") or name == str(stage.index)), None
    )
    source = copy.sources[0].value
    if other is None or source is None or not source.startswith("/"):
        return None
    inside = _path_in(build, other.index, context_path, depth + 1)
    folder = source.rstrip("/")
    if inside is None:
        return None
    if inside == folder:
        return f"{copy.destination.rstrip('/')}/{folder.rpartition('/')[2]}" if copy.directory else copy.destination
    if inside.startswith(f"{folder}/"):
        return copy.destination.rstrip("/") + inside[len(folder) :]
    return None
