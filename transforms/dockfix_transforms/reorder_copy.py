"""The transform reorder-copy."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.layout import blank_above, block_start, removals
from dockfix.build.manifests import Manifest, Unknown, origin_of, unlocked
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.dockerfile import Instruction
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._layer_needs import SYSTEM, Place, folders_of, needs_of
from dockfix_transforms._missing_manifests import missing_manifests
from dockfix_transforms._project_installs import Split

_VARIABLE: Final = pattern(r"\$\{?(\w+)", words=("$",))
_SOURCE: Final = pattern(r".*\.(?:py|js|ts|jsx|tsx|go|rb|php|html|vue|svelte)\Z")
_OF_SYSTEM: Final = pattern(
    r"/(?:etc|lib\w*|bin|sbin|usr/(?:share|lib|bin|sbin|local/(?:share|lib|etc)))(?:/|\Z)",
    words=("/etc", "/lib", "/bin", "/sbin", "/usr/"),
)
# More COPYs than any hand writes, and steps looked at: what keeps the work on a long file in proportion to its length.
_MANY: Final = 100
_LOOKED: Final = 2000
_PASSIVE: Final = frozenset({"ENV", "ARG", "LABEL", "EXPOSE", "WORKDIR", "STOPSIGNAL", "CMD", "ENTRYPOINT", "SHELL"})


@record
class _Move:
    """The COPY to move, the step that it goes behind, and what the installs read of it.

    ``cut`` is the command of the last step that needs the source: the step is cut in two in front of it. ``splits``
    are the installs of which the project's own part follows behind the source.
    """

    copy: Step
    last: Step
    manifests: tuple[Manifest, ...]
    cut: Command | None
    splits: tuple[Split, ...]
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
    (pyproject.toml, Pipfile, environment.yml, package.json, go.mod and kin) with their lock files; they come to the
    paths where the COPY of everything would have put them. An install of named packages needs none. A RUN that goes on
    with something that reads the source is cut in two behind the install. Where poetry, uv or pdm install the project
    itself too, they do it in a second command behind the source. A COPY of the manifest that is missing in front of an
    install, so that the build fails, is added.

    When it holds back: ``pip install .``, ``-e``, a path or ``--find-links``; a manifest that the build context does
    not have or hides, or that names files of the source; settings of the package manager that come with the source; an
    install into a folder beside the manifest (``.venv``, ``node_modules``) that .dockerignore lets in; a project whose
    install cannot be told from that of its dependencies; a build context that the files do not establish; a command
    between COPY and install that may read the source; a folder of the system (certificates, settings of apt); a later
    COPY that would be overwritten; ONBUILD.

    Source: Docker's documentation, "Optimize cache usage in builds"
    (https://docs.docker.com/build/cache/optimize/#order-your-layers).
    """
    for stage in build.stages:
        yield from _stage(build, stage)


def _stage(build: Build, stage: Stage) -> Iterator[Fix | Skip]:
    steps = stage.steps
    copies = [index for index, step in enumerate(steps) if step.keyword in ("COPY", "ADD")]
    if len(copies) > _MANY:
        return
    moves: list[_Move] = []
    looked = 0
    for index in reversed(copies):
        copy = steps[index].copy
        if copy is None or not _brings_source(build, copy):
            continue
        looked += len(steps) - index
        if looked > _LOOKED + 4 * len(steps):
            break
        found = _find(build, steps, index, [move.copy.line for move in moves])
        if isinstance(found, Skip):
            yield found
        elif found is not None and not (moves and (found.last, found.cut) != (moves[0].last, moves[0].cut)):
            moves.insert(0, found)
    if moves:
        yield _fix(build, moves)
        return
    yield from missing_manifests(build, stage)


def _brings_source(build: Build, copy: Copy) -> bool:
    """Whether a COPY brings source code of the build context: all of it, a folder with code, or a file of code."""
    if copy.from_ is not None or copy.remote or copy.heredoc or copy.selective:
        return False
    if _OF_SYSTEM.match(copy.destination or ""):  # certificates, sources of packages: what other commands read
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


