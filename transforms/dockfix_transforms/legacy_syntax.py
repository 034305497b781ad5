"""The transform legacy-syntax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockfix.build.expand import split_words
from dockfix.build.keyvalue import pairs_of
from dockfix.build.layout import removals
from dockfix.project.invocations import candidates
from dockfix.syntax.edit import Edit, delete
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Stage, Step
    from dockfix.syntax.dockerfile import Instruction

_AUTHORS: Final = "org.opencontainers.image.authors"
_ONE_OF: Final = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
_TARGET: Final = ("$TARGETPLATFORM", "${TARGETPLATFORM}")
_FROM: Final = pattern(r"(?:--|[=,])from=([^,\s]+)", words=("from=",))
_PORT: Final = pattern(r"(?:[\d.]+:|\[[\da-fA-F:]+\]:)?(?:\d+(?:-\d+)?:)?(\d+(?:-\d+)?)(/[a-zA-Z]+)?\Z")


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def legacy_syntax(build: Build) -> Iterator[Fix | Skip]:
    """Write in today's syntax what BuildKit still takes and warns of.

    Why: BuildKit's checks and every linter name these lines again and again, until the warnings that matter are not
    read any more. Some were never right: of several CMD only the last one counts.

    Example:
        -FROM python:3.12-slim as Build
        -MAINTAINER Ada <ada@example.com>
        -ENV APP_ENV production
        -CMD ["python"]
        +FROM python:3.12-slim AS build
        +LABEL org.opencontainers.image.authors="Ada <ada@example.com>"
        +ENV APP_ENV=production
         CMD ["python", "app.py"]

    The rest: keywords in one case, no empty line inside of an instruction, no ``--platform=$TARGETPLATFORM`` (which is
    what FROM takes by itself), ports of EXPOSE without a host's port and in lower case.

    When it holds back: ``ENV NAME = value``, whose equals sign is part of the value; quotes that are not closed; a
    comment between name and value; stage names that differ by their case alone; a label for the author that is there.

    Source: BuildKit's checks (https://docs.docker.com/reference/build-checks/): MaintainerDeprecated,
    LegacyKeyValueFormat, FromAsCasing, StageNameCasing, MultipleInstructionsDisallowed, ConsistentInstructionCasing,
    NoEmptyContinuation, RedundantTargetPlatform, ExposeProtoCasing, ExposeInvalidFormat.
    """
    yield from _casing(build)
    for stage in build.stages:
        yield from _from(build, stage)
        yield from _duplicates(build, stage)
    yield from _stage_names(build)
    yield from _pairs(build)
    for step in build.steps:
        instruction = step.instruction
        if instruction.end_line - instruction.line > 1:
            yield from _empty_lines(build, instruction)
        match step.keyword:
            case "MAINTAINER":
                yield from _maintainer(build, step)
            case "EXPOSE":
                yield from _ports(build, instruction)


def _casing(build: Build) -> Iterator[Fix]:
    """Write the keywords in the case that most of them have."""
    words = [item.keyword_text for item in build.dockerfile.instructions]
    lower = sum(word.islower() for word in words)
    upper = sum(word.isupper() for word in words)
    if len(words) in (lower, upper):
        return
    edits = []
    line = 0
    for item in build.dockerfile.instructions:
        wanted = item.keyword.lower() if lower > upper else item.keyword
        if item.keyword_text != wanted:
            line = line or item.line
            edits.append(Edit(item.keyword_start, item.keyword_start + len(item.keyword_text), wanted))
    yield Fix("write the keywords in one case", {build.path: edits}, line)


def _from(build: Build, stage: Stage) -> Iterator[Fix]:
    """Write AS as FROM is written, and leave out the platform that it takes anyway."""
    instruction = stage.steps[0].instruction
    spans = split_words(instruction.value)
    if len(spans) == 3:
        word = instruction.value[slice(*spans[1])]
        keyword = instruction.keyword_text
        wanted = word.upper() if keyword.isupper() else word.lower() if keyword.islower() else word
        if word != wanted and word.lower() == "as":
            edit = Edit(*instruction.arguments.raw_span(*spans[1]), wanted)
            yield Fix(f"write {wanted} as {keyword} is written", {build.path: [edit]}, instruction.line)
    flag = instruction.flag("platform")
    if flag is not None and flag.value in _TARGET and len(instruction.flags) == 1 and stage.base_stage is None:
        if _sets_platform(build):
            return
        between = build.dockerfile.text[flag.end : instruction.arguments.raw_start(0)]
        if between and not between.strip(" \t"):
            edit = delete(flag.start, flag.end + len(between))
            yield Fix("leave out the platform that FROM takes anyway", {build.path: [edit]}, instruction.line)


def _sets_platform(build: Build) -> bool:
    if any("TARGETPLATFORM=" in item.value for item in build.dockerfile.instructions if item.keyword == "ARG"):
        return True
    files = build.project.files
    return any("TARGETPLATFORM" in (files.text(path) or "") for path, _ in candidates(files))


def _stage_names(build: Build) -> Iterator[Fix | Skip]:
    """Write the names of stages in lower case, and wherever they are used."""
    text = build.dockerfile.text
    names: dict[str, list[tuple[int, int]]] = {}
    lines: dict[str, int] = {}
    for stage in build.stages:
        instruction = stage.steps[0].instruction
        spans = split_words(instruction.value)
        if stage.name is None or len(spans) != 3 or "$" in stage.name:
            continue
        names.setdefault(stage.name, []).append(instruction.arguments.raw_span(*spans[2]))
        lines.setdefault(stage.name, instruction.line)
    given = {name: len(spans) for name, spans in names.items()}
    for start, end in _uses(build) if names else ():
        names.get(text[start:end].lower(), []).append((start, end))
    for name, found in names.items():
        edits = [Edit(*span, name) for span in sorted(found) if text[slice(*span)] != name]
        if edits and given[name] > 1:
            yield Skip(f"several stages have the name {name}, but for their case", lines[name])
        elif edits:
            yield Fix(f"write the name of the stage {name} in lower case", {build.path: edits}, lines[name])


def _uses(build: Build) -> Iterator[tuple[int, int]]:
    """Yield the spans of the file where a stage may be named."""
    text = build.dockerfile.text
    for step in build.steps:
        instruction = step.instruction
        if step.keyword == "FROM" and build.stages[step.stage].base_stage is not None:
            yield instruction.arguments.raw_span(*split_words(instruction.value)[0])
        for flag in instruction.flags:
            match = _FROM.search(text[flag.start : flag.end])
            if match and flag.name in ("from", "mount"):
                yield flag.start + match.start(1), flag.start + match.end(1)


def _duplicates(build: Build, stage: Stage) -> Iterator[Fix]:
    """Remove the CMD, ENTRYPOINT and HEALTHCHECK that a later one of the same stage replaces."""
    for keyword in _ONE_OF:
        steps = stage.of(keyword)
        if len(steps) > 1:
            gone = [step.instruction for step in steps[:-1]]
            title = f"remove the {keyword} that line {steps[-1].line} replaces"
            yield Fix(title, {build.path: removals(build.dockerfile, gone)}, gone[0].line)


def _empty_lines(build: Build, instruction: Instruction) -> Iterator[Fix]:
    """Remove the empty lines between the lines of one instruction."""
    text = build.dockerfile.text
    edits = []
    at = text.find("\n", instruction.start, instruction.text_end) + 1
    while 0 < at < instruction.text_end:
        end = text.find("\n", at) + 1 or len(text)
        if not text[at:end].strip() and end <= instruction.text_end:
            edits.append(delete(at, end))
        at = end
    if edits:
        yield Fix("remove the empty lines inside of the instruction", {build.path: edits}, instruction.line)


def _maintainer(build: Build, step: Step) -> Iterator[Fix | Skip]:
    instruction = step.instruction
    value = instruction.value
    if not value:
        return
    steps = build.stages[step.stage].of("LABEL")
    given = {pair.name.strip("'\"") for other in steps for pair in pairs_of(other.instruction, step.escape)}
    name = next((name for name in (_AUTHORS, "maintainer") if name not in given), None)
    end = instruction.arguments.raw_span(0, len(value))[1]
    if name is None:
        yield Skip("MAINTAINER stays: there are labels for the author already", step.line)
    elif "\n" in build.dockerfile.text[instruction.keyword_start : end]:
        yield Skip("MAINTAINER stays: it goes over several lines", step.line)
    else:
        from dockfix_transforms._old_pairs import quoted

        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and value[0] not in value[1:-1]:
            value = value[1:-1]
        keyword = "label" if instruction.keyword_text.islower() else "LABEL"
        edit = Edit(instruction.keyword_start, end, f"{keyword} {name}={quoted(value, step.escape)}")
        yield Fix("name the author in a label", {build.path: [edit]}, step.line)


def _pairs(build: Build) -> Iterator[Fix | Skip]:
    """Write ENV and LABEL with equals signs; instructions that stand together are one fix."""
    text = build.dockerfile.text
    edits: list[Edit] = []
    names: list[str] = []
    line = end = 0
    for step in build.steps:
        if step.keyword not in ("ENV", "LABEL"):
            continue
        pairs = pairs_of(step.instruction, step.escape)
        if len(pairs) != 1 or not pairs[0].old:
            continue
        from dockfix_transforms._old_pairs import Unclear, modern

        try:
            changes = modern(text, pairs[0], step.escape)
        except Unclear as reason:
            yield Skip(f"{step.keyword} {pairs[0].name} stays without an equals sign: {reason}", step.line)
            continue
        if edits and end != step.instruction.start:
            yield _set(build, names, edits, line)
            edits, names = [], []
        line = line if edits else step.line
        edits += changes
        names.append(pairs[0].name)
        end = step.instruction.end
    if edits:
        yield _set(build, names, edits, line)


def _set(build: Build, names: list[str], edits: list[Edit], line: int) -> Fix:
    shown = names if len(names) < 4 else [*names[:2], f"{len(names) - 2} more"]
    listed = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return Fix(f"set {listed} with an equals sign", {build.path: tuple(edits)}, line)


def _ports(build: Build, instruction: Instruction) -> Iterator[Fix]:
    """Write the ports of EXPOSE without an address or a port of the host, and the protocol in lower case."""
    edits = []
    for start, end in split_words(instruction.value):
        if instruction.value[start:end].isdecimal():
            continue
        match = _PORT.match(instruction.value[start:end])
        wanted = match[1] + (match[2] or "").lower() if match else ""
        span = instruction.arguments.raw_span(start, end)
        if match and build.dockerfile.text[slice(*span)] == match[0] != wanted:
            edits.append(Edit(*span, wanted))
    if edits:
        yield Fix("name the ports of the container as EXPOSE takes them", {build.path: edits}, instruction.line)
