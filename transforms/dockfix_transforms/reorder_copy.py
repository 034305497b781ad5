"""The transform reorder-copy."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.layout import blank_above, block_start, removals
from dockfix.build.manifests import Manifest, Unknown, manifests_of, origin_of
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix.transform import Fix, Phase, Safety, Skip, transform

_SOURCE: Final = pattern(r".*\.(?:py|js|ts|jsx|tsx|go|rb|php|html|vue|svelte)\Z")
_PASSIVE: Final = frozenset({"ENV", "ARG", "LABEL", "EXPOSE", "WORKDIR", "STOPSIGNAL", "CMD", "ENTRYPOINT", "SHELL"})
# Programs that read nothing of the source where their arguments name none of it.
_SOURCE_FREE: Final = frozenset(
    {
        *(
            "apt-get",
            "apt",
            "apk",
            "yum",
            "dnf",
            "microdnf",
            "rm",
            "mkdir",
            "useradd",
            "groupadd",
            "adduser",
            "addgroup",
        ),
        *("echo", "set", "true", "usermod", "locale-gen", "ldconfig", "update-ca-certificates", "corepack"),
    }
)
_PIP: Final = pattern(r"(?:.*/)?(?:pip[\d.]*|python[\d.]*|uv|poetry|pipenv|pdm|npm|yarn|pnpm|go)\Z")
_HARMLESS: Final = pattern(r"(?:-m pip )?(?:config|cache|--version|list|check|freeze|self|env)\b")


@record
class _Move:
    """The COPY to move, the step that it goes behind, and what the installs read of it.

    ``cut`` is the command of the last step that needs the source: the step is cut in two in front of it.
    """

    copy: Step
    last: Step
    manifests: tuple[Manifest, ...]
    cut: Command | None
    unpinned: tuple[str, ...]


@transform(safety=Safety.SAFE, phase=Phase.LAYERS)
def reorder_copy(build: Build) -> Iterator[Fix | Skip]:
    """Copy the manifests, install, then copy the rest.

    Why: a layer is built again when a layer above it changes. With the source in front of the install, every change of
    the source installs every dependency again.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
        -COPY . .
        +COPY requirements.txt .
         RUN pip install -r requirements.txt
        +COPY . .
         CMD ["python", "app.py"]
        @@ requirements.txt
         flask==3.1.0
        @@ app.py
         print("hello")

    The manifests are what the install reads: requirements files with all that they include, or the manager's own
    (pyproject.toml, Pipfile, package.json, go.mod) with their lock files; they come to the paths where the COPY of
    everything would have put them. An install of named packages needs none. A RUN that goes on with something that
    reads the source is cut in two behind the install.

    When it holds back: ``pip install .``, ``-e``, a path or ``--find-links``; a manifest that the build context does
    not have or hides, or that names files of the source; a build context that the files do not establish; a command
    between COPY and install that may read the source; a later COPY that would be overwritten; ONBUILD.

    Source: Docker's documentation, "Optimize cache usage in builds"
    (https://docs.docker.com/build/cache/optimize/#order-your-layers).
    """
    for stage in build.stages:
        yield from _stage(build, stage)


def _stage(build: Build, stage: Stage) -> Iterator[Fix | Skip]:
    steps = stage.steps
    candidates = [
        index for index, step in enumerate(steps) if step.copy is not None and _brings_source(build, step.copy)
    ]
    for index in reversed(candidates):
        found = _find(build, steps, index)
        if isinstance(found, Skip):
            yield found
        elif found is not None:
            yield _fix(build, found)
            return


def _brings_source(build: Build, copy: Copy) -> bool:
    """Whether a COPY brings source code of the build context: all of it, a folder with code, or a file of code."""
    if copy.from_ is not None or copy.remote or copy.heredoc or copy.selective:
        return False
    if copy.everything:
        return True
    context = build.project.context
    for source in copy.sources:
        path = posixpath.normpath("/" + (source.value or "")).lstrip("/")
        if source.value is None or path.endswith("setup.py"):
            return False
        full = context.repository_path(path)
        if _SOURCE.match(path) or any(_SOURCE.match(name) for name in context.files.below(full)[:200]):
            return True
    return False


def _find(build: Build, steps: Sequence[Step], index: int) -> _Move | Skip | None:
    """Return how the COPY at *index* moves, why it does not, or None where no install follows."""
    copy_step = steps[index]
    copy = copy_step.copy
    assert copy is not None
    context = build.project.context
    earlier = [step.copy for step in steps[:index] if step.copy is not None]
    manifests: dict[Manifest, None] = {}
    between: list[Copy] = []
    last: Step | None = None
    cut: Command | None = None
    refused: Skip | None = None
    for step in steps[index + 1 :]:
        if step.keyword in ("COPY", "ADD"):
            if step.copy is None or _overwritten(build, step.copy, copy):
                break
            between.append(step.copy)
            continue
        if step.keyword in _PASSIVE:
            continue
        if step.keyword != "RUN" or step.script is None:
            break
        try:
            needed, stop = _needed(build, step, copy, [*earlier, *between])
        except Unknown as unknown:
            refused = Skip(f"the source stays in front of the install: {unknown}", step.line)
            break
        if needed is None:
            break
        manifests.update(dict.fromkeys(needed))
        if step.installs and any(install.manager not in ("apt", "apk", "yum") for install in step.installs):
            last, cut = step, stop
        if stop is not None:
            break
    if last is None:
        return refused if refused is None or not context.ambiguous else Skip(_unclear(build), refused.line)
    if context.ambiguous:
        return Skip(_unclear(build), copy_step.line)
    if copy.destination is None:
        return Skip("where the COPY goes to is not known", copy_step.line)
    return _Move(copy_step, last, tuple(manifests), cut, _unpinned(build, manifests))


def _unclear(build: Build) -> str:
    return f"the build context is not clear: {build.project.context.ambiguous}"


def _overwritten(build: Build, other: Copy, moved: Copy) -> bool:
    """Whether moving *moved* behind *other* would overwrite what *other* brings."""
    if other.destination is None or moved.destination is None:
        return True
    mine, theirs = moved.destination.rstrip("/") + "/", other.destination.rstrip("/") + "/"
    if not (mine.startswith(theirs) or theirs.startswith(mine)):
        return False
    if other.from_ is not None or other.heredoc or other.remote:
        return True
    context = build.project.context
    brought = [path for path in context.paths if other.image_path(path) is not None]
    return not brought or any(
        origin_of(moved, context, target) not in (None, path)
        for path in brought
        if (target := other.image_path(path)) is not None
    )


def _needed(
    build: Build, step: Step, moved: Copy, others: Sequence[Copy]
) -> tuple[tuple[Manifest, ...] | None, Command | None]:
    """Return the manifests that a RUN reads of *moved*, and the first command that may read the source.

    None in place of the manifests where the RUN starts with a command that may.
    """
    script = step.script
    assert script is not None
    context = build.project.context
    installs = {id(install.command): install for install in step.installs}
    inner = [install for install in step.installs if install.script is not script]
    manifests: list[Manifest] = []

    def origin(target: str) -> str | None:
        return origin_of(moved, context, target) or next(
            (found for other in others if (found := origin_of(other, context, target))), None
        )

    if inner and (len(script.commands) > 1 or len(inner[0].script.commands) > 1):
        return None, None
    for install in inner:
        manifests += manifests_of(install, context, origin)
    installed = bool(inner)
    for command in script.commands:
        if inner or not command.words:
            continue
        found = installs.get(id(command))
        if found is not None:
            if command.depth and not _source_free_around(script.commands):
                return None, None
            manifests += manifests_of(found, context, origin)
            installed = installed or found.manager not in ("apt", "apk", "yum")
        elif not _source_free(command, moved):
            if installed and _may_be_cut(step, command):
                return _missing(manifests, others), command
            return None, None
    return _missing(manifests, others), None


def _missing(manifests: Sequence[Manifest], others: Sequence[Copy]) -> tuple[Manifest, ...]:
    """Return the manifests that no other COPY brings already."""
    return tuple(
        manifest
        for manifest in manifests
        if not any(other.image_path(manifest.source) == manifest.target for other in others)
    )


def _source_free_around(commands: Sequence[Command]) -> bool:
    return all(command.name in ("[", "test", "set", "echo", "cd") or command.depth for command in commands)


def _source_free(command: Command, moved: Copy) -> bool:
    """Whether a command that is no install reads nothing that *moved* brings."""
    name = posixpath.basename(command.name or "")
    text = " ".join(word.raw for word in command.words[1:])
    if command.redirects and any(redirect.operator.startswith("<") for redirect in command.redirects):
        return False
    if name == "cd":
        return True
    if _PIP.match(name):
        return _HARMLESS.match(text) is not None
    if name not in _SOURCE_FREE or any(word.value is None for word in command.words[1:] if "*" in word.raw):
        return name == "rm" and name in _SOURCE_FREE and re.match(r"-r?f?r?\s+/(?:var|tmp|root)/", text) is not None
    if name == "rm":
        return all(word.startswith(("-", "/var/", "/tmp/", "/root/.cache", "~/.cache")) for word in text.split())
    return True


def _may_be_cut(step: Step, command: Command) -> bool:
    """Whether the RUN can be cut in front of *command* without a change of what the rest sees."""
    script = step.script
    if script is None or not script.simple or command.depth or step.instruction.flags or step.instruction.heredocs:
        return False
    before = [other for other in script.commands if other.start < command.start]
    if command.before != "&&" or any(other.before not in ("", "&&") for other in before):
        return False
    start, end = script.span(before[-1])[1], script.span(command)[0]
    if end - start > 200:
        return False
    return not any(other.name in ("cd", "export", "set", "umask", ".", "source") or not other.words for other in before)


def _unpinned(build: Build, manifests: dict[Manifest, None]) -> tuple[str, ...]:
    """Return the requirements files that pin no version at all."""
    from dockfix.syntax.requirements import parse_requirements

    found = []
    for manifest in manifests:
        if not manifest.source.endswith((".txt", ".in")):
            continue
        lines = parse_requirements(build.project.context.text(manifest.source) or "") or ()
        requirements = [line for line in lines if line.kind == "requirement"]
        if requirements and not any(line.pinned for line in requirements):
            found.append(manifest.source)
    return tuple(found)


def _fix(build: Build, move: _Move) -> Fix:
    dockerfile = build.dockerfile
    newline = dockerfile.newline
    instruction = move.copy.instruction
    copy = move.copy.copy
    assert copy is not None
    start = block_start(dockerfile, instruction)
    block = dockerfile.text[start : instruction.text_end]
    if move.last.workdir != move.copy.workdir and not copy.destination_text.lstrip("\"'").startswith("/"):
        at = copy.destination_start - start
        absolute = f"{copy.destination}/" if copy.directory and copy.destination != "/" else str(copy.destination)
        block = apply_edits(block, [Edit(at, at + copy.destination_end - copy.destination_start, absolute)])
    edits: list[Edit] = []
    if move.manifests:
        edits.append(Edit(start, instruction.text_end, newline.join(_copies(build, move))))
    else:
        edits += removals(dockerfile, [instruction])
    gap = newline if blank_above(dockerfile, instruction) else ""
    if move.cut is not None:
        script = move.last.script
        assert script is not None
        before = [command for command in script.commands if command.start < move.cut.start][-1]
        keyword = move.last.instruction.keyword_text
        between = f"{newline}{gap}{block}{newline}{keyword} "
        edits.append(Edit(script.span(before)[1], script.span(move.cut)[0], between))
    elif dockerfile.text[: move.last.instruction.end].endswith("\n"):
        edits.append(insert(move.last.instruction.end, f"{gap}{block}{newline}"))
    else:
        edits.append(insert(move.last.instruction.end, f"{newline}{gap}{block}"))
    notes = tuple(
        f"{name} pins nothing: the cached layer keeps the versions that it has until the file changes"
        for name in move.unpinned
    )
    title = "copy the source behind the install, which needs only the manifests"
    if not move.manifests:
        title = "copy the source behind the install, which needs nothing of it"
    return Fix(title, {build.path: tuple(sorted(edits))}, move.copy.line, notes=notes)


def _copies(build: Build, move: _Move) -> Iterator[str]:
    """Yield the COPY instructions that bring the manifests to where the moved COPY would have."""
    instruction = move.copy.instruction
    copy = move.copy.copy
    assert copy is not None
    folders: dict[str, list[Manifest]] = {}
    for manifest in move.manifests:
        folders.setdefault(posixpath.dirname(manifest.target), []).append(manifest)
    keyword = "copy" if instruction.keyword_text.islower() else "COPY"
    flags = "".join(f"--{flag.name}={flag.value} " for flag in instruction.flags if flag.name in ("chown", "chmod"))
    absolute = copy.destination_text.lstrip("\"'").startswith(("/", "$")) or move.copy.workdir is None
    for folder, manifests in folders.items():
        names = [manifest.source for manifest in manifests]
        renamed = any(posixpath.basename(item.source) != posixpath.basename(item.target) for item in manifests)
        place = folder if absolute else posixpath.relpath(folder, move.copy.workdir or "/")
        if renamed:
            for item in manifests:
                yield f"{keyword} {flags}{item.source} {item.target}"
            continue
        plain = place == "." and len(names) == 1 and copy.destination_text == "."
        target = "." if plain else place.rstrip("/") + "/"
        yield f"{keyword} {flags}{' '.join(names)} {target}"
