"""``COPY .env``: the image does without, where nothing but the environment needs what is in it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.layout import removals
from dockfix.build.lineage import start_steps
from dockfix.build.model import Build, Step
from dockfix.syntax.edit import Edit, delete
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Skip

if TYPE_CHECKING:
    from dockfix.build.copies import Copy, Source
    from dockfix.syntax.yaml_layout import New

_FILE: Final = pattern(r"(?:.*/)?\.env(?!\.(?:example|sample|template|dist|defaults?)\b)(?:\.[\w-]+)?\Z")
_MENTION: Final = pattern(r"(?<![\w.-])\.env(?![\w-])")


def copied_env(build: Build) -> Iterator[Fix | Skip]:
    """Take the files out of COPY and ADD, and let compose give them, or say why they stay."""
    for step in build.steps:
        copy = step.copy
        if copy is None or copy.from_ is not None:
            continue
        found = [source for source in copy.sources if source.value and _FILE.match(source.value)]
        if not found:
            continue
        reason = _reason(build, step, copy, found)
        if reason is None:
            yield from _fix(build, step, copy, found)
        elif reason:
            yield Skip(f"{found[0].value} stays in the image: {reason}", step.line)


def _reason(build: Build, step: Step, copy: Copy, found: list[Source]) -> str | None:
    from dockfix.build.secrets import secret_spans
    from dockfix_transforms._build_secrets import readers
    from dockfix_transforms._context_needs import code_of
    from dockfix_transforms._given_by_compose import runners

    context = build.project.context
    texts = [text for source in found if (text := context.text(source.value or "")) is not None]
    if len(texts) == len(found) and not any(secret_spans(text) for text in texts):
        return ""
    if copy.heredoc or (step.instruction.json_form is not None and len(found) < len(copy.sources)):
        return "the COPY is not plain"
    reading = readers(build, step, ".env")
    if reading:
        return f"line {reading[0].line} runs a program that may read it"
    if any(other.copy is not None and other.copy.from_ and ".env" in other.instruction.value for other in build.steps):
        return "another stage copies it on"
    for start in start_steps(build):
        if start is not None and _MENTION.search(_started(build, start)):
            return f"what line {start.line} starts reads it"
    code = code_of(build)
    if code.opens_env:
        return f"{code.opens_env} opens the file itself"
    if code.loads_env and not runners(build) and (other := _copied_besides(build, step, found)) is not None:
        return f"line {other.line} copies it as well, {code.loads_env} loads it, and no compose service would pass it"
    return None


def _copied_besides(build: Build, step: Step, found: list[Source]) -> Step | None:
    """Return another COPY that brings the same files."""
    context = build.project.context
    for other in build.steps:
        copy = other.copy
        if other is not step and copy is not None and copy.from_ is None:
            for source in found:
                path = posixpath.normpath(source.value or "")
                if copy.image_path(path) is not None and not context.ignored(path):
                    return other
    return None


def _started(build: Build, step: Step) -> str:
    """Return the text of a start command and of the scripts that it names."""
    context = build.project.context
    names = set(re.findall(r"[\w.-]+\.(?:sh|bash)\b|[\w.-]*entrypoint[\w.-]*", step.instruction.value))
    scripts = [context.text(path) or "" for path in context.paths if posixpath.basename(path) in names]
    return "\n".join([step.instruction.value, *scripts])


def _fix(build: Build, step: Step, copy: Copy, found: list[Source]) -> Iterator[Fix | Skip]:
    from dockfix.build.secrets import secret_spans
    from dockfix.syntax.yaml_edit import Editing, add_key
    from dockfix_transforms._given_by_compose import runners

    changes: dict[str, list[Edit]] = {build.path: _without(build, step, copy, found)}
    context = build.project.context
    full = [context.repository_path(posixpath.normpath(source.value or "")) for source in found]
    services = runners(build)
    for path in dict.fromkeys(service.file.path for service in services):
        editing = Editing(next(service.file.text for service in services if service.file.path == path))
        names = tuple(posixpath.relpath(name, posixpath.dirname(path) or ".") for name in full)
        for service in services:
            if service.file.path != path or service.service.env_files:
                continue
            value: New = names[0] if len(names) == 1 else [*names]
            place = ("services", service.name)
            if not editing.apply(add_key(editing.text, place, "env_file", value, after=("build",))):
                reason = f"{service.name} cannot be given env_file as {service.file.name} is written"
                yield Skip(f"{found[0].value} stays in the image: {reason}", service.service.line, path)
                return
        if edits := editing.edits():
            changes[path] = edits
    texts = [context.text(source.value or "") or "" for source in found]
    secrets = tuple(dict.fromkeys(text[start:end] for text in texts for start, end in secret_spans(text)))
    names = tuple(source.value or "" for source in found)
    notes = ["What is in it is in every image that was built: change it where it protects something."]
    if not services:
        notes.append(f"Give it to the container when it starts: docker run --env-file {names[0]} ...")
    title = f"keep {' and '.join(names)} out of the image"
    yield Fix(title, changes, step.line, notes=tuple(notes), secrets=secrets)


def _without(build: Build, step: Step, copy: Copy, found: list[Source]) -> list[Edit]:
    if len(found) == len(copy.sources):
        return removals(build.dockerfile, [step.instruction])
    edits = []
    ends = [source.start for source in copy.sources[1:]] + [copy.destination_start]
    for source, end in zip(copy.sources, ends, strict=True):
        if source in found:
            edits.append(delete(source.start, end))
    return edits
