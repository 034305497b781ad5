"""The transform repair-multi-stage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Stage, Step
from dockfix.build.start import Start, start_of
from dockfix.records import replace
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._carried import (
    IN_PATH,
    Carried,
    ancestry,
    below,
    brings,
    carried,
    installs_python,
    on_path,
    python_of,
)
from dockfix_transforms._knowledge import table
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._python_images import PythonTag, published

_PYTHON: Final = pattern(r"python[\d.]*\Z")
_VERSION: Final = pattern(r"(?<=:)\d+\.\d+(?:\.\d+)?")
_NAMED: Final = pattern(r"\bpython(3\.\d+)\b")
_STAGE_NAME: Final = pattern(r"(?:\w+-)?(?:build(?:er)?|base|dep(?:endencie)?s|stage)(?:-\w+)?\Z")
"""What stages are called, and images on Docker Hub are not."""
_ROOT: Final = pattern(r"(?:root|0)?(?::|\Z)")


@transform(safety=Safety.REVIEW, phase=Phase.STAGES)
def repair_multi_stage(build: Build) -> Iterator[Fix | Skip]:
    """Complete a final stage that cannot find, read or import what a builder stage installed.

    Why: packages that are copied without their commands, into another user's home or to another Python build without
    a complaint. The container then ends with "executable file not found" or "No module named ...".

    Example:
         FROM python:3.12 AS builder
         COPY requirements.txt .
         RUN pip install -r requirements.txt

         FROM python:3.12-slim
         COPY --from=builder /usr/local/lib/python3.12/site-packages /usr/local/lib/python3.12/site-packages
        +COPY --from=builder /usr/local/bin /usr/local/bin
         COPY . /app
         WORKDIR /app
         CMD ["gunicorn", "app:app"]
        @@ requirements.txt
         flask==3.1.0
         gunicorn==23.0.0

    A virtual environment, or ``/root/.local``, that is not on PATH gets there. ``/root/.local`` behind another USER
    moves to that user's home. Of two versions of Python the one stays that the repository states, or that the paths
    name; paths follow where both images have another version.

    When it holds back: a program that may come from elsewhere; versions with nothing to choose between them, in a
    variable or with a digest; a user whose home is not known, or packages that RUNs of root need as well; a virtual
    environment copied to another path, or packages from Alpine to Debian: then it says what is wrong.

    Source: Docker's documentation, "Multi-stage builds" (https://docs.docker.com/build/building/multi-stage/);
    Python's, "site" (https://docs.python.org/3/library/site.html).
    """
    if len(build.stages) < 2 or not build.final.of("COPY"):
        return
    yield from _no_such_stage(build)
    found = carried(build)
    if not found:
        return
    for repair in (_versions, _user, _commands):
        try:
            fix = repair(build, found)
        except Obstacle as obstacle:
            yield obstacle.skip
            return
        if fix is not None:
            yield fix
            return


def _no_such_stage(build: Build) -> Iterator[Skip]:
    """Say that COPY names a stage that is not there, where one stage is left that nothing names."""
    names = {stage.name for stage in build.stages}
    copies = [(step, step.copy.from_) for stage in build.stages for step in stage.of("COPY") if step.copy]
    unknown = [(step, name) for step, name in copies if name and name.lower() not in names and _STAGE_NAME.match(name)]
    if not unknown:
        return
    text = build.dockerfile.text.lower()
    bases = {(stage.base or "").lower() for stage in build.stages}
    left = [stage for stage in build.stages[:-1] if stage.name and stage.name not in bases]
    left = [one for one in left if not re.search(rf"from=(?:{re.escape(one.name or '')}|{one.index})(?![\w.-])", text)]
    if len(left) == 1:
        step, name = unknown[0]
        yield Skip(f"no stage is called {name}, and nothing is copied from the one called {left[0].name}", step.line)


def _versions(build: Build, found: tuple[Carried, ...]) -> Fix | None:
    """Make the Python of the builder and of the final stage, and the paths between them, one version."""
    final = python_of(build, build.final)
    for one in found:
        builder = python_of(build, one.stage)
        if builder is None or final is None or builder.python is None or final.python is None:
            continue
        if ("alpine" in builder.flavour) != ("alpine" in final.flavour):
            raise Obstacle(
                "packages of the builder do not load here: one of the stages is Alpine, the other Debian", one.step.line
            )
        if builder.python != final.python:
            if _other_python(build, one.stage, builder.python):
                return None
            return _aligned(build, one, builder, final)
        paths = set(IN_PATH.findall(one.step.instruction.value))
        if one.kind == "system" and paths - {final.python}:
            return _repathed(build, one, final.python)
    return None


def _repathed(build: Build, one: Carried, version: str) -> Fix:
    """Return the fix for paths of another version than that of both images."""
    others = {name for name in IN_PATH.findall(one.step.instruction.value) if name != version}
    if (step := _other_python(build, one.stage, version)) is not None:
        raise Obstacle(f"both images have Python {version}, and the builder names another one", step.line)
    edits: list[Edit] = []
    for stage in lineage(build):
        for step in stage.of("COPY", "ENV"):
            start, end = step.instruction.start, step.instruction.end
            if step.keyword == "ENV" or (step.copy is not None and step.copy.from_ is not None):
                for match in IN_PATH.finditer(build.dockerfile.text, start, end):
                    if match[1] in others:
                        edits.append(Edit(*match.span(1), version))
    title = f"name the paths of Python {version}, which both stages have"
    return Fix(title, {build.path: tuple(edits)}, one.step.line)


def _other_python(build: Build, stage: Stage, version: str) -> Step | None:
    """Return the RUN of the builder that names another Python than its image has."""
    steps = (step for part in ancestry(build, stage) for step in part.of("RUN"))
    return next((step for step in steps if set(_NAMED.findall(step.instruction.value)) - {version}), None)


def _aligned(build: Build, one: Carried, builder: PythonTag, final: PythonTag) -> Fix:
    """Return the fix that gives one of the stages the Python of the other one."""
    from dockfix_transforms._python_version import stated_version

    wrong = f"the stages have Python {builder.python} and {final.python}, which do not find each other's packages"
    paths = set(IN_PATH.findall(one.step.instruction.value))
    stated = stated_version(replace(build, stages=()))  # what the files say, without this one
    if stated is not None and stated.python in (builder.python, final.python) and paths <= {stated.python}:
        target, why = stated.python, stated.where
    elif stated is None and len(paths) == 1 and paths <= {builder.python, final.python}:
        target, why = paths.pop(), f"the path that line {one.step.line} copies"
    else:
        raise Obstacle(f"{wrong}, and nothing says which is meant", one.step.line)
    right, stage = (builder, build.final) if target == builder.python else (final, one.stage)
    wrong_tag = final if right is builder else builder
    root = ancestry(build, stage)[0].steps[0]
    raw = build.dockerfile.raw(root.instruction)
    match = _VERSION.search(raw)
    if match is None or "$" in raw or "@sha256" in raw:
        raise Obstacle(f"{wrong}, and the tag is not written plainly", root.line)
    if not published(target, wrong_tag.flavour):
        raise Obstacle(f"{wrong}, and there is no image of {target} for {wrong_tag.flavour}", root.line)
    version = target if right.patch is None or match[0].count(".") < 2 else f"{target}.{right.patch}"
    start = root.instruction.start
    edit = Edit(start + match.start(), start + match.end(), version)
    notes = (f"{wrong}; {target} by {why}",)
    return Fix(f"build every stage on Python {target}", {build.path: (edit,)}, root.line, notes=notes)


def _user(build: Build, found: tuple[Carried, ...]) -> Fix | None:
    """Move packages of root's home to that of the user whom the program runs as."""
    last = next((step for stage in reversed(lineage(build)) if (step := stage.last("USER"))), None)
    user = last.instruction.value.strip("\"'") if last is not None else "root"
    if last is None or _ROOT.match(user):
        return None
    one = next((one for one in found if one.kind == "user" and one.target == "/root/.local"), None)
    if one is None:
        return None
    from dockfix_transforms._user_site import moved_home

    return moved_home(build, one, last, user)


