"""Which COPYs bring what only the installs read: the manifests of a single stage, for multi-stage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle

_MANIFEST: Final = pattern(
    r"(?:.*\.(?:txt|in|lock|pip)|pyproject\.toml|poetry\.toml|uv\.toml|\.python-version|setup\.(?:py|cfg)|Pipfile|constraints.*|requirements)\Z"
)
_TEST: Final = pattern(r"(?:^|/)(?:tests?|docs?)/|(?:^|/)(?:test_[^/]*|conftest)\.py\Z", words=("test", "doc"))
_EDITABLE: Final = pattern(
    r"^[ \t]*(?:-e|--editable)[ =]+[\"']?(?!(?:git|hg|svn|bzr)\+|https?:)\S", re.MULTILINE, words=("-e",)
)
_REQUIREMENTS: Final = pattern(r"(?:requirements|constraints)(?:[-_.][\w.-]+)?\.(?:txt|in)\Z|requirements\Z")


def is_manifest(source: str) -> bool:
    """Whether *source*, as COPY names it, is by its name what a package manager reads."""
    return _MANIFEST.match(basename(source.rstrip("/*"))) is not None


def included(build: Build, stage: Stage, wanted: set[str]) -> set[str]:
    """Return the names of the files that the requirements files named *wanted* read besides (``-r``, ``-c``)."""
    from dockfix.syntax.requirements import reachable_manifests

    context = build.project.context
    found: set[str] = set()
    for step in stage.of("COPY", "ADD"):
        for source in step.copy.sources if step.copy is not None and step.copy.from_ is None else ():
            path = (source.value or "").removeprefix("./")
            if basename(path) in wanted and not path.endswith((".toml", ".lock")) and context.has(path):
                found.update(basename(name) for name in reachable_manifests(context.text, path)[0])
    return found


def check_editable(build: Build, stage: Stage, installs: Sequence[Step]) -> None:
    """Raise ``Obstacle`` where a requirements file has an editable install, which points into the source tree."""
    wanted = {basename(name) for step in installs for install in step.installs for name in install.requirements}
    wanted |= included(build, stage, wanted)
    context = build.project.context
    for path in context.paths if wanted else ():
        if basename(path) in wanted and (found := _EDITABLE.search(context.text(path) or "")):
            line = (context.text(path) or "").count("\n", 0, found.start()) + 1
            where = context.repository_path(path)
            raise Obstacle("an editable install points into the source tree", line, where)


def dispensable(build: Build, stage: Stage, copy: Copy, wanted: set[str], installs: Sequence[Step]) -> bool:
    """Whether the final stage can do without this COPY of manifests: it gets them again, or only installs read them.

    *wanted* are the names of the requirement and constraint files that the installs read.
    """
    names = {basename((source.value or "").rstrip("/")) for source in copy.sources}
    own = next(step.line for step in stage.of("COPY", "ADD") if step.copy is copy)
    moved = {step.line for step in installs}
    readers = stage.of("RUN", "CMD", "ENTRYPOINT", "ENV")
    rest = " ".join(step.instruction.value for step in readers if step.line not in moved)
    rest += " ".join(_programs(build))
    if all(name in wanted or _REQUIREMENTS.match(name) for name in names) and not any(name in rest for name in names):
        return True
    later = [other.copy for other in stage.of("COPY", "ADD") if other.line > own and not _manifests_only(other.copy)]
    for source in copy.sources:
        path = (source.value or "").removeprefix("./")
        target = copy.image_path(path)
        if target is None or not any(other and other.image_path(path) == target for other in later):
            return False
    return True


def _programs(build: Build) -> Iterator[str]:
    """Yield the texts of programs and scripts that may read a manifest when the container runs."""
    context = build.project.context
    for path in context.paths[:2000]:
        program = path.endswith((".py", ".sh", ".bash")) and basename(path) not in (
            "setup.py",
            "noxfile.py",
            "tasks.py",
        )
        text = (context.text(path) or "") if program and not _TEST.search(path) else ""
        if "require" in text:
            yield "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _manifests_only(copy: Copy | None) -> bool:
    return copy is not None and all(is_manifest(it.value or "") for it in copy.sources)
