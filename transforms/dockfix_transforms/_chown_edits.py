"""What becomes of a RUN with ``chown -R`` where the COPYs say whose the files are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from posixpath import dirname
from typing import Final

from dockfix.build.expand import expand_word
from dockfix.build.layout import blank_above, block_start, removals
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, apply_edits, delete, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Word
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tree_writers import made, parents

_OF_COPY: Final = 0o755
"""The mode of the directories that COPY makes on the way to its files, whatever --chmod says."""
_HOME: Final = pattern(r"\buseradd\b[^&;|]*\s(?:-m|--create-home)\s|\badduser\b(?![^&;|]*\s(?:-H|--no-create-home)\b)")


@record
class Recursive:
    """``chown -R`` or ``chmod -R``: ``kind`` is the command, ``flag`` what it says.

    ``paths`` are those into which COPYs bring files, absolute; ``words`` are theirs in the command. With ``others`` the
    command names other paths as well, and stays for them.
    """

    command: Command
    kind: str
    flag: str
    paths: tuple[str, ...]
    words: tuple[Word, ...]
    others: bool = False


def directories(build: Build, stage: Stage, step: Step, one: Recursive, first: Step, moved: list[Step]) -> list[str]:
    """Return what no COPY says an owner of: directories that are there before *first*, what is made beside the COPYs.

    *first* is the first COPY that says an owner, *moved* are the RUNs that go in front of it.
    """
    moves = step in moved
    found: list[str] = []
    for path in one.paths:
        places: list[str] = []
        late: list[str] = []
        for other in stage.steps[1:]:
            if other.line >= step.line:
                break
            if other.line < first.line:
                places += _made_by(other, path)
            elif other.copy is None:  # the COPYs behind the first one say whose their directories are
                late += _made_by(other, path)
        script = step.script
        before = [command for command in script.commands if command.start < one.command.start] if script else []
        places += made(step, before, path)
        late = [place for place in late if place not in places and place != path]
        if moves and late:
            raise Obstacle(f"{late[0]} is made behind the COPY", step.line)
        places += late
        if path.startswith("/home/") and path.count("/") == 2:
            if moves and not any(_HOME.search(other.instruction.value) for other in moved):
                raise Obstacle(f"whether {path} is there before the COPY is not known", step.line)
            places.append(path)
        if one.kind == "chmod" and int(one.flag, 8) != _OF_COPY:
            copied_into = [place for place in _made_by_copies(build, stage, step, path) if place not in places]
            if moves and copied_into:
                raise Obstacle(f"COPY makes {copied_into[0]} with a mode of its own", step.line)
            places += copied_into
        copied = first.copy is not None and first.copy.destination == path
        if path not in places and not moves and (places or not copied):
            places.append(path)
        if moves and (lost := [place for place in places if place != path and dirname(place) not in places]):
            raise Obstacle(f"whether the directory of {lost[0]} is there before the COPY is not known", step.line)
        found += sorted(place for place in dict.fromkeys(places) if place not in found)
    return found


def _made_by_copies(build: Build, stage: Stage, step: Step, path: str) -> Iterator[str]:
    """Yield what the COPYs in front of *step* may make from *path* on downwards: directories that --chmod leaves."""
    for other in stage.steps[1:]:
        if other.line >= step.line:
            return
        if other.copy is not None and other.copy.destination is not None:
            target = other.copy.destination
            yield from parents(target.rpartition("/")[0] if _is_file(build, other) else target, path)


def _is_file(build: Build, step: Step) -> bool:
    """Whether a COPY brings one file of the build context under the name that it gives."""
    context, copy = build.project.context, step.copy
    if copy is None or copy.from_ is not None or copy.directory or len(copy.sources) != 1:
        return False
    source = (copy.sources[0].value or "").removeprefix("./")
    return context.repository_path(source) in context.files.paths


def _made_by(step: Step, path: str) -> Iterator[str]:
    """Yield the directories from *path* on downwards that a step makes, if they are not there."""
    if step.keyword == "RUN" and step.script is not None:
        yield from made(step, step.script.commands, path)
    elif step.keyword == "WORKDIR":
        target = expand_word(step.instruction.value, step.env) or ""
        full = target if target.startswith("/") else f"{(step.workdir or '/').rstrip('/')}/{target}"
        yield from parents("/" + full.strip("/"), path)
    elif step.copy is not None and step.copy.destination is not None and step.instruction.flag("chown") is None:
        target = step.copy.destination
        yield from parents(target if step.copy.directory else target.rpartition("/")[0], path)


def shortened(build: Build, step: Step, one: Recursive, places: list[str]) -> Iterator[Edit]:
    """Yield the edits that make the command one of *places* alone; with other paths it becomes two commands."""
    script = step.script
    assert script is not None
    text = build.dockerfile.text
    end = script.span(one.command)[1]
    if one.others:
        for before, word in pairwise(one.command.words):
            if word in one.words:
                begin, stop = script.span(before)[1], script.span(word)[1]
                if "#" in text[begin:stop]:
                    raise Obstacle("a comment stands beside the command in its RUN", step.line)
                yield delete(begin, stop)
        if places:
            yield insert(end, f" && {one.kind} {one.flag} {' '.join(places)}")
        return
    option = next(word for word in one.command.words[1:] if word.raw.startswith("-"))
    begin, stop = script.span(option)
    while text[stop : stop + 1] == " ":
        stop += 1
    yield delete(begin, stop)
    more = "".join(f" {place}" for place in places if place not in one.paths)
    if more:
        yield insert(end, more)


def cut(build: Build, step: Step, one: Recursive) -> Edit | None:
    """Return the edit that takes the command out of its RUN, None where nothing of the RUN would be left."""
    script = step.script
    assert script is not None
    commands = [command for command in script.commands if command.words]
    at = commands.index(one.command)
    if len(commands) == 1:
        return None
    begin, end = script.span(one.command)
    if one.command.before == "&&":
        begin = script.span(commands[at - 1])[1]
    elif one.command.after == "&&" and not one.command.before:
        end = script.span(commands[at + 1])[0]
    else:
        raise Obstacle("the command cannot be taken out of its RUN", step.line)
    if re.search(r"^[ \t]*#", build.dockerfile.text[begin:end], re.MULTILINE):
        raise Obstacle("a comment stands beside the command in its RUN", step.line)
    return delete(begin, end)


def rewritten(
    build: Build, step: Step, moved: list[Step], first: Step, inside: list[Edit], gone: bool
) -> Iterator[Edit]:
    """Yield the edits that make *inside* of *step*, or remove it where it is *gone*, and move RUNs before *first*."""
    dockerfile = build.dockerfile
    away = [other for other in moved if not (gone and other is step)]
    yield from removals(dockerfile, [*(other.instruction for other in away), *([step.instruction] if gone else ())])
    if step not in away and not gone:
        yield from inside
    text = ""
    for other in away:
        start, end = block_start(dockerfile, other.instruction), other.instruction.end
        own = dockerfile.text[start:end]
        if other is step:
            own = apply_edits(own, [Edit(one.start - start, one.end - start, one.replacement) for one in inside])
        text += own if own.endswith("\n") else own + dockerfile.newline
        if blank_above(dockerfile, other.instruction):
            text += dockerfile.newline
    if text:
        yield insert(block_start(dockerfile, first.instruction), text)