def _commands(build: Build, found: tuple[Carried, ...]) -> Fix | None:
    """Bring the commands of the packages along, or put them on PATH."""
    start = start_of(build)
    if not isinstance(start, Start) or start.runner or installs_python(build) or python_of(build, build.final) is None:
        return None
    program = start.words[start.prefix] if start.prefix < len(start.words) else ""
    script = program in table("console_scripts")["scripts"]
    if not (script or _PYTHON.match(program)) or (script and brings(build, program)):
        return None
    for one in found:
        text = " ".join(start.before)
        if one.kind == "system" and script:
            return _with_scripts(build, one, program)
        if one.kind == "environment" and not on_path(build, f"{one.source}/bin"):
            if one.source in text or "activate" in text or _named(build, one.source, one.step):
                return None
            if one.target != one.source:
                if on_path(build, f"{one.target}/bin") and not script:
                    return None  # Python itself finds its way in an environment that was moved
                raise Obstacle(
                    f"the commands in {one.target} start {one.source}/bin/python, which is not here", one.step.line
                )
            return _with_path(build, one)
        if one.kind == "user" and script and not on_path(build, f"{one.target}/bin"):
            return _with_path(build, one)
    return None


def _named(build: Build, folder: str, but: Step) -> bool:
    """Whether another instruction of the stages that ship names *folder* (PYTHONPATH, a start script of its own)."""
    return any(
        folder in step.instruction.value for stage in lineage(build) for step in stage.steps[1:] if step is not but
    )


def _with_scripts(build: Build, one: Carried, program: str) -> Fix | None:
    builder, final = python_of(build, one.stage), python_of(build, build.final)
    if builder is None or final is None or builder.python is None or one.target != one.source:
        return None
    if _elsewhere(build, one.stage):
        return None
    same = (builder.python, builder.patch, builder.release) == (final.python, final.patch, final.release)
    place = "/usr/local/bin" if same else f"/usr/local/bin/{program}"
    words = f"{place} {place}"
    title = f"copy {place} as well, where {program} is"
    return Fix(title, {build.path: (below(build, one.step, f"{_copy(build, one.step)} {words}"),)}, one.step.line)


def _elsewhere(build: Build, stage: Stage) -> bool:
    """Whether pip of the builder puts commands to another place than /usr/local/bin."""
    for step in (step for part in ancestry(build, stage) for step in part.of("RUN")):
        for install in step.installs:
            if install.options & {"--prefix", "--user", "--target", "-t", "--root"} or "VIRTUAL_ENV" in step.env:
                return True
    return False


def _with_path(build: Build, one: Carried) -> Fix:
    keyword = "env" if one.step.instruction.keyword_text.islower() else "ENV"
    line = f'{keyword} PATH="{one.target}/bin:$PATH"'
    title = f"put {one.target}/bin on PATH"
    return Fix(title, {build.path: (below(build, one.step, line),)}, one.step.line)


def _copy(build: Build, step: Step) -> str:
    """Return keyword and flags of a COPY as they are written."""
    instruction = step.instruction
    flags = " ".join(build.dockerfile.text[flag.start : flag.end] for flag in instruction.flags)
    return f"{instruction.keyword_text} {flags}"
