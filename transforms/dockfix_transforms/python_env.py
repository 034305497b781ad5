"""The transform python-env."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from dockfix.build.keyvalue import Pair, pairs_of
from dockfix.build.layout import removals
from dockfix.build.lineage import lineage, start_steps
from dockfix.build.model import Build, Step
from dockfix.syntax.dockerfile import Blank
from dockfix.syntax.edit import Edit, delete, insert, joined
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

_NAMES: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
_LEADING: Final = frozenset({"FROM", "ARG", "LABEL", "MAINTAINER", "SHELL", "ENV"})
_PYTHON_BASE: Final = pattern(r"(?:.*/)?(?:python|pypy)(?:3|-slim|-base)?\Z")
_PYTHON_START: Final = pattern(
    r"\b(?:python[\d.]*|gunicorn|uvicorn|hypercorn|daphne|granian|waitress-serve|flask|celery|streamlit|fastapi)(?=[\"'\s,]|\Z)"
    r"|\.py\b"
)
_UNBUFFERED: Final = pattern(r"\bpython[\d.]*(?:\s+-[a-zA-Z]+)*?\s+-[a-tv-zA-Z]*u")
_PLAIN: Final = pattern(r"\"?[\w.-]+\"?\Z")
_TRUE: Final = frozenset({"1", "true", "on", "yes", "t", "y"})


@transform(safety=Safety.REVIEW, phase=Phase.CONTENT)
def python_env(build: Build) -> Iterator[Fix | Skip]:
    """Let Python write its output at once and no bytecode; drop the switches of Flask's development mode.

    Why: output that waits in a buffer is lost when the container is killed, and late in ``docker logs``. Bytecode that
    is written while the image is built or the container runs ends up in layers that nobody asked for. FLASK_ENV is read
    by no Flask since 2.3, and FLASK_DEBUG=1 in an image puts a debugger that runs any code before every visitor.

    Example:
         FROM python:3.12-slim
        +ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
         WORKDIR /app
         COPY . .
        -ENV FLASK_APP=app.py FLASK_ENV=production
        +ENV FLASK_APP=app.py
         CMD ["gunicorn", "app:app"]
        @@ app.py
         from flask import Flask

         app = Flask(__name__)

    Both variables stand in one ENV at the top of the first stage that ships, before every RUN that starts Python; where
    one of them is set already, the other one joins it.

    When it holds back: an image in which no Python runs, or whose base may set them itself; a variable that is set,
    whatever its value, or commented out; PYTHONUNBUFFERED where the program starts with ``python -u``,
    PYTHONDONTWRITEBYTECODE where PYTHONPYCACHEPREFIX gives bytecode a place. The switches of Flask stay in images for
    development (by the file's name, or since a compose file mounts the source over them), and where the Dockerfile, a
    script or the code reads them or asks whether it is in debug mode.

    Source: Python's documentation, "Environment variables"
    (https://docs.python.org/3/using/cmdline.html#environment-variables); Flask's changes, version 2.3.0
    (https://flask.palletsprojects.com/en/stable/changes/#version-2-3-0).
    """
    if ".devcontainer" in build.path or not _runs_python(build):
        return
    present = list(_present(build))
    yield from _python(build, present)
    yield from _flask(build, present)


def _present(build: Build) -> Iterator[tuple[Step, Pair]]:
    """Yield the variables that the stages of the image set."""
    for stage in lineage(build):
        for step in stage.of("ENV"):
            for pair in pairs_of(step.instruction, build.dockerfile.escape):
                yield step, pair


def _start_text(build: Build) -> str:
    texts = []
    for step in start_steps(build):
        if step is not None:
            texts.append(" ".join(step.instruction.json_form or (step.instruction.value,)))
    return "\n".join(texts)


def _runs_python(build: Build) -> bool:
    base = lineage(build)[0]
    if base.image is not None and _PYTHON_BASE.match(base.image.repository):
        return True
    official = base.image is not None and base.image.official  # others may set the variables themselves
    return official and _PYTHON_START.search(_start_text(build)) is not None


def _python(build: Build, present: list[tuple[Step, Pair]]) -> Iterator[Fix]:
    names = {pair.name for _, pair in present}
    missing = [name for name in _NAMES if name not in names]
    if "PYTHONPYCACHEPREFIX" in names and "PYTHONDONTWRITEBYTECODE" in missing:
        missing.remove("PYTHONDONTWRITEBYTECODE")
    if "PYTHONUNBUFFERED" in missing and _UNBUFFERED.search(_start_text(build)):
        missing.remove("PYTHONUNBUFFERED")
    whole = build.dockerfile.text
    missing = [name for name in missing if not re.search(rf"(?m)^[ \t]*#[ \t]*(?:ENV[ \t]+)?{name}[ \t=]", whole)]
    if not missing:
        return
    beside = next(((step, pair) for step, pair in present if pair.name in _NAMES), None)
    if beside is not None:
        step, pair = beside
        edit = _beside(build, step, pair, missing[0])
        if edit is not None:
            yield Fix(f"set {missing[0]}", {build.path: (edit,)}, step.line)
            return
    first = lineage(build)[0]
    steps = first.steps
    at = 0
    while at + 1 < len(steps) and steps[at + 1].keyword in _LEADING:
        at += 1
    anchor = steps[at].instruction
    keyword = "env" if steps[0].instruction.keyword_text.islower() else "ENV"
    newline = build.dockerfile.newline
    text = f"{keyword} {' '.join(f'{name}=1' for name in missing)}"
    if not build.dockerfile.text[: anchor.end].endswith("\n"):
        text = newline + text
    else:
        after = next((node for node in build.dockerfile.nodes if node.start >= anchor.end), None)
        apart = type(after) is Blank and anchor.keyword != "ENV"
        text = (newline if apart else "") + text + newline
    title = f"set {' and '.join(missing)}"
    yield Fix(title, {build.path: (insert(anchor.end, text),)}, steps[0].line)


def _beside(build: Build, step: Step, pair: Pair, name: str) -> Edit | None:
    """Return the edit that sets *name* in the ENV that sets the other one; None where that is not written plainly."""
    instruction = step.instruction
    raw = build.dockerfile.raw(instruction)
    if pair.old:
        if "\n" in raw.rstrip("\r\n") or pair.raw is None or not _PLAIN.match(pair.raw):
            return None
        return Edit(pair.start, pair.end, f"{pair.name}={pair.raw} {name}=1")
    lines = raw.splitlines()
    pairs = pairs_of(instruction, build.dockerfile.escape)
    if len(pairs) > 1 and len(lines) >= len(pairs):  # one on each line
        indent = re.match(r"[ \t]*", lines[1])
        space = indent.group() if indent else ""
        return insert(pair.end, f" {build.dockerfile.escape}{build.dockerfile.newline}{space}{name}=1")
    return insert(pair.end, f" {name}=1")


def _flask(build: Build, present: list[tuple[Step, Pair]]) -> Iterator[Fix | Skip]:
    found: dict[int, list[Pair]] = {}
    steps: dict[int, Step] = {}
    for step, pair in present:
        value = (pair.raw or "").strip("\"'").lower()
        if pair.name == "FLASK_ENV" or (pair.name == "FLASK_DEBUG" and value in _TRUE):
            found.setdefault(step.line, []).append(pair)
            steps[step.line] = step
    if not found:
        return
    from dockfix_transforms._flask_mode import depends_on_mode

    gone = {pair.name: (pair.raw or "").strip("\"'") for pairs in found.values() for pair in pairs}
    mode = gone.get("FLASK_ENV", "production").lower()
    debugs = "FLASK_DEBUG" in gone or mode == "development"
    reason = depends_on_mode(build, frozenset(gone), debugs or mode != "production")
    if reason is not None:
        yield Skip(f"{' and '.join(gone)} would go, but {reason.reason}", reason.line, reason.path)
        return
    edits: list[Edit] = []
    for line, pairs in found.items():
        some = _without(build, steps[line], pairs)
        if some is None:
            yield Skip(f"{pairs[0].name} would go, but a comment stands beside it in the instruction", line)
            return
        edits += some
    notes = ("the debugger and the reloader are off now",) if debugs else ()
    yield Fix(f"drop {' and '.join(gone)}", {build.path: joined(edits)}, min(found), notes=notes)


def _without(build: Build, step: Step, gone: list[Pair]) -> list[Edit] | None:
    """Return the edits that remove *gone* from the ENV of *step*, None where a comment would go with them."""
    pairs = pairs_of(step.instruction, build.dockerfile.escape)
    kept = [pair for pair in pairs if pair not in gone]
    if not kept:
        return removals(build.dockerfile, [step.instruction])
    edits = []
    if pairs[0] in gone:
        edits.append(delete(pairs[0].start, kept[0].start))
    for before, pair in pairwise(pairs):
        if pair in gone and pair.start > kept[0].start:
            edits.append(delete(before.end, pair.end))
    text = build.dockerfile.text
    if any(re.search(r"^[ \t]*#", text[edit.start : edit.end], re.MULTILINE) for edit in edits):
        return None
    return edits
