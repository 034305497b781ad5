"""Installs that stand in front of every COPY of their manifest: the build fails, and what is missing is a COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from posixpath import basename, dirname, relpath

from dockfix.build.copies import Copy
from dockfix.build.installs import Install
from dockfix.build.layout import block_start
from dockfix.build.manifests import Manifest, Unknown, manifests_of, origin_of
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.edit import insert
from dockfix.transform import Fix
from dockfix_transforms._layer_needs import SYSTEM, folders_of


def missing_manifests(build: Build, stage: Stage) -> Iterator[Fix]:
    """Yield a fix for the first install of *stage* whose manifest only a later COPY brings."""
    context = build.project.context
    if stage.image is None or not stage.image.official or context.ambiguous:
        return
    copies = [(index, step.copy) for index, step in enumerate(stage.steps) if step.copy is not None]
    later = [copy for _, copy in copies if copy.from_ is None]
    last = max((index for index, copy in copies if copy.from_ is None), default=0)
    known: list[Copy] = []
    for index, step in enumerate(stage.steps[:last]):
        if step.keyword in ("COPY", "ADD"):
            if step.copy is None or step.copy.selective or step.copy.remote or step.copy.heredoc:
                return
            known.append(step.copy)
            if step.copy.from_ is None:
                del later[0]
        if step.keyword != "RUN" or not step.installs or step.instruction.flag("mount") is not None:
            continue
        manifests = _missing(build, stage.steps, index, known, later)
        if not manifests:
            continue
        names = ", ".join(manifest.source for manifest in manifests)
        lines = "".join(line + build.dockerfile.newline for line in _copies(step, manifests))
        edit = insert(block_start(build.dockerfile, step.instruction), lines)
        yield Fix(f"copy {names}, which the install needs", {build.path: (edit,)}, step.line)
        return


def _missing(
    build: Build, steps: Sequence[Step], index: int, known: Sequence[Copy], later: Sequence[Copy]
) -> list[Manifest]:
    """Return the manifests of the RUN at *index* that only *later* COPYs bring, not *known*, those in front of it."""
    context = build.project.context
    step = steps[index]
    wants = [
        install
        for install in step.installs
        if install.manager not in SYSTEM and not install.local and install.script is step.script
        if not install.command.depth
    ]
    found: dict[Manifest, None] = {}
    for install in wants:
        if _known(build, install, known) is None:
            wanted = _known(build, install, [*known, *later])
            if wanted is None:
                return []
            found.update(
                dict.fromkeys(
                    item for item in wanted if not any(origin_of(copy, context, item.target) for copy in known)
                )
            )
    if not found or any(copy.from_ is not None for copy in known):
        return []
    own = step.instruction.value
    texts = " ".join(other.instruction.value for other in steps[:index] if other.keyword == "RUN")
    written = any(basename(item.target) in texts or f"> {basename(item.target)}" in own for item in found)
    return [] if written or any(_beside(item, known) for item in found) else list(found)


def _beside(item: Manifest, copies: Sequence[Copy]) -> bool:
    """Whether one of *copies* brings the manifest where its destination is a folder already (``COPY a.txt /app``)."""
    return any(
        copy.destination == dirname(item.target)
        and any(basename(source.value or "") == basename(item.target) for source in copy.sources)
        for copy in copies
    )


def _known(build: Build, install: Install, copies: Sequence[Copy]) -> tuple[Manifest, ...] | None:
    """Return what *install* reads where only *copies* bring something, None where it lacks something."""
    context = build.project.context

    def origin(target: str) -> str | None:
        return next((found for copy in copies if (found := origin_of(copy, context, target))), None)

    try:
        return manifests_of(install, context, origin)
    except Unknown:
        return None


def _copies(step: Step, manifests: Sequence[Manifest]) -> Iterator[str]:
    keyword = "copy" if step.instruction.keyword_text.islower() else "COPY"
    for folder, items in folders_of(manifests):
        if any(basename(item.source) != basename(item.target) for item in items):
            for item in items:
                yield f"{keyword} {item.source} {item.target}"
            continue
        place = "." if folder == step.workdir else folder
        if step.workdir is not None and place.startswith(step.workdir.rstrip("/") + "/"):
            place = relpath(place, step.workdir)
        names = " ".join(item.source for item in items)
        yield f"{keyword} {names} {place if place == '.' and len(items) == 1 else place.rstrip('/') + '/'}"
