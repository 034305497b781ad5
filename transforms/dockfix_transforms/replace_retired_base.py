"""The transform replace-retired-base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.keyvalue import pairs_of
from dockfix.build.layout import block_start, removals
from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Stage
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._python_images import python_tag, table

if TYPE_CHECKING:
    from dockfix_transforms._retired_images import Program, Retired

_HOME: Final = "/app"
_PATHS: Final = ("RUN", "COPY", "ADD", "WORKDIR", "CMD", "ENTRYPOINT")


@transform(safety=Safety.REVIEW, phase=Phase.BASE)
def replace_retired_base(build: Build) -> Iterator[Fix | Skip]:
    """Start from a Python image in place of one that is no longer maintained, and write out what that one did.

    Why: tiangolo's images for Flask and FastAPI are deprecated: no security fixes for the Python, nginx and supervisor
    in them. What they did is a server's own work today, in one line that the reader sees.

    Example:
        -FROM tiangolo/uvicorn-gunicorn-fastapi:python3.11
        -COPY app /app
        +FROM python:3.11-slim
        +ENV PYTHONPATH=/app
        +WORKDIR /app
        +RUN pip install --no-cache-dir "fastapi[all]==0.136.3" "uvicorn[standard]==0.49.0"
        +COPY app /app
        +EXPOSE 80
        +CMD ["sh", "-c", "exec uvicorn main:app --host 0.0.0.0 --port ${PORT:-80} --workers ${WEB_CONCURRENCY:-4}"]
        @@ app/main.py
         from fastapi import FastAPI

         app = FastAPI()

    Written out are the directory, PYTHONPATH, the module and its variable (/app/app/main.py or /app/main.py,
    uwsgi.ini, MODULE_NAME, VARIABLE_NAME, APP_MODULE), the port (80, PORT, LISTEN_PORT), prestart.sh, and the packages
    that the image had. The image is slim where nothing of the full one is used.

    Images of a Python or a Debian release without security fixes get a suggestion with the date.

    When it holds back: configuration of nginx, supervisor, uWSGI or gunicorn; scripts, compose files and start commands
    that call the image's own scripts; variables that those read and nothing else does; an application that is not
    found; static files at a path of their own; Alpine's package manager; Python 2.

    Source: the deprecation notes of https://github.com/tiangolo/uvicorn-gunicorn-fastapi-docker and its siblings, and
    https://devguide.python.org/versions/ for the dates.
    """
    yield from _past_their_end(build)
    from dockfix_transforms._retired_images import retired_image

    for stage in build.stages:
        if retired_image(stage.image):
            try:
                yield _fix(build, stage.index)
            except Obstacle as obstacle:
                found = obstacle.skip
                yield Skip(found.reason, found.line if found.path else found.line or stage.steps[0].line, found.path)
            return


def _past_their_end(build: Build) -> Iterator[Fix]:
    """Yield a suggestion for every Python and Debian release among the bases that gets no security fixes."""
    seen: set[str] = set()
    for stage in build.stages:
        tag = python_tag(stage.image)
        named = {
            part for part in ((stage.image.tag if stage.image else None) or "").split("-") if part in table()["debian"]
        }
        releases = [("python", tag.python)] if tag is not None and tag.python else []
        releases += [("debian", release) for release in sorted(named)]
        for kind, release in releases:
            known = table()[kind].get(release, {})
            if not known.get("retired") or release in seen:
                continue
            seen.add(release)
            current = [name for name, other in table()[kind].items() if not other.get("retired")]
            title = f"{kind.capitalize()} {release} gets no security fixes any more"
            note = f"support ended {known['end_of_life']}; {', '.join(current)} are supported"
            yield Fix(title, {build.path: ()}, stage.steps[0].line, Safety.SUGGESTION, (note,))


def _fix(whole: Build, index: int) -> Fix:
    from dockfix_transforms import _retired_images
    from dockfix_transforms._python_images import published

    build, rest = _up_to(whole, index)
    stage = build.final
    first = stage.steps[0]
    image = stage.image
    word = first.instruction.value.split()[0]
    assert image is not None
    if "$" in word or image.digest is not None:
        raise Obstacle("the image is in a variable, or named by its digest", first.line)
    retired = _retired_images.read_image(image, first.line)
    if not published(retired.python, "slim"):
        raise Obstacle(f"there is no slim image of Python {retired.python}", first.line)
    own = _retired_images.own_start(stage)
    base = f"python:{retired.python}"
    span = first.instruction.arguments.raw_span(0, len(word))
    head = _head(build, stage, retired, own)
    above = _changed(build, [Edit(*span, base), _behind(build, first.instruction.end, head)])
    try:
        changes, program = _written_out(above, retired, own, len(head))
    except Obstacle as obstacle:  # its line is that of the text with the new lines on top
        found = obstacle.skip
        line = found.line - len(head) if found.path is None and found.line > first.line else found.line
        raise Obstacle(found.reason, line, found.path) from None
    after = _changed(above, changes.pop(build.path, []))
    gone = program.consumed if program is not None else frozenset()
    text = apply_edits(after.dockerfile.text, _without(after, gone))
    slim, reason = _slim(build, text, first.line)
    if slim:
        text = text[: span[0]] + f"{base}-slim" + text[span[0] + len(base) :]
    notes = [f"{retired.name} has been deprecated since {retired.entry['since']}"]
    if image.tag in (None, "latest"):
        notes.append(f"its latest tag is Python {retired.python}")
    if program is not None and retired.kind == "uwsgi":
        notes.append("gunicorn takes the place of nginx and uWSGI; the application serves its static files itself")
    if program is not None and program.workers:
        free = " where WEB_CONCURRENCY says nothing else" if retired.kind == "uvicorn" else ""
        notes.append(f"{program.workers} workers{free}; the image had them by the number of processors, or on demand")
    if not slim:
        notes.append(f"not the slim image: {reason}")
    title = f"start from {base}{'-slim' if slim else ''} in place of {retired.name}, which is no longer maintained"
    edits = {build.path: _lines(whole.dockerfile.text, text + rest), **changes}
    return Fix(title, edits, first.line, notes=tuple(notes))


def _up_to(build: Build, index: int) -> tuple[Build, str]:
    """Return the build up to and with the stage, and the text behind it: stages that are built on that one."""
    if index == build.final.index:
        return build, ""
    line = build.stages[index].steps[0].line
    if build.stages[index] not in lineage(build):
        raise Obstacle("the image is that of a stage that the final one is not built on", line)
    following = build.stages[index + 1].steps[0].instruction
    at = block_start(build.dockerfile, following)
    text = build.dockerfile.text[:at]
    return _changed(build, [Edit(at, len(build.dockerfile.text), "")]), build.dockerfile.text[len(text) :]


def _head(build: Build, stage: Stage, retired: Retired, own: bool) -> list[str]:
    """Return the instructions that say what the image says: where the program is, and where modules are found."""
    set_here = {pair.name for step in stage.of("ENV") for pair in pairs_of(step.instruction, build.dockerfile.escape)}
    values = [] if "PYTHONPATH" in set_here else [f"PYTHONPATH={_HOME}"]
    values += ["PORT=80"] if retired.kind == "gunicorn" and not own and "PORT" not in set_here else []
    head = [_written(stage, "ENV", " ".join(values))] if values else []
    following = next((step for step in stage.steps if step.keyword in _PATHS), None)
    if following is None or following.keyword != "WORKDIR" or not following.instruction.value.startswith("/"):
        head.append(_written(stage, "WORKDIR", _HOME))
    return head


def _written(stage: Stage, keyword: str, rest: str) -> str:
    return f"{keyword.lower() if stage.steps[0].instruction.keyword_text.islower() else keyword} {rest}"


def _behind(build: Build, end: int, lines: list[str]) -> Edit:
    """Return the edit that puts *lines* behind the instruction that ends at *end*."""
    newline = build.dockerfile.newline
    if build.dockerfile.text[:end].endswith("\n") or not lines:
        return insert(end, "".join(f"{line}{newline}" for line in lines))
    return insert(end, "".join(f"{newline}{line}" for line in lines))


def _changed(build: Build, edits: list[Edit]) -> Build:
    from dockfix.build.stages import build_of
    from dockfix.syntax.dockerfile import parse

    text = apply_edits(build.dockerfile.text, edits)
    return build_of(build.path, parse(text), build.project, build.options)


def _written_out(build: Build, retired: Retired, own: bool, above: int) -> tuple[dict[str, list[Edit]], Program | None]:
    """Return the edits that install and start what the image did, and the program that it starts. Raises ``Obstacle``.

    *build* starts from the Python image already; *above* instructions behind FROM are new.
    """
    from dockfix_transforms import _retired_images
    from dockfix_transforms._retired_packages import installation, missing_packages

    stage = build.final
    _retired_images.check_customised(build, retired)
    program = None if own else _retired_images.program(build, retired, stage.steps[0].line)
    server = "" if own else "uvicorn" if retired.kind == "uvicorn" else "gunicorn"
    changes, run = installation(build, retired, missing_packages(build, retired, server))
    mine = changes.setdefault(build.path, [])
    if run:
        mine.append(_behind(build, stage.steps[above].instruction.end, [_written(stage, "RUN", run)]))
    if program is not None:
        mine += _start(build, retired, program)
    return changes, program


def _start(build: Build, retired: Retired, program: Program) -> list[Edit]:
    """Return the edits that write the start command and the port."""
    import json

    stage = build.final
    newline = build.dockerfile.newline
    words = _command(retired, program)
    cmd = stage.last("CMD")
    lines = [] if stage.of("EXPOSE") else [_written(stage, "EXPOSE", program.port)]
    array = json.dumps(words)
    if cmd is not None:
        arguments = cmd.instruction.arguments
        edits = [Edit(*arguments.raw_span(0, len(arguments.text)), array)]
        if lines:
            edits.append(insert(block_start(build.dockerfile, cmd.instruction), lines[0] + newline))
        return edits
    lines.append(_written(stage, "CMD", array))
    return [_behind(build, stage.steps[-1].instruction.end, lines)]


def _without(build: Build, names: frozenset[str]) -> list[Edit]:
    """Return the edits that take out an ENV that sets nothing but *names*, and a WORKDIR that is in force already."""
    found = []
    place = ""
    for step in build.final.of("WORKDIR"):
        value = step.instruction.value.rstrip("/")
        if value == place == _HOME:
            found.append(step.instruction)
        place = value
    for step in build.final.of("ENV"):
        pairs = pairs_of(step.instruction, build.dockerfile.escape)
        if pairs and {pair.name for pair in pairs} <= names:
            found.append(step.instruction)
    return removals(build.dockerfile, found)


def _command(retired: Retired, program: Program) -> list[str]:
    """Return the words of the new start command."""
    workers = ["--workers", program.workers] if program.workers else []
    if retired.kind == "uvicorn":
        port = f"${{PORT:-{program.port}}}"
        workers = ["--workers", f"${{WEB_CONCURRENCY:-{program.workers}}}"] if program.workers else []
        words = ["uvicorn", program.target, "--host", "0.0.0.0", "--port", port, *workers]
    else:
        bind = ["--bind", f"0.0.0.0:{program.port}"] if retired.kind == "uwsgi" else []
        workers += ["--threads", program.threads] if program.threads else []
        words = ["gunicorn", *bind, *workers, "--timeout", "120", "--access-logfile", "-", program.target]
    if not program.prestart and retired.kind != "uvicorn":
        return words
    before = f"set -e; . {program.prestart}; " if program.prestart else ""
    return ["sh", "-c", f"{before}exec {' '.join(words)}"]


def _slim(build: Build, text: str, line: int) -> tuple[bool, str]:
    """Return whether the slim image does, with nothing to be installed for it, and why it does not."""
    from dockfix.build.stages import build_of
    from dockfix.syntax.dockerfile import parse
    from dockfix_transforms._slim_needs import slim_needs

    try:
        needs = slim_needs(build_of(build.path, parse(text), build.project, build.options))
    except Obstacle as obstacle:
        return False, obstacle.skip.reason
    return not needs.packages, needs.notes[0] if needs.packages else ""


def _lines(before: str, after: str) -> tuple[Edit, ...]:
    """Return the edits of whole lines that make *after* of *before*."""
    from difflib import SequenceMatcher

    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for text in old:
        starts.append(starts[-1] + len(text))
    return tuple(
        Edit(starts[first], starts[last], "".join(new[begin:end]))
        for tag, first, last, begin, end in SequenceMatcher(None, old, new).get_opcodes()
        if tag != "equal"
    )
