"""What a slim image must get so that the program finds all that the full image had: the reasoning behind slim-base."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix_transforms._debian import (
    build_only,
    in_full_image,
    in_slim_image,
    library,
    modules,
    needs_of,
    release_of,
    runtime_packages,
)
from dockfix_transforms._distributions import PYTHON, Distribution, distributions
from dockfix_transforms._full_image import affected, apt_lines, missing, removed, uses
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._python_images import python_tag, table, versions
from dockfix_transforms._wheelhouse import from_wheelhouse, wheel_builds
from dockfix_transforms._wheels import by_files, by_table

_PYTHON_PLACES: Final = pattern(
    r"site-packages|dist-packages|/\.local\b|venv|virtualenv|/install\b|/wheel|/usr/local/bin/?\Z|/opt/\w+/?\Z|/uvx?\Z"
)
_SYSTEM_PLACES: Final = pattern(r"/(?:usr/)?(?:local/)?(?:s?bin|lib(?:64|exec)?)(?:/|\Z)|/usr(?:/local)?/?\Z")


@record
class SlimNeeds:
    """``packages`` are Debian's names of what is installed, ``notes`` say what for."""

    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    early: int = 0
    """The line of the first RUN that calls one of them, 0 where none does."""


def slim_needs(build: Build) -> SlimNeeds:
    """Return what the final stage's image must get when it is slim. Raises ``Obstacle`` where that cannot be told."""
    stages = affected(build)
    root = stages[0]
    tag = root.image.tag if root.image else None
    release = release_of(tag)
    parsed = python_tag(root.image)
    python = (parsed.python if parsed else None) or versions()[-1]
    _check_copies(build)
    reasons: dict[str, str] = {}
    early = 0
    present = apt_lines(stages)
    gone = removed(stages)
    for use in missing(uses(build, stages), present, gone):
        reasons.setdefault(use.package, f"{use.where} calls {use.command}")
        early = min(early or use.line, use.line) if use.where == "a RUN" else early
    unknown: list[str] = []
    installed = list(_installed(build, stages, python))
    brought = {distribution.name for distribution, _, _ in installed} & {"psycopg-binary", "psycopg-c"}
    for distribution, here, step in installed:
        if distribution.name == "psycopg" and brought:
            continue  # which brings the library, or asks for it itself
        for name, reason in _libraries(distribution, step, python, release, here, present, unknown):
            reasons.setdefault(name, reason)
    for name, place in _imported(build):
        reasons.setdefault(name, f"{place[1]} is imported in {place[0]}")
    kept = present.keys() - gone
    packages: dict[str, str] = {}
    line = root.steps[0].line
    for name, reason in reasons.items():
        package = library(name, release)
        if package == "" or {name, package} & kept or (package is not None and in_slim_image(package)):
            continue
        if _archived(release):
            shown = f"{name} is needed ({reason}), and nothing can be installed in Debian {release} any more"
            raise Obstacle(shown, line)
        if package is None:
            raise Obstacle(f"{reason}: Debian's name of {name} differs by release, and the tag names none", line)
        packages[package] = reason
    notes = [f"{package}: {reason}" for package, reason in packages.items()]
    if unknown:
        names = ", ".join(sorted(set(unknown))[:6]) + (" ..." if len(set(unknown)) > 6 else "")
        notes.append(f"in no table, and built in another stage: check that none loads a library of Debian's ({names})")
    return SlimNeeds(tuple(sorted(packages)), tuple(notes), early)


def _archived(release: str | None) -> bool:
    """Return whether the newest of the releases has left the mirrors."""
    newest = (release or "").split()[-1:]
    return any(table()["debian"].get(one, {}).get("archived", False) for one in newest)


def _installed(build: Build, stages: Sequence[Stage], python: str) -> Iterable[tuple[Distribution, bool, Step]]:
    """Yield what the stages install, and those that they copy from; whether the stages may build it; and the step."""
    own = {stage.index for stage in stages}
    wanted = set(own)
    waiting = list(wanted)
    while waiting:
        stage = build.stages[waiting.pop()]
        sources = {step.copy.from_.lower() for step in stage.of("COPY") if step.copy and step.copy.from_}
        more = {other.index for other in build.stages[: stage.index] if {other.name, str(other.index)} & sources}
        more |= {stage.base_stage} if stage.base_stage is not None else set()
        waiting += more - wanted
        wanted |= more
    for index in sorted(wanted):
        stage = build.stages[index]
        for step in stage.of("RUN"):
            for install in (*step.installs, *wheel_builds(step)):
                if install.manager in PYTHON:
                    prebuilt = from_wheelhouse(stage, step, install)
                    for distribution in distributions(build, step, install, python, prebuilt=prebuilt):
                        yield distribution, index in own and not prebuilt, step