def _find(build: Build, steps: tuple[Step, ...], index: int, moving: Sequence[int]) -> _Move | Skip | None:
    """Return how the COPY at *index* moves, why it does not, or None where no install follows.

    *moving* are the lines of later COPYs that move as well, and stay behind it.
    """
    copy_step = steps[index]
    copy = copy_step.copy
    assert copy is not None
    context = build.project.context
    others = [step.copy for step in steps[:index] if step.copy is not None]
    manifests: dict[Manifest, None] = {}
    splits: list[Split] = []
    exports: tuple[str, ...] = ()
    last: Step | None = None
    cut: Command | None = None
    refused: Skip | None = None
    for at, step in enumerate(steps[index + 1 :], index + 1):
        if step.keyword in ("COPY", "ADD"):
            if step.copy is None or (step.line not in moving and _overwritten(build, step.copy, copy)):
                break
            others.append(step.copy)
            continue
        if step.keyword in _PASSIVE:
            continue
        if step.keyword != "RUN" or step.script is None:
            break
        try:
            needs = needs_of(Place(build, copy, steps[:at], tuple(others), exports), step)
            if needs is None:
                break
            if splits and last is not None and (step.workdir, step.user) != (last.workdir, last.user):
                raise Unknown("the project would be installed from another directory, or by another user")
        except Unknown as unknown:
            refused = Skip(f"the source stays in front of the install: {unknown}", step.line)
            break
        manifests.update(dict.fromkeys(needs.manifests))
        splits += needs.splits
        exports += needs.exports
        if any(install.manager not in SYSTEM or last is not None for install in step.installs):
            last, cut = step, needs.cut
        if needs.cut is not None:
            break
    if {posixpath.normpath("/" + (source.value or "")).lstrip("/") for source in copy.sources} <= {
        manifest.source for manifest in manifests
    }:
        return None
    if last is None:
        return refused if refused is None or not context.ambiguous else Skip(_unclear(build), refused.line)
    if context.ambiguous:
        return Skip(_unclear(build), copy_step.line)
    if copy.destination is None:
        return Skip("where the COPY goes to is not known", copy_step.line)
    return _Move(copy_step, last, tuple(manifests), cut, tuple(splits), unlocked(manifests, context))


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


def _fix(build: Build, moves: Sequence[_Move]) -> Fix:
    """Return the fix that moves the COPYs, which all go behind the same step, and keep their order."""
    dockerfile = build.dockerfile
    newline = dockerfile.newline
    edits: list[Edit] = []
    gone: list[Instruction] = []
    blocks: list[str] = []
    for move in moves:
        instruction = move.copy.instruction
        blocks.append(_block(build, move))
        if move.manifests:
            start = block_start(dockerfile, instruction)
            edits.append(Edit(start, instruction.text_end, newline.join(_copies(move))))
        else:
            gone.append(instruction)
    edits += removals(dockerfile, gone)
    splits = dict.fromkeys(split for move in moves for split in move.splits)
    edits += [split.edit for split in splits]
    last, cut = moves[0].last, moves[0].cut
    keyword = last.instruction.keyword_text
    block = newline.join([*blocks, *(f"{keyword} {split.again}" for split in splits)])
    if blank_above(dockerfile, moves[0].copy.instruction):
        block = newline + block
    unused = cut is None and not splits and _unused(build, moves)
    if unused:
        pass  # nothing goes behind the install
    elif cut is not None:
        script = last.script
        assert script is not None
        before = [item for item in script.commands if item.start < cut.start and not item.substitution][-1]
        edits.append(Edit(script.span(before)[1], script.span(cut)[0], f"{newline}{block}{newline}{keyword} "))
    elif dockerfile.text[: last.instruction.end].endswith("\n"):
        edits.append(insert(last.instruction.end, f"{block}{newline}"))
    else:
        edits.append(insert(last.instruction.end, f"{newline}{block}"))
    notes = tuple(
        f"{name} pins nothing: the cached layer keeps the versions that it has until the file changes"
        for name in dict.fromkeys(name for move in moves for name in move.unpinned)
    )
    title = "copy the source behind the install, which needs only the manifests"
    if splits:
        title = "install the dependencies, then copy the source and install the project"
    elif not any(move.manifests for move in moves):
        title = "copy the source behind the install, which needs nothing of it"
    if unused:
        title = "copy only the manifests: the stage uses nothing else of the source, and no other takes it from there"
    return Fix(title, {build.path: tuple(sorted(edits))}, moves[0].copy.line, notes=notes)


