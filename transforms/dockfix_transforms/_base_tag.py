"""Another tag for a base image, written where the Dockerfile has it: in FROM, or in the ARG that FROM names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from dockfix.build.keyvalue import Pair, pairs_of
from dockfix.build.model import Build, Stage
from dockfix.syntax.edit import Edit, apply_edits
from dockfix.syntax.patterns import pattern

_REFERENCE: Final = pattern(r"((?:.*/)?python)(?::(.*))?\Z", re.DOTALL)
_VARIABLE: Final = pattern(r"\$\{?(\w+)")

Rewrite = Callable[[str], Iterator[str]]
"""Yields what a tag, or a part of one, may become; what stands in it may be variables."""


def retag(build: Build, wanted: Mapping[int, str], rewrite: Rewrite, alone: str) -> list[Edit] | None:
    """Return the edits after which the Python images of the stages *wanted* have those tags and no other base changes.

    The tag may stand in FROM, in an ARG that FROM names, or in both; every place is tried with what *rewrite* makes of
    it, and what BuildKit would make of the result decides. *alone* is the tag for an image that has none. None where
    no edit does it.
    """
    from dockfix.build.stages import stages_of
    from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

    edits: dict[int, Edit] = {}
    for stage in build.stages:
        if stage.index not in wanted:
            continue
        for edit in _candidates(build, stage, rewrite, alone):
            if edit.start in edits and edits[edit.start] == edit:
                break
            try:
                stages = stages_of(parse(apply_edits(build.dockerfile.text, [edit])))
            except DockerfileSyntaxError:
                continue
            image = stages[stage.index].image
            if image is not None and image.tag == wanted[stage.index]:
                edits[edit.start] = edit
                break
        else:
            return None
    stages = stages_of(parse(apply_edits(build.dockerfile.text, edits.values())))
    for stage, after in zip(build.stages, stages, strict=True):
        tag = after.image.tag if after.image else None
        if (tag != wanted[stage.index]) if stage.index in wanted else (after.base != stage.base):
            return None
    return sorted(edits.values())


def _candidates(build: Build, stage: Stage, rewrite: Rewrite, alone: str) -> Iterator[Edit]:
    instruction = stage.steps[0].instruction
    word = instruction.value.split()[0]
    start, end = instruction.arguments.raw_span(0, len(word))
    yield from (Edit(start, end, text) for text in _references(word, rewrite, alone))
    pending = _VARIABLE.findall(word)
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for pair in _arguments(build, name):
            raw = pair.raw or ""
            quote = raw[0] if len(raw) > 1 and raw[0] in "\"'" and raw[-1] == raw[0] else ""
            inner = raw[1:-1] if quote else raw
            for text in (*_references(inner, rewrite, alone), *rewrite(inner)):
                yield Edit(pair.value_start, pair.value_end, f"{quote}{text}{quote}")
            pending += _VARIABLE.findall(raw)


def _arguments(build: Build, name: str) -> list[Pair]:
    """Return the ARGs called *name* in front of the first FROM, unless a stage takes the value over."""
    first = build.stages[0].steps[0].instruction
    found: list[Pair] = []
    for instruction in build.dockerfile.instructions:
        for pair in pairs_of(instruction, build.dockerfile.escape) if instruction.keyword == "ARG" else ():
            if pair.name != name:
                continue
            if instruction.start > first.start:
                return []
            found.append(pair)
    return found


def _references(word: str, rewrite: Rewrite, alone: str) -> Iterator[str]:
    """Yield *word*, an image reference with or without variables, with other tags."""
    match = _REFERENCE.match(word)
    if not match:
        return
    if match[2] is None:
        yield f"{match[1]}:{alone}"
    else:
        yield from (f"{match[1]}:{tag}" for tag in rewrite(match[2]))
