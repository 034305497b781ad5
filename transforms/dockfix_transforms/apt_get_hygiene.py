"""The transform apt-get-hygiene."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dockfix.build.layout import block_start, removals
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._apt import (
    AptCommand,
    Readers,
    apt_commands,
    between,
    hidden_use,
    kept_stages,
    last_update,
    mounted,
    reads_lists,
    removes_lists,
    sources_change,
)
from dockfix_transforms._apt_recommends import Present, without_recommends

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Stage, Step
    from dockfix.syntax.shell import Script

_LISTS: Final = "rm -rf /var/lib/apt/lists/*"
_SAME: Final = {"upgrade": "upgrade --with-new-pkgs", "full-upgrade": "dist-upgrade"} | {
    name: name
    for name in (
        "install",
        "update",
        "dist-upgrade",
        "remove",
        "purge",
        "autoremove",
        "clean",
        "autoclean",
        "download",
        "source",
        "build-dep",
    )
}
"""The subcommands of apt, as apt-get has them."""
_SIMULATES: Final = frozenset({"-s", "--simulate", "--dry-run", "--just-print", "--no-act", "--print-uris"})
_YES: Final = pattern(r"-[A-Za-z]*y[A-Za-z]*\Z|-q[A-Za-z]*q|-q=[2-9]|--(?:yes|assume-yes|force-yes|assume-no)\Z")
_MOST: Final = 5
"""How many RUNs get an update of their own; more would cost every build more than the layers are worth."""


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def apt_get_hygiene(build: Build) -> Iterator[Fix | Skip]:
    """Install Debian packages from fresh lists, without questions, and leave the lists out of the image.

    Why: an ``apt-get update`` in a layer of its own is cached for months, until the install behind it asks for
    packages that are gone. The lists that it fetches are 20 to 50 MB that nothing reads when the image runs, and
    packages that are only recommended are more. ``apt`` itself says that its command line is not stable.

    Example:
         FROM debian:bookworm-slim
        -RUN apt-get update
        -RUN apt install -y jq
        +RUN apt-get update && apt-get install -y --no-install-recommends jq && rm -rf /var/lib/apt/lists/*
         CMD ["jq", "--version"]

    ``-y`` is added where it lacks. ``--no-install-recommends`` needs a review: it is added where the table tells for
    every package that the image does not need what it recommends, and what it does need is named.

    When it holds back: a cache mount on apt's directories; docker-clean is removed; a later RUN, a script, another
    stage or another Dockerfile that may read the lists; builder stages keep their lists and their recommended
    packages; an update inside of ``if`` or a function; packages that the table does not have.

    Source: Docker's documentation, "Building best practices", apt-get
    (https://docs.docker.com/build/building/best-practices/#apt-get); the recommendations in
    ``knowledge/apt_recommends.toml`` are Debian's.
    """
    text = build.dockerfile.text
    if "apt" not in text or not any(apt_commands(step) for step in build.steps):
        return
    keeps_downloads = "docker-clean" in text or "Keep-Downloaded-Packages" in text
    kept = kept_stages(build)
    for step in build.steps:
        commands = apt_commands(step)
        if commands:
            yield from _spelling(build, step, commands, keeps_downloads)
    yield from _updates(build)
    readers, present = Readers(build), Present(build)
    for step in build.steps:
        commands = apt_commands(step)
        if commands and step.stage in kept:
            if not keeps_downloads:
                yield from _removal(build, step, commands, readers)
            yield from without_recommends(build, step, commands, present)
        present.add(step, commands)


def _spelling(build: Build, step: Step, commands: tuple[AptCommand, ...], keeps_downloads: bool) -> Iterator[Fix]:
    """Write apt-get for apt, and answer its question."""
    edits: list[Edit] = []
    done: dict[str, None] = {}
    for item in commands:
        script = item.script
        if item.program.raw == "apt" and item.action in _SAME and not keeps_downloads:
            edits.append(insert(script.span(item.program)[1], "-get"))
            if _SAME[item.action] != item.action:
                edits.append(Edit(*script.span(item.verb), _SAME[item.action]))
            done["apt-get in place of apt"] = None
        answered = item.command.before in ("|", "|&") or any("<" in one.operator for one in item.command.redirects)
        if any(word.raw in _SIMULATES or _YES.match(word.raw) for word in item.options):
            continue
        if item.action == "install" and not answered and "Assume-Yes" not in build.dockerfile.text:
            edits.append(insert(script.span(item.verb)[1], " -y"))
            done["-y for the install"] = None
    if edits:
        yield Fix(", ".join(done), {build.path: tuple(sorted(edits))}, step.line)


def _updates(build: Build) -> Iterator[Fix | Skip]:
    """Give every install the update that it relies on, in its own RUN."""
    filled: dict[int, tuple[Step, AptCommand] | None] = {}
    for stage in build.stages:
        source = filled.get(stage.base_stage) if stage.base_stage is not None else None
        needing: list[tuple[Step, AptCommand, Step, AptCommand]] = []
        for step in stage.steps[1:]:
            commands = apt_commands(step)
            if not commands:
                continue
            reader = reads_lists(commands)
            update = last_update(commands)
            if source is not None and not mounted(step):
                if reader is not None:
                    needing.append((step, reader, *source))
                elif update is not None and _unused(source[0], stage, needing):
                    yield from _merged(build, stage, step, None, *source)
            if update is not None:
                source = None if removes_lists(step, update.command.start) or mounted(step) else (step, update)
            elif removes_lists(step, 0):
                source = None
        filled[stage.index] = source
        if len(needing) > _MOST:
            line = needing[0][2].line
            yield Skip(f"{len(needing)} installs rely on the package lists of line {line}", needing[0][0].line)
            continue
        first: set[int] = set()
        for step, reader, origin, update in needing:
            if sources_change(build, origin, update, step, reader):
                yield Skip(f"the package sources change behind the update on line {origin.line}", step.line)
                continue
            alone = _alone(origin) and origin.stage == stage.index and origin.line not in first
            first.add(origin.line)
            if alone:
                yield from _merged(build, stage, step, reader, origin, update)
            else:
                change = _prefixed(step, reader, update)
                if isinstance(change, Skip):
                    yield change
                else:
                    yield Fix("fetch the package lists in the RUN that installs", {build.path: [change]}, step.line)


def _unused(origin: Step, stage: Stage, needing: list[tuple[Step, AptCommand, Step, AptCommand]]) -> bool:
    """Whether nothing has read the lists of *origin*, which does nothing but to fetch them."""
    return _alone(origin) and origin.stage == stage.index and all(item[2] is not origin for item in needing)


def _alone(step: Step) -> bool:
    """Whether the RUN does nothing but to fetch the lists."""
    commands = apt_commands(step)
    script = step.script
    return (
        script is not None
        and len(commands) == len(script.commands)
        and all(item.action in ("update", "clean") and not item.command.redirects for item in commands)
        and not step.instruction.heredocs
        and not step.instruction.flags
    )


def _prefixed(step: Step, reader: AptCommand, update: AptCommand) -> Edit | Skip:
    """Return the edit that puts *update* in front of the command that reads the lists."""
    text = update.script.source.text[update.command.start : update.command.end]
    if update.program.raw == "apt":
        at = update.program.end - update.command.start
        text = f"{text[:at]}-get{text[at:]}"
    if "||" in (update.command.before, update.command.after):
        return Skip(f"`{text}` may fail where it stands, without failing the build", step.line)
    if not reader.plain:
        return Skip("the install stands where no update can be put in front of it", step.line)
    if "\n" in text or "\\" in text or update.command.redirects or "  " in text:
        text = f"{update.sudo}apt-get update"
    if not update.sudo and reader.sudo:
        text = f"{reader.sudo}{text}"
    return insert(step_start(reader), f"{text} && ")


def step_start(item: AptCommand) -> int:
    """Return the file offset where the command starts."""
    return item.script.span(item.command)[0]


def _merged(
    build: Build, stage: Stage, step: Step, reader: AptCommand | None, origin: Step, update: AptCommand
) -> Iterator[Fix | Skip]:
    """Move an update that stands alone into the RUN that needs it; without *reader* that has its own already."""
    dockerfile = build.dockerfile
    for other in between(stage, origin, step):
        if reason := hidden_use(build, stage, other):
            yield Skip(f"the update on line {origin.line} stays in its own layer: {reason}", other.line)
            return
        if other.keyword in ("USER", "SHELL"):
            yield Skip(f"{other.keyword} stands between the update and the install", other.line)
            return
    if "#" in dockerfile.text[origin.instruction.start : origin.instruction.end]:
        yield Skip("a comment stands inside of the RUN that updates", origin.line)
        return
    edits = removals(dockerfile, [origin.instruction])
    comments = dockerfile.text[block_start(dockerfile, origin.instruction) : origin.instruction.start]
    if comments:
        edits.append(insert(block_start(dockerfile, step.instruction), comments))
    if reader is not None:
        change = _prefixed(step, reader, update)
        if isinstance(change, Skip):
            yield change
            return
        edits.append(change)
    yield Fix("fetch the package lists in the RUN that installs", {build.path: tuple(edits)}, origin.line)


def _removal(build: Build, step: Step, commands: tuple[AptCommand, ...], readers: Readers) -> Iterator[Fix | Skip]:
    """Remove the lists at the end of the RUN that fetched them."""
    update = last_update(commands)
    if update is None or mounted(step) or removes_lists(step, update.command.start):
        return
    alone = _alone(step)
    reader = readers.after(step)
    if reader is not None:
        if not alone:
            yield Skip(f"the package lists stay: {reader[1]}", step.line)
        return
    if alone and readers.fetched_after(step):
        return
    if step.script is not None and any(command.name == "apt-file" for command in step.script.commands):
        yield Skip("the package lists stay: apt-file searches in them", step.line)
        return
    other_file = readers.other_file
    if other_file is not None:
        yield Skip(f"the package lists stay: {other_file} installs without an update, maybe on this image", step.line)
        return
    if alone:
        edits = removals(build.dockerfile, [step.instruction])
        yield Fix("remove the update whose package lists nothing reads", {build.path: edits}, step.line)
        return
    at = _end(step, update)
    if at is None:
        yield Skip("the package lists stay: the RUN is more than a list of commands", step.line)
        return
    edit = insert(at, f"{_joint(build, step)}{update.sudo}{_LISTS}")
    yield Fix("remove the package lists in the RUN that fetched them", {build.path: [edit]}, step.line)


def _end(step: Step, update: AptCommand) -> int | None:
    """Return the offset behind the last command, None where nothing can be joined to it."""
    script = step.script
    if script is None:
        return None
    last = max(script.commands, key=lambda command: command.end)
    rest = script.source.text[last.end :].strip()
    if not update.command.depth == last.depth == 0 or last.substitution or rest not in ("", ";"):
        return None
    if any(command.name in ("exit", "exec", "return") and command.depth == 0 for command in script.commands):
        return None
    if any(redirect.operator.startswith("<<") for command in script.commands for redirect in command.redirects):
        return None
    return script.span(last)[1]


def _joint(build: Build, step: Step) -> str:
    """Return what joins one more command to the RUN, in its own style."""
    script = step.script
    assert script is not None
    text = build.dockerfile.text
    if step.instruction.heredocs:
        return " && "
    commands = sorted((command for command in script.commands if command.depth == 0), key=lambda item: item.start)
    spans = [script.span(command) for command in commands]
    for (_, end), (start, _) in reversed(list(pairwise(spans))):
        gap = text[end:start]
        joint = "&&|;" if _stops_on_errors(script) else "&&"
        if "\n" in gap and re.fullmatch(rf"[\s\\`]*(?:{joint})[\s\\`]*", gap):
            return re.sub(r"([\\`])[ \t]+(?=\r?\n)", r"\1", gap)
    begin, end = spans[-1]
    newline = build.dockerfile.newline
    if "\n" not in text[begin:end]:
        if "\n" not in text[spans[0][0] : end]:
            return " && "
        return f" {step.escape}{newline}    && "
    line = text.rfind("\n", 0, end) + 1
    indent = text[line : line + len(text[line:]) - len(text[line:].lstrip(" \t"))]
    return f" {step.escape}{newline}{indent or '    '}&& "


def _stops_on_errors(script: Script) -> bool:
    """Whether the script begins with ``set -e``, so that ``;`` joins as ``&&`` does."""
    first = script.commands[0]
    return first.name == "set" and any(
        (value or "").startswith("-") and "e" in (value or "") for value in first.argv[1:]
    )