def _unused(build: Build, moves: Sequence[_Move]) -> bool:
    """Whether the stage ends with the install, and nothing takes from it what the COPYs bring."""
    from dockfix.project.invocations import candidates

    step = moves[0].last
    stage = build.stages[step.stage]
    if (
        stage is build.final
        or stage.name is None
        or len(build.stages) > _MANY
        or stage.of("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK")
        or any(one.keyword not in _PASSIVE for one in stage.steps if one.line > step.line)
    ):
        return False
    if any(other.base_stage == stage.index for other in build.stages):
        return False
    named = re.compile(rf"\btarget\b\W{{1,8}}{re.escape(stage.name)}(?![\w-])", re.IGNORECASE)
    texts = (build.project.files.text(path) or "" for path, _ in candidates(build.project.files))
    if any(named.search(text) for text in texts if "target" in text):
        return False  # it is built for itself
    places = [move.copy.copy.destination for move in moves if move.copy.copy is not None]
    taken = False
    for other in build.stages[stage.index + 1 :]:
        if any(f"from={stage.name}" in one.instruction.value for one in other.of("RUN")):
            return False
        for copy in (one.copy for one in other.of("COPY") if one.instruction.flag("from") is not None):
            if copy is None or copy.from_ is None:
                return False
            if copy.from_.lower() not in (stage.name, str(stage.index)):
                continue
            taken = True
            for source in copy.sources:
                mine = None if source.value is None else f"/{source.value.strip('/')}/".replace("//", "/")
                if mine is None or any(
                    place is None
                    or f"{place.rstrip('/')}/".startswith(mine)
                    or mine.startswith(f"{place.rstrip('/')}/")
                    for place in places
                ):
                    return False
    return taken


def _block(build: Build, move: _Move) -> str:
    """Return the COPY with its comments; its destination becomes absolute where it moves past a WORKDIR."""
    copy = move.copy.copy
    assert copy is not None
    start = block_start(build.dockerfile, move.copy.instruction)
    block = build.dockerfile.text[start : move.copy.instruction.text_end]
    if move.last.workdir == move.copy.workdir or _stays(move):
        return block
    at = copy.destination_start - start
    absolute = f"{copy.destination}/" if copy.directory and copy.destination != "/" else str(copy.destination)
    return apply_edits(block, [Edit(at, at + copy.destination_end - copy.destination_start, absolute)])


def _stays(move: _Move) -> bool:
    """Whether the destination is an absolute path, by a variable in front perhaps, that is the same further down."""
    assert move.copy.copy is not None
    text = move.copy.copy.destination_text.lstrip("\"'")
    variable = _VARIABLE.match(text)
    if variable is None:
        return text.startswith("/")
    value = move.copy.env.get(variable[1])
    return value is not None and value.startswith("/") and move.last.env.get(variable[1]) == value


def _copies(move: _Move) -> Iterator[str]:
    """Yield the COPY instructions that bring the manifests to where the moved COPY would have."""
    instruction = move.copy.instruction
    copy = move.copy.copy
    assert copy is not None
    keyword = "copy" if instruction.keyword_text.islower() else "COPY"
    flags = "".join(f"--{flag.name}={flag.value} " for flag in instruction.flags if flag.name in ("chown", "chmod"))
    absolute = copy.destination_text.lstrip("\"'").startswith(("/", "$")) or move.copy.workdir is None
    for folder, manifests in folders_of(move.manifests):
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
