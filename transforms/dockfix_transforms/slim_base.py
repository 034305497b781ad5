"""The transform slim-base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.layout import blank_above, block_start
from dockfix.build.lineage import lineage, start_steps
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._python_images import PythonTag, python_tag

if TYPE_CHECKING:
    from dockfix_transforms._slim_needs import SlimNeeds

_HEAD: Final = frozenset({"FROM", "ARG", "ENV", "LABEL", "SHELL", "WORKDIR", "MAINTAINER"})
_VARIABLE: Final = pattern(r"\$\{?(\w+)", words=("$",))
_OTHER_MACHINES: Final = pattern(r"arm/|386|ppc|s390|riscv|mips")
_NOTEBOOK: Final = pattern(r"\bjupyter", words=("jupyter",))
_NEXT_LINE: Final = pattern(r"[ \t]*[\\`]\r?\n[ \t]*\Z")
_NO_LIBRARY: Final = frozenset({"apt", "pip", "poetry", "uv-pip", "uv-sync", "pipenv", "pdm"})


@transform(safety=Safety.REVIEW, phase=Phase.BASE, production=True)
def slim_base(build: Build) -> Iterator[Fix | Skip]:
    """Ship the slim Python image, with what the program used of the full one.

    Why: the full image has compilers, headers, ImageMagick, Mercurial and two hundred more packages: 800 MB more to
    pull, and most of what a scanner finds in the image. A program uses few of them when it runs.

    Example:
        -FROM python:3.12
        +FROM python:3.12-slim
         WORKDIR /app
        +RUN apt-get update && apt-get install -y --no-install-recommends libmagic1 && rm -rf /var/lib/apt/lists/*
         RUN pip install --no-cache-dir flask==3.1.0 python-magic==0.4.27
         COPY app.py .
         CMD ["python", "app.py"]

    The stage that ships becomes slim, in the same Debian release; a builder stage keeps its compilers. What the full
    image gave is added by apt-get: libraries that Python packages load, by a table, and commands that the start
    command, the health check, scripts, compose files and Python sources call, curl and git for instance.

    Never Alpine: its C library is another one, for which many packages have no wheels.

    When it holds back: a package that is built from source in the stage itself, or may be, for all that the table
    says (a builder stage changes that); packages from git, and those that drive a browser; programs copied from other
    images; what npm and its like build; a RUN or a script that calls a compiler or is not understood; libraries that
    the sources load by name; an image by digest, or without a start command; Debian releases that no package can be
    installed in any more.

    Source: the official image's description, "python:<version>-slim"
    (https://github.com/docker-library/docs/blob/master/python/README.md), and the packages of buildpack-deps
    (https://github.com/docker-library/buildpack-deps). The tables name theirs.
    """
    if ".devcontainer" in build.path:  # whoever opens it wants the tools
        return
    root = lineage(build)[0]
    tag = python_tag(root.image)
    if tag is None or root.image is None or not tag.debian or tag.slim:
        return
    line = root.steps[0].line
    if root.image.digest is not None:
        yield Skip("the image is pinned by its digest", line)
        return
    try:
        yield _fix(build, root, tag)
    except Obstacle as obstacle:
        found = obstacle.skip
        yield Skip(found.reason, found.line or line, found.path)


def _fix(build: Build, root: Stage, tag: PythonTag) -> Fix:
    from dockfix_transforms._base_tag import retag
    from dockfix_transforms._slim_needs import slim_needs

    line = root.steps[0].line
    if tag.major == 2:
        raise Obstacle("which packages of Python 2 are built from source is not known", line)
    platform = root.steps[0].instruction.flag("platform")
    if platform is not None and _OTHER_MACHINES.search(platform.value or ""):
        raise Obstacle(f"which packages have wheels for {platform.value} is not known", line)
    onbuild = next((step for step in build.steps if step.keyword == "ONBUILD"), None)
    if onbuild is not None:
        raise Obstacle("ONBUILD: what images that are built from this one need is not known", onbuild.line)
    started = any(service.command or service.entrypoint for service in build.project.services)
    if start_steps(build) == (None, None) and not started:
        raise Obstacle("nothing says what the image runs: others may be built on it", line)
    for step in start_steps(build):
        if step is not None and _NOTEBOOK.search(step.instruction.value):
            raise Obstacle(
                "who works in a notebook installs packages in it, with the compilers of the full image", step.line
            )
    _check_arguments(build, root)
    needs = slim_needs(build)
    wanted = slim_tag(tag, root.image.tag if root.image else None)
    edits = retag(build, {root.index: wanted}, _slim, "slim")
    if edits is None:
        raise Obstacle(f"the tag does not stand in a place where {wanted} could be written", line)
    if needs.packages:
        edits.append(_install(build, root, needs))
    title = f"start from the slim image, python:{wanted}"
    return Fix(title, {build.path: tuple(sorted(edits))}, line, notes=needs.notes)


def _check_arguments(build: Build, root: Stage) -> None:
    """Raise ``Obstacle`` where a file gives an argument of FROM a value that names its own kind of image."""
    word = root.steps[0].instruction.value.split()[0]
    for name in _VARIABLE.findall(word):
        given = re.compile(rf"\b{name}\s*[:=]\s*[\"']?[\w./:]*-(?:slim|alpine|windows)")
        for path in build.project.files.paths:
            if path.endswith((".yml", ".yaml", ".hcl", ".sh", ".env", "Makefile")):
                match = given.search(build.project.files.text(path) or "")
                if match:
                    raise Obstacle(f"{path} gives {name} another kind of image", root.steps[0].line, path)


def slim_tag(tag: PythonTag, written: str | None) -> str:
    """Return the slim tag beside *written*, which *tag* was read from."""
    version = (written or "latest").removesuffix(tag.flavour).rstrip("-") if written != "latest" else ""
    return "-".join(part for part in (version if written else "", "slim", tag.flavour) if part)


def _slim(tag: str) -> Iterator[str]:
    """Yield *tag*, in which variables may stand, with "slim" in every place where it may be meant."""
    yield tag.replace("latest", "slim")
    yield f"{tag}-slim"
    yield f"slim-{tag}"
    for at, char in enumerate(tag):
        if char == "-":
            yield f"{tag[:at]}-slim{tag[at:]}"


def _install(build: Build, root: Stage, needs: SlimNeeds) -> Edit:
    """Return the edit that installs the packages: in the stage's first install, or in a RUN of its own on top."""
    from dockfix_transforms._debian import apt_install

    runs = root.of("RUN")
    step = next((step for step in runs if any(install.manager == "apt" for install in step.installs)), None)
    if step is not None and (not needs.early or step.line < needs.early):
        before = [other for other in runs if other.line < step.line]
        if all(other.installs and {item.manager for item in other.installs} <= _NO_LIBRARY for other in before):
            edit = _joined(build, step, needs.packages)
            if edit is not None:
                return edit
    following = next((step for step in root.steps if step.keyword not in _HEAD), None)
    lower = root.steps[0].instruction.keyword_text.islower()
    text = apt_install(needs.packages, "run" if lower else "RUN", build.dockerfile.newline)
    last = (following or root.steps[-1]).instruction
    if following is not None:
        start = block_start(build.dockerfile, last)
        apart = start < last.start and blank_above(build.dockerfile, last)  # its comment is not about this
        return insert(start, text + build.dockerfile.newline if apart else text)
    newline = build.dockerfile.newline
    if build.dockerfile.text[: last.end].endswith("\n"):
        return insert(last.end, text)
    return insert(last.end, newline + text.removesuffix(newline))


def _joined(build: Build, step: Step, packages: tuple[str, ...]) -> Edit | None:
    """Return the edit that adds *packages* behind those of the step's install, in its style."""
    for install in step.installs:
        words = [word for word in install.command.words if word.value and word.value in install.packages]
        words = [word for word in words if word.start > install.verb.end]
        if install.manager != "apt" or install.action != "install" or not words or None in install.packages:
            continue
        if install.command.depth:
            return None
        spans = [install.script.span(word) for word in words]
        between = " " if len(spans) == 1 else build.dockerfile.text[spans[-2][1] : spans[-1][0]]
        separator = " " if not between.strip(" ") else between
        if separator != " " and not _NEXT_LINE.match(separator):
            return None
        return insert(spans[-1][1], "".join(f"{separator}{package}" for package in packages))
    return None
