"""Python packages that a stage copies from another one: what is carried where, and by which Pythons."""

from __future__ import annotations

import re
from posixpath import basename
from typing import Final

from dockfix.build.expand import expand_word
from dockfix.build.keyvalue import pairs_of
from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._python_images import PythonTag, python_tag

IN_PATH: Final = pattern(r"\blib/python(3\.\d+)(?=/|\Z)", words=("lib/python",))
_SYSTEM: Final = pattern(r"/usr/local/lib(?:/python3\.\d+(?:/site-packages)?)?\Z", words=("/usr/local/lib",))
_VENV: Final = pattern(r"(?:\bvenv|\bvirtualenv)\s+(?:-\S+\s+)*(/[\w./-]+)", words=("venv", "virtualenv"))
_BARE_PATH: Final = pattern(r"\$\{?PATH\}?", words=("PATH",))


@record
class Carried:
    """A COPY that brings packages: ``kind`` is "system" (below /usr/local), "environment" or "user" (~/.local).

    ``source`` and ``target`` are absolute, without a slash at the end. ``stage`` is the one that it copies from.
    """

    step: Step
    stage: Stage
    kind: str
    source: str
    target: str


def carried(build: Build) -> tuple[Carried, ...]:
    """Return the COPYs of the stages that ship which bring packages of another stage of this file."""
    return tuple(one for stage in lineage(build) for step in stage.of("COPY") if (one := _carried(build, step)))


def _carried(build: Build, step: Step) -> Carried | None:
    copy = step.copy
    origin = copied_from(build, step)
    if copy is None or origin is None or copy.destination is None or len(copy.sources) != 1:
        return None
    source = "/" + (copy.sources[0].value or "").strip("/")
    if _SYSTEM.match(source):
        kind = "system"
    elif source == "/root/.local":
        kind = "user"
    elif source in environments(build, origin):
        kind = "environment"
    else:
        return None
    return Carried(step, origin, kind, source, copy.destination)


def copied_from(build: Build, step: Step) -> Stage | None:
    """Return the stage of this file that a COPY ``--from`` names."""
    name = step.copy.from_.lower() if step.copy is not None and step.copy.from_ else None
    earlier = build.stages[: step.stage]
    return next((stage for stage in reversed(earlier) if name in (stage.name, str(stage.index))), None)


def ancestry(build: Build, stage: Stage) -> tuple[Stage, ...]:
    """Return *stage* and those that it is built on, the lowest first."""
    chain = [stage]
    while (base := chain[0].base_stage) is not None:
        chain.insert(0, build.stages[base])
    return tuple(chain)


def python_of(build: Build, stage: Stage) -> PythonTag | None:
    """Return the Python image that *stage* is built on, None where it is another image."""
    return python_tag(ancestry(build, stage)[0].image)


def environments(build: Build, stage: Stage) -> frozenset[str]:
    """Return the virtual environments that the RUNs of *stage* make at a path that they state."""
    found: set[str] = set()
    for one in ancestry(build, stage):
        for step in one.of("RUN"):
            found |= {match.rstrip("/") for match in _VENV.findall(step.instruction.value)}
            if re.search(r"\bvenv\b|\bvirtualenv\b", step.instruction.value):
                place = step.env.get("VIRTUAL_ENV")
                if place and "VIRTUAL_ENV" in step.instruction.value:
                    found.add(place.rstrip("/"))
    return frozenset(found)


def on_path(build: Build, folder: str) -> bool:
    """Whether PATH of the final image has *folder*, or may have it."""
    for stage in lineage(build):
        for step in stage.of("ENV"):
            for pair in pairs_of(step.instruction, build.dockerfile.escape):
                if pair.name == "PATH" and pair.raw is not None:
                    value = expand_word(_BARE_PATH.sub("", pair.raw), step.env)
                    if value is None or folder in value.split(":"):
                        return True
    return False


def installs_python(build: Build) -> bool:
    """Whether a stage that ships installs Python packages itself."""
    managers = {"pip", "uv-pip", "uv-sync", "uv-tool", "poetry", "pipenv", "pdm", "conda"}
    steps = [step for stage in lineage(build) for step in stage.of("RUN")]
    return any(install.manager in managers for step in steps for install in step.installs)


def brings(build: Build, program: str) -> bool:
    """Whether a COPY of the stages that ship, or a Debian package, may bring the command *program*."""
    for stage in lineage(build):
        for step in stage.steps:
            if step.keyword in ("COPY", "ADD"):
                copy = step.copy
                if copy is None or copy.destination is None:
                    return True
                names = {basename(source.value or program) for source in copy.sources} | {basename(copy.destination)}
                if program in names or copy.destination in ("/", "/usr", "/usr/local", "/usr/bin", "/bin"):
                    return True
                if copy.destination == "/usr/local/bin" and (copy.from_ is not None or "*" in "".join(names)):
                    return True
            for install in step.installs:
                if any(package is None or program in package for package in install.packages):
                    return True
    return False


def below(build: Build, step: Step, line: str) -> Edit:
    """Return the edit that puts a line below *step*."""
    end, newline = step.instruction.end, build.dockerfile.newline
    if build.dockerfile.text[:end].endswith("\n"):
        return insert(end, line + newline)
    return insert(end, newline + line)
