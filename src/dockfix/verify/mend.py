"""Which transform is to blame: the likeliest first, from what failed and from what each of them changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dockfix.build.stages import stages_of
from dockfix.result import Result
from dockfix.syntax.dockerfile import DockerfileSyntaxError, Instruction, parse
from dockfix.verify.result import Row, Side, Verdict

_PARTS: Final = {
    "starts": ("CMD", "ENTRYPOINT", "USER", "FROM", "COPY", "ENV", "RUN"),
    "answers": ("CMD", "ENTRYPOINT", "COPY", "USER", "ENV", "RUN"),
    "log": ("USER", "COPY", "CMD", "ENTRYPOINT"),
    "user": ("USER",),
    "ports": ("EXPOSE",),
    "command": ("CMD", "ENTRYPOINT"),
    "environment": ("ENV",),
    "labels": ("LABEL", "MAINTAINER"),
    "volumes": ("VOLUME",),
    "workdir": ("WORKDIR",),
    "packages": ("RUN", "COPY", "FROM"),
    "files": ("COPY", "ADD"),
    "health": ("HEALTHCHECK",),
}
"""The instructions that bear on a row, the likeliest first."""


def likeliest_first(
    dockerfile: str,
    result: Result,
    rows: tuple[Row, ...],
    after: Side | None,
    without: Callable[[tuple[str, ...]], Result],
) -> list[str]:
    """Return the names of the transforms that changed something, in the order in which they are to be left out.

    *without* gives the chain's result without some transforms: the transform whose absence makes the failing step, or
    the instructions that bear on the failing row, another one is likelier than those that leave it as it is.
    """
    names = list(dict.fromkeys(done.transform for done in result.fixes))
    ignoring = {done.transform for done in result.fixes if any("ignore" in path for path in done.files)}
    now = _instructions(result.after.get(dockerfile) or "")
    failing = [row.what for row in rows if row.verdict is Verdict.WORSE]
    step = after.built.failed.text if after is not None and after.built.failed else None
    missing = "builds" in failing and any(
        "not found" in line or "no such file" in line.lower() for line in rows[0].details
    )
    parts = [part for what in failing for part in _PARTS.get(what, ())]
    scores: dict[str, tuple[int, int, int]] = {}
    for number, name in enumerate(names):
        other = without((name,))
        then = _instructions(other.after.get(dockerfile) or other.before.get(dockerfile) or "")
        score = len(parts) + 1
        if step is not None and step in now and step not in then:
            score = 0
        elif step is None or not now:
            differing = [number for number, part in enumerate(parts) if _of(now, part) != _of(then, part)]
            score = differing[0] if differing else score
        if name in ignoring and (missing or "files" in failing):
            score = -1
        scores[name] = (score, -len(set(now) ^ set(then)), number)
    return sorted(names, key=lambda name: scores[name])


def _instructions(text: str) -> list[str]:
    """Return the instructions as a build log shows them: the keyword, and the arguments in one line."""
    try:
        stages = stages_of(parse(text)) if text else ()
    except DockerfileSyntaxError:
        return []
    return [_shown(step.instruction) for stage in stages for step in stage.steps]


def _shown(instruction: Instruction) -> str:
    return f"{instruction.keyword} {' '.join(instruction.value.split())}"


def _of(instructions: list[str], keyword: str) -> list[str]:
    return [text for text in instructions if text.startswith(f"{keyword} ")]
