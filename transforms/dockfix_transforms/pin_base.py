"""The transform pin-base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dockfix.build.model import Build, Stage
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._base_tag import retag
from dockfix_transforms._python_images import PythonTag, python_tag

_LOOSE: Final = pattern(r"(?:latest|3)(?=[-$]|\Z)")
_INNER_DEFAULT: Final = pattern(r"(?<=:-)(?:latest|3)(?=[-}])")
_MENTION: Final = pattern(r"(?:^|[/\s])python\b")


@transform(safety=Safety.REVIEW, phase=Phase.BASE, options={"default": "3.13"})
def pin_base(build: Build) -> Iterator[Fix | Skip]:
    """Start from the Python version that the repository states, where the base image leaves it open.

    Why: ``python:3`` and ``python:latest`` are another Python every October. The next build then fails for a package
    that has no wheel for it yet, or works and behaves in another way, though nothing in the repository changed.

    Example:
        -FROM python:3-slim
        +FROM python:3.12-slim
         COPY app.py .
         CMD ["python", "app.py"]
        @@ .python-version
         3.12.4

    The version comes from the first of these that states one: paths such as ``lib/python3.12/`` and the other stages
    of the Dockerfile; ``.python-version``, ``runtime.txt``, ``.tool-versions`` and ``Pipfile``; ``requires-python`` or
    Poetry's ``python`` where they allow one version only; the newest version in the CI workflows, in tox.ini, in the
    trove classifiers. Where none does, it is the option ``default``, and a note says so. Only major and minor version
    are written: patch releases go on coming. A tag that an ARG holds is changed at the ARG.

    Digests are for pin-digest.

    When it holds back: an image that cannot be resolved; a flavour of the tag (a Debian or Alpine release) that was
    never published for the version; a version that is not known yet; stages that could not all be pinned together.

    Source: Docker's documentation, "Building best practices", "Pin base image versions"
    (https://docs.docker.com/build/building/best-practices/), and the tags of the official image
    (https://github.com/docker-library/official-images).
    """
    if ".devcontainer" in build.path:  # whoever opens it chooses
        return
    loose: list[tuple[Stage, PythonTag]] = []
    for stage in build.stages:
        tag = python_tag(stage.image)
        if stage.image is None:
            if stage.base is None and _MENTION.search(stage.steps[0].instruction.value):
                yield Skip("which image it is cannot be told from the file", stage.steps[0].line)
                return
        elif tag is not None and stage.image.digest is None and _is_loose(tag):
            loose.append((stage, tag))
    if not loose:
        return
    result = _version(build, loose)
    if isinstance(result, Skip):
        yield result
        return
    python, note = result
    wanted = {stage.index: f"{python}-{tag.flavour}".rstrip("-") for stage, tag in loose}
    edits = retag(build, wanted, lambda tag: _rewritten_tag(tag, python), python)
    line = loose[0][0].steps[0].line
    if edits is None:
        yield Skip(f"the version does not stand in a place where {python} could be written", line)
        return
    title = f"pin the base image to Python {python}"
    yield Fix(title, {build.path: edits}, line, notes=(note,))


def _is_loose(tag: PythonTag) -> bool:
    return tag.minor is None and tag.major in (None, 3) and not tag.flavour.startswith(("windows", "nanoserver"))


def _version(build: Build, loose: list[tuple[Stage, PythonTag]]) -> tuple[str, str] | Skip:
    """Return the version and the note that says where it comes from."""
    from dockfix_transforms._python_images import published, versions
    from dockfix_transforms._python_version import allowed_versions, stated_version

    line = loose[0][0].steps[0].line
    statement = stated_version(build)
    if statement is not None:
        python, note = statement.python, f"Python {statement.python}: {statement.where}"
    else:
        allowed = allowed_versions(build)
        default = str(build.options.get("default", "3.13"))
        fitting = [
            version
            for version in versions()
            if version in allowed.versions and all(published(version, tag.flavour) for _, tag in loose)
        ]
        if not fitting:
            return Skip("no Python version fits the tag and what the repository requires", line)
        python = default if default in fitting else fitting[-1]
        note = f"nothing in the repository states a version: {python} is the configured default"
        if python != default:
            limit = allowed.where if default not in allowed.versions else "its kind of image ends there"
            note = f"nothing in the repository states one version: {python} is the newest that fits ({limit})"
    for stage, tag in loose:
        if not published(python, tag.flavour):
            if python not in versions():
                return Skip(f"Python {python} is not among the images that are known", line)
            return Skip(f"there is no image of Python {python} as {tag.flavour}", stage.steps[0].line)
    return python, note


def _rewritten_tag(tag: str, python: str) -> Iterator[str]:
    if _LOOSE.match(tag):
        yield _LOOSE.sub(python, tag, count=1)
    elif tag[:1].isalpha():
        yield f"{python}-{tag}"
    elif _INNER_DEFAULT.search(tag):
        yield _INNER_DEFAULT.sub(python, tag, count=1)
