"""The transform copy-chown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from posixpath import basename
from typing import Final

from dockfix.build.lineage import lineage
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, Word
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._chown_edits import Recursive, cut, directories, rewritten, shortened
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._owners import creators, given_away, owner_of, says
from dockfix_transforms._tree_writers import USER_COMMANDS, path_of, within, writer

_ASKED: Final = pattern(r"\bch(?:own|mod)\b[^&;|\n]*?\s(?:-R|--recursive)\s")
_MODE: Final = pattern(r"0?[0-7]{3}\Z")
_BASES: Final = frozenset(
    {"python", "debian", "ubuntu", "alpine", "node", "golang", "ruby", "buildpack-deps", "rust", "nginx", "php"}
    | {"openjdk", "eclipse-temurin", "amazoncorretto", "fedora", "centos", "rockylinux", "almalinux", "httpd"}
)
_SYSTEM: Final = frozenset(
    {"", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin"}
    | {"srv", "sys", "tmp", "usr", "var"}
)
_OWN: Final = ("/home/", "/opt/", "/srv/", "/mnt/", "/usr/src/")
"""Below these the base images have nothing, and packages put nothing there that a COPY would go into."""
_MOVABLE: Final = USER_COMMANDS | {"mkdir", "touch", "set", "true"}
_ARCHIVE: Final = pattern(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz|tzst|gz|bz2|xz)\Z", re.IGNORECASE)
_VARIABLE: Final = pattern(r"\$\{?(\w+)")
_MOST: Final = 50
"""How many RUNs with a recursive chown or chmod are read."""


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def copy_chown(build: Build) -> Iterator[Fix | Skip]:
    """Let COPY say whose the files are, in place of a ``chown -R`` behind it.

    Why: a layer holds whole files. A ``chown -R`` or ``chmod -R`` behind the COPY puts every file into the image a
    second time, and runs again at every change of the source.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         RUN useradd --create-home app
        -COPY . .
        -RUN chown -R app:app /app
        +COPY --chown=app:app . .
        +RUN chown app:app /app
         USER app
         CMD ["python", "app.py"]

    A directory that was there before the COPY keeps a ``chown`` of its own, without ``-R``; so does what WORKDIR, mkdir
    and touch made below it. A RUN that does nothing but make the user moves up, before the first COPY that names it.

    When it holds back: files below the directory that no COPY brings (made by a RUN, in the base image, in another
    stage); a COPY that gives its files to somebody else; a mode that is not a number; ``chown`` to a user that only a
    RUN with other work makes; archives that ADD unpacks; ``COPY --link`` with a name; a volume; paths that the files do
    not tell.

    Source: Docker's reference, "COPY --chown --chmod"
    (https://docs.docker.com/reference/dockerfile/#copy---chown---chmod).
    """
    asked = [(stage, step) for stage in lineage(build) for step in stage.of("RUN") if _asked(step)]
    if len(asked) > _MOST:  # each of them is held against all that stands in front of it
        yield Skip(f"more than {_MOST} RUNs say whose the files are", asked[0][1].line)
        return
    for stage, step in asked:
        if step.script is None:
            continue
        try:
            fix = _fix(build, stage, step, step.script)
        except Obstacle as obstacle:
            yield obstacle.skip
            continue
        if fix is not None:
            yield fix


def _asked(step: Step) -> bool:
    text = step.instruction.value
    return ("-R" in text or "--recursive" in text) and _ASKED.search(text) is not None


def _recursive(step: Step, script: Script, command: Command, copies: list[Step]) -> Recursive | None:
    """Return what *command* is, None unless it is a plain ``chown -R`` or ``chmod -R`` of files that *copies* bring."""
    kind = basename(command.name or "")
    words = command.words[1:]
    options = [word.raw for word in words if word.raw.startswith("-")]
    operands = [word for word in words if not word.raw.startswith("-")]
    if kind not in ("chown", "chmod") or len(operands) < 2 or command.depth or command.assignments or command.redirects:
        return None
    if options not in (["-R"], ["--recursive"]) or command.after not in ("", "&&", ";", "\n"):
        return None
    named = {word: path for word in operands[1:] if (path := path_of(word, step, script))}
    roots = [path for path in named.values() if not _system(path) and any(_reaches(one, path) for one in copies)]
    mine = {word: path for word, path in named.items() if any(within(path, root) for root in roots)}
    if not mine:
        return None
    others = len(mine) < len(operands) - 1
    return Recursive(command, kind, operands[0].raw, tuple(mine.values()), tuple(mine), others)


def _fix(build: Build, stage: Stage, step: Step, script: Script) -> Fix | None:
    copies = [other for other in stage.of("COPY", "ADD") if other.line < step.line]
    found = [one for command in script.commands if (one := _recursive(step, script, command, copies))]
    if not found:
        return None
    paths = list(dict.fromkeys(path for one in found for path in one.paths))
    copies = [other for other in copies if any(_reaches(other, path) for path in paths)]
    chain = lineage(build)
    chain = chain[: chain.index(stage) + 1]
    owners = {one: owner_of(chain, step, one.flag) if one.kind == "chown" else _mode(step, one) for one in found}
    _check(build, chain, step, found, paths, {one.kind: flag for one, flag in owners.items()})
    flags: dict[int, list[str]] = {}
    named: dict[int, Step] = {}
    for one, flag in owners.items():
        for other in copies:
            if not any(_reaches(other, path) for path in one.paths) or _brought_again(build, stage, step, other, one):
                continue
            if _given(other, one.kind, flag, step):
                flags.setdefault(other.line, []).append(f" --{one.kind}={flag}")
                named[other.line] = other
    first = named[min(named)] if named else copies[0]
    makers = creators(chain, step, [one.flag for one in found if one.kind == "chown"])
    moved = [other for other in makers if other.line > first.line]
    _check_movable(moved, first, [one.command for one in found if not one.others])
    inside: list[Edit] = []
    gone = False
    for one in found:
        places = directories(build, stage, step, one, first, moved)
        missing = [path for path in one.paths if path not in places]
        if missing and (places or len(one.paths) > 1) and not (one.others and not places):
            raise Obstacle(f"whether {missing[0]} is there before the COPY is not known", step.line)
        if one.kind == "chown" and given_away(step, owners[one], chain).issuperset(places):
            places = []
        if places or one.others:
            inside += shortened(build, step, one, places)
        else:
            removal = cut(build, step, one)
            gone = gone or removal is None
            inside += [removal] if removal is not None else []
    edits = [
        insert(other.instruction.keyword_start + len(other.instruction.keyword_text), "".join(flags[line]))
        for line, other in named.items()
    ]
    edits += rewritten(build, step, moved, first, inside, gone)
    kinds = " and ".join(f"--{kind}" for kind in dict.fromkeys(one.kind for one in found))
    notes = ("--chmod needs BuildKit, Docker's builder since version 23",) if "chmod" in kinds else ()
    title = f"COPY {kinds} in place of {' and '.join(f'{one.kind} -R' for one in found)}"
    return Fix(title, {build.path: tuple(sorted(edits))}, step.line, notes=notes)


def _reaches(step: Step, path: str) -> bool:
    copy = step.copy
    return copy is not None and copy.destination is not None and within(copy.destination, path)


def _check(
    build: Build, chain: tuple[Stage, ...], step: Step, found: list[Recursive], paths: list[str], flags: dict[str, str]
) -> None:
    """Raise ``Obstacle`` unless all that is below *paths* comes from the COPYs of *stage*."""
    stage, image = chain[-1], chain[0].image

    def same(other: Step, command: Command) -> bool:
        kind = "chmod" if command.name == "chmod" else "chown"
        said = next((word.raw for word in command.words[1:] if not word.raw.startswith("-")), "")
        said = says(chain, other, said) or "" if kind == "chown" else said
        return kind not in flags or (said == flags[kind] and command.name != "chgrp")

    every = len(found) == sum(
        basename(command.name or "") in ("chown", "chmod")
        and any(word.raw in ("-R", "--recursive") for word in command.words)
        for command in (step.script.commands if step.script else ())
    )
    if not every:
        raise Obstacle("this RUN writes the same files again in another way", step.line)
    for path in paths:
        if image is None or not image.official or image.repository not in _BASES:
            raise Obstacle(f"the base image may have files below {path}", step.line)
        for other in (one for part in chain for one in part.steps[1:]):
            if other.line >= step.line and other.stage == stage.index:
                break
            if other.keyword in ("COPY", "ADD"):
                _check_copy(other, path, stage)
            elif other.keyword == "VOLUME" and path in other.instruction.value:
                raise Obstacle("a volume is declared before", other.line)
            elif other.keyword == "RUN" and (what := _written(build, other, path, same)):
                raise Obstacle(f"{what} may leave files below {path} that no COPY brings", other.line)
            elif other.keyword == "USER" and other.instruction.value.partition(":")[0] not in ("root", "0"):
                raise Obstacle("what stands between runs as another user", other.line)
    first = min(one.command.start for one in found)
    before = [command for command in step.script.commands if command.start < first] if step.script else []
    for path in paths:
        if what := writer(build, step, path, before, same):
            raise Obstacle(f"{what} may leave files below {path} that no COPY brings", step.line)


def _system(path: str) -> bool:
    return path.split("/")[1] in _SYSTEM and not path.startswith(_OWN)


def _written(build: Build, step: Step, path: str, same: Callable[[Step, Command], bool]) -> str | None:
    return writer(build, step, path, step.script.commands if step.script else (), same)


def _check_copy(step: Step, path: str, stage: Stage) -> None:
    copy = step.copy
    if copy is None or copy.destination is None:
        raise Obstacle(f"where this {step.keyword} lands cannot be told", step.line)
    if not within(copy.destination, path):
        if within(path, copy.destination):
            raise Obstacle(f"this {step.keyword} brings more than {path}", step.line)
        return
    if step.stage != stage.index:
        raise Obstacle(f"another stage puts files below {path}", step.line)
    archive = copy.add and any(_ARCHIVE.search(source.value or ".gz") for source in copy.sources)
    if copy.remote or archive:
        raise Obstacle("whether ADD gives away what it unpacks is not known", step.line)


def _mode(step: Step, one: Recursive) -> str:
    if not _MODE.match(one.flag):
        raise Obstacle(f"chmod -R {one.flag} is no mode that COPY takes", step.line)
    return one.flag


def _given(step: Step, kind: str, flag: str, where: Step) -> bool:
    """Return whether the COPY is to get the option, False where it has it. Raises ``Obstacle`` where it cannot."""
    present = step.instruction.flag(kind)
    if present is not None:
        if present.value == flag:
            return False
        raise Obstacle(
            f"this {step.keyword} says --{kind}={present.value}, line {where.line} something else", step.line
        )
    if step.instruction.flag("link") is not None and kind == "chown" and not re.fullmatch(r"\d+:\d+", flag):
        raise Obstacle("COPY --link knows no names of users", step.line)
    for name in _VARIABLE.findall(flag):
        if name not in step.env or step.env[name] != where.env.get(name):
            raise Obstacle(f"${name} is not set yet at line {step.line}", where.line)
    return True


def _brought_again(build: Build, stage: Stage, step: Step, copy_step: Step, one: Recursive) -> bool:
    """Whether a later COPY brings all files of this one again, to the same places."""
    copy = copy_step.copy
    context = build.project.context
    if copy is None or copy.from_ is not None or copy.heredoc:
        return False
    later = [
        other.copy
        for other in stage.of("COPY", "ADD")
        if copy_step.line < other.line < step.line and other.copy and other.copy.from_ is None
    ]
    if not later:
        return False
    for source in copy.sources:
        path = (source.value or "").removeprefix("./")
        target = copy.image_path(path) if context.repository_path(path) in context.files.paths else None
        if target is None or context.ignored(path) or target.rpartition("/")[0] not in one.paths:
            return False
        if not any(other.image_path(path) == target for other in later):
            return False
    return True


def _check_movable(moved: list[Step], first: Step, rewritten: list[Command]) -> None:
    """Raise ``Obstacle`` unless the RUNs in *moved*, of which *rewritten* change, do the same before *first*."""
    for step in moved:
        script = step.script
        if script is None or not all(one.name in _MOVABLE or one in rewritten for one in script.commands):
            raise Obstacle("the user is made behind the COPY, beside other work", step.line)
        places = [word.value or "" for command in script.commands for word in _places(command)]
        relative = not all(place.startswith("/") for place in places)
        if (relative and step.workdir != first.workdir) or step.instruction.flags:
            raise Obstacle("the user is made behind the COPY, in another directory", step.line)
        for name in _VARIABLE.findall(step.instruction.value):
            if first.env.get(name) != step.env.get(name) or (name in step.env) != (name in first.env):
                raise Obstacle(f"the user is made behind the COPY, with ${name}", step.line)


def _places(command: Command) -> list[Word]:
    """Return the words that name files or directories."""
    operands = [word for word in command.words[1:] if not word.raw.startswith("-")]
    return (
        operands if command.name in ("mkdir", "touch") else operands[1:] if command.name in ("chown", "chmod") else []
    )