def _libraries(
    distribution: Distribution,
    step: Step,
    python: str,
    release: str | None,
    here: bool,
    present: Mapping[str, int],
    unknown: list[str],
) -> Iterable[tuple[str, str]]:
    """Yield the libraries that a distribution loads, and why. Raises ``Obstacle`` where it cannot be installed."""
    name = distribution.name
    needs = needs_of(name)
    if needs is not None and needs.hold:
        raise Obstacle(f"{name}: {needs.hold}", distribution.line)
    if needs is not None and needs.known_from:
        from dockfix_transforms._wheels import reaches

        if not reaches(distribution.version, needs.known_from):
            raise Obstacle(f"what {name} {distribution.version} loads is not known", distribution.line)
    if distribution.from_source:
        verdict = "unknown"
    elif distribution.files is not None:
        verdict = by_files(distribution.files, python)
    else:
        verdict = by_table(name, distribution.version, python)
    build = needs.build if needs is not None and needs.build is not None else None
    if here and distribution.from_source:
        raise Obstacle(f"{name} is fetched and built from version control", distribution.line)
    if here and verdict == "unknown":
        raise Obstacle(f"whether {name} installs without a compiler is not known", distribution.line)
    if here and verdict == "source":
        tools = {package for package, line in present.items() if line <= step.line}
        lacking = [package for package in build or ("gcc",) if not _has(tools, package)]
        if lacking:
            version = distribution.version if "," in distribution.version else distribution.version.removeprefix("==")
            shown = f"{name} {version}".strip()
            known = f"no wheel of {shown} for Python {python} is known"
            reason = f"{known}, and slim images have no {lacking[0]} to build it with"
            raise Obstacle(reason, distribution.line)
    if verdict == "unknown" and needs is None:
        unknown.append(name.partition("[")[0])
    reason = f"{name} uses it when it runs"
    for wanted in needs.run if needs is not None else ():
        if in_full_image(wanted):
            yield wanted, reason
    if verdict == "source" and needs is not None and not needs.run:
        for package in build or ():
            if not build_only(package):
                libraries = runtime_packages(package, release) or ()
                yield from ((found, reason) for found in libraries if in_full_image(found))


def _has(tools: Set[str], package: str) -> bool:
    """Return whether apt installed a build package, by its own name or with ``build-essential``."""
    if package in tools:
        return package != "gcc" or bool(tools & {"libc6-dev", "libc-dev", "g++", "build-essential", "musl-dev"})
    return package in ("gcc", "g++", "make") and bool(
        tools & {"build-essential"} | (tools & {"g++"} if package == "gcc" else set())
    )


def _imported(build: Build) -> Iterable[tuple[str, tuple[str, str]]]:
    """Yield the libraries of modules that the sources import: name, and file and module."""
    import re

    context = build.project.context
    names = {module: [name for name in found if in_full_image(name)] for module, found in modules().items()}
    names = {module: found for module, found in names.items() if found}
    modules_of = rf"^[ \t]*(?:import|from)[ \t]+({'|'.join(map(re.escape, names))})\b"
    expression = pattern(modules_of, re.MULTILINE, words=tuple(names))
    for path in context.paths:
        if path.endswith(".py"):
            for module in expression.findall(context.text(path) or ""):
                for name in names[module]:
                    yield name, (context.repository_path(path), module)


def _check_copies(build: Build) -> None:
    """Raise ``Obstacle`` for programs and libraries of another image, which may be linked with what slim lacks."""
    for stage in lineage(build):
        for step in stage.of("COPY"):
            copy = step.copy
            if copy is None:
                raise Obstacle("what this COPY brings is not known", step.line)
            if copy.from_ is None:
                continue
            name = copy.from_.lower()
            known = any(name in (other.name, str(other.index)) for other in build.stages[: stage.index])
            for source in copy.sources:
                value = source.value or ""
                if _PYTHON_PLACES.search(value) or posixpath.splitext(value)[1] in (".txt", ".html", ".css", ".js"):
                    continue
                if not known or _SYSTEM_PLACES.match(value):
                    raise Obstacle(
                        f"{value or 'a file'} of {copy.from_} may load libraries that slim images lack", step.line
                    )
