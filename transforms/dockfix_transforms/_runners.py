"""Programs that are started through a package manager (``poetry run``, ``uv run``), which a final stage has not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from posixpath import basename
from typing import Any, Final

from dockfix.build.manifests import toml_of
from dockfix.build.model import Build, Stage, Step
from dockfix.build.scripts import inner_script
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Script
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._project_installs import is_package
from dockfix_transforms._tools import PROGRAMS

_NAMES: Final = pattern(
    r"(?<![\w./-])(?:[\w./-]*/)?(?:poetry|pipenv|uvx?|pdm|pipx)(?![\w./-])",
    words=("poetry", "pipenv", "uv", "pdm", "pipx"),
)
_UV_IGNORED: Final = frozenset(
    {"--no-sync", "--frozen", "--locked", "--no-dev", "-q", "--quiet", "--offline", "--no-cache", "-n", "--"}
)
_STARTED: Final = pattern(
    r"[\w./-]*(?:\.sh|\.bash|\.cfg|\.ini|\.conf|entrypoint[\w-]*|start[\w-]*)(?![\w.])",
    words=(".sh", ".bash", ".cfg", ".ini", ".conf", "entrypoint", "start"),
)


def without_runners(build: Build, stage: Stage, steps: Iterable[Step]) -> list[Edit]:
    """Return the edits that start the programs of *steps* themselves. Raises ``Obstacle`` where that is not the same.

    *steps* are those of the final stage. The Dockerfile's own commands are edited; a script or a compose file that
    starts a package manager is an obstacle.
    """
    if not any(_NAMES.search(step.instruction.value) for step in stage.of("FROM", "RUN", "COPY")):
        return []  # no package manager is taken away
    edits: list[Edit] = []
    texts: list[tuple[str, Step]] = []
    for step in steps:
        if step.keyword not in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
            continue
        text = step.instruction.value
        texts.append((text, step))
        names = _NAMES.findall(text.replace('", "', " ").replace('","', " "))
        if not names:
            continue
        found = list(_edits(build, stage, step))
        if len(found) != len(names):
            raise Obstacle(f"{names[0].strip()} is used in the final stage, which has it no more", step.line)
        edits += found
    _check_scripts(build, texts)
    return edits


def _edits(build: Build, stage: Stage, step: Step) -> Iterator[Edit]:
    instruction = step.instruction
    words = instruction.json_form
    if words is not None:
        if basename(words[0] if words else "") in PROGRAMS:
            yield from _of_json(build, stage, step, words)
        return
    script = step.script
    if script is None:
        raise Obstacle("what is started through a package manager is not understood", step.line)
    yield from _of_script(build, stage, step, script)


def _of_json(build: Build, stage: Stage, step: Step, words: Sequence[str]) -> Iterator[Edit]:
    import json

    source = step.instruction.arguments
    kept = _kept(build, stage, step, words)
    spans = [match.span() for match in re.finditer(r'"(?:[^"\\]|\\.)*"', source.text)]
    if len(spans) != len(words):
        return
    rest = [word for word in kept if word not in words[len(words) - len(kept) :]]
    first = len(words) - (len(kept) - len(rest))
    start, end = source.raw_span(spans[0][0], spans[first][0])
    yield Edit(start, end, "".join(f"{json.dumps(word)}, " for word in rest))


def _of_script(build: Build, stage: Stage, step: Step, script: Script) -> Iterator[Edit]:
    for command in script.commands:
        if not command.words:
            continue
        at = 1 if command.name == "exec" and len(command.words) > 1 else 0
        words = [word.raw if word.value is None else word.value for word in command.words[at:]]
        if basename(words[0]) in PROGRAMS:
            kept = _kept(build, stage, step, words)
            same = next(
                (
                    count
                    for count in range(len(kept), -1, -1)
                    if kept[len(kept) - count :] == words[len(words) - count :]
                ),
                0,
            )
            start = script.span(command.words[at])[0]
            end = script.span(command.words[len(command.words) - same])[0]
            yield Edit(start, end, "".join(f"{word} " for word in kept[: len(kept) - same]))
        elif inner := inner_script(script, command):
            yield from _of_script(build, stage, step, inner)


def _kept(build: Build, stage: Stage, step: Step, words: Sequence[str]) -> list[str]:
    """Return the words of the program that ``poetry run`` and the like start. Raises ``Obstacle``."""
    tool, line = basename(words[0]), step.line
    rest = list(words[1:])
    if rest[:1] != ["run"]:
        raise Obstacle(f"{tool} is used in the final stage, which has it no more", line)
    del rest[0]
    module = False
    synced = tool == "uv" and (step.env.get("UV_NO_SYNC") or "") not in ("", "0", "false")
    while rest and rest[0].startswith("-"):
        synced = synced or rest[0] == "--no-sync"
        if tool == "uv" and rest[0] in ("-m", "--module"):
            module = True
        elif tool != "uv" or rest[0] not in _UV_IGNORED:
            raise Obstacle(f"{tool} run {rest[0]}: what the program would be without it is not known", line)
        del rest[0]
    if not rest or "$" in rest[0]:
        raise Obstacle(f"what {tool} run starts is not known", line)
    _check_name(build, stage, tool, rest[0], line, synced)
    if module:
        return ["python", "-m", *rest]
    return ["python", *rest] if tool == "uv" and rest[0].endswith(".py") else rest


def _check_name(build: Build, stage: Stage, tool: str, name: str, line: int, synced: bool) -> None:
    """Raise ``Obstacle`` where only the package manager knows what *name* is, or does more than to start it.

    *synced* tells that uv installs nothing when it starts a program.
    """
    context = build.project.context
    if tool == "pipenv":
        table = toml_of(context.text("Pipfile") or "") or {}
        if name in (table.get("scripts") or {}):
            raise Obstacle(f"pipenv run {name} is a script of the Pipfile", line)
        if context.has(".env"):
            raise Obstacle("pipenv run reads the variables of .env, too", line)
        return
    table = toml_of(context.text("pyproject.toml") or "") or {}
    installed = _project_installed(stage)
    if tool == "uv" and not synced and not installed and is_package("uv-sync", table, context.text("uv.lock")):
        raise Obstacle("uv run installs the project when the container starts", line)
    if name in _scripts(table) and not installed:
        raise Obstacle(f"{tool} run {name} is a script of the project, which the image does not install", line)


def _scripts(table: dict[str, Any]) -> set[str]:
    tool = table.get("tool") or {}
    poetry, pdm = tool.get("poetry") or {}, tool.get("pdm") or {}
    project = table.get("project") or {}
    return {*(project.get("scripts") or {}), *(poetry.get("scripts") or {}), *(pdm.get("scripts") or {})}


def _project_installed(stage: Stage) -> bool:
    return any(
        "." in install.local or "--only-root" in install.options
        for step in stage.of("RUN")
        for install in step.installs
        if install.manager in ("poetry", "uv-sync", "pdm", "pip", "uv-pip")
    )


def _check_scripts(build: Build, texts: Sequence[tuple[str, Step]]) -> None:
    """Raise ``Obstacle`` where a script that the image starts, or a compose file, uses a package manager."""
    context = build.project.context
    seen: set[str] = set()
    pending = [(name, step.line) for text, step in texts for name in _STARTED.findall(text)]
    by_name: dict[str, list[str]] = {}
    if pending:
        for path in context.paths:
            by_name.setdefault(basename(path), []).append(path)
    while pending:
        name, line = pending.pop()
        for path in by_name.get(basename(name), ()):
            if path in seen:
                continue
            seen.add(path)
            text = context.text(path) or ""
            for number, content in enumerate(text.splitlines(), 1):
                found = _NAMES.search(content)
                if found and not content.lstrip().startswith("#"):
                    reason = f"{found.group()} is used, which the final stage would not have"
                    raise Obstacle(reason, number, context.repository_path(path))
            pending += [(other, line) for other in _STARTED.findall(text)]
    for service in build.project.services:
        if service.target:
            continue
        parts = (service.command, service.entrypoint, service.healthcheck)
        for part in parts:
            words = part if isinstance(part, str) else " ".join(part or ())
            if words and (found := _NAMES.search(words)):
                reason = f"the service {service.name} uses {found.group()}, which the final stage would not have"
                raise Obstacle(reason, service.line, service.path)
