"""What of a single stage belongs to a builder, and what to the stage that ships: the reading behind multi-stage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from posixpath import basename
from typing import Final

from dockfix.build.expand import expand_word
from dockfix.build.installs import Install
from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, delete
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Word
from dockfix_transforms._debian import release_of, run_only, runtime_packages
from dockfix_transforms._environments import Environment, made_environment
from dockfix_transforms._exports import export_of
from dockfix_transforms._manifest_copies import dispensable, included, is_manifest
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tools import PROGRAMS, brings_tools, image_of_uv

PYTHON: Final = frozenset({"pip", "uv-pip", "uv-sync", "uv-tool", "poetry", "pipenv", "pdm", "conda"})
_ELSEWHERE: Final = frozenset({"--user", "--target", "-t", "--prefix", "--root", "--python", "--src"})
_ENVIRONMENT: Final = frozenset(
    {"PYTHONUSERBASE", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"}
)
_VARIABLE: Final = pattern(r"\$\{?(\w+)")
_APT: Final = frozenset({"apt-get", "apt", "aptitude"})
_BESIDE_PIP: Final = frozenset({"set", "cd", "echo", "true", "rm", "pip", "pip3", "python", "python3", "export"})
_BESIDE_APT: Final = frozenset({"set", "rm", "echo", "true"})
_IMAGE_STATE: Final = frozenset(
    {
        "addgroup",
        "adduser",
        "chmod",
        "chown",
        "echo",
        "printf",
        "groupadd",
        "install",
        "locale-gen",
        "localedef",
        "mkdir",
        "set",
        "test",
        "touch",
        "true",
        "useradd",
        "usermod",
        "[",
        "cd",
        "python",
        "python3",
        "flask",
        "django-admin",
    }
)
_WRITERS: Final = frozenset({"echo", "printf", "mkdir", "set", "chmod", "true"})
_MANY: Final = 200
_REMOVABLE: Final = pattern(r"(?:/var/|/tmp/|/root/\.cache|~/\.cache|\$HOME/\.cache|-)|.*\.(?:txt|in|whl)\Z")


@record
class Role:
    """Where a step goes. ``edits`` change it where it stays in the final stage.

    ``runtime`` are the Debian packages that the final stage needs of a RUN that went to the builder as a whole.
    """

    builder: bool
    final: bool
    edits: tuple[Edit, ...] = ()
    runtime: tuple[str, ...] = ()


def roles(build: Build, stage: Stage, installs: Sequence[Step], environment: Environment) -> dict[int, Role]:
    """Return the role of every step that is needed by the installs, by line. Raises ``Obstacle``."""
    last = installs[-1].line
    if len(stage.of("COPY", "ADD")) > _MANY:
        raise Obstacle(f"more than {_MANY} COPYs: too many to tell which of them the installs need", last)
    release = release_of(stage.image.tag if stage.image else None)
    found: dict[int, Role] = {}
    stripped: set[str] = set()
    for step in stage.steps[1:]:
        if any(install.manager in PYTHON for install in step.installs):
            found[step.line] = _install_role(step, release)
        elif step.line > last:
            _check_variables(build, step, environment)
        elif step.keyword == "RUN":
            role, gone = _run_role(step, release)
            found[step.line] = role
            stripped |= gone
        elif step.keyword in ("COPY", "ADD"):
            found[step.line] = _copy_role(build, stage, step, installs)
        elif step.keyword in ("WORKDIR", "SHELL"):
            found[step.line] = Role(builder=True, final=True)
        elif step.keyword in ("ENV", "ARG"):
            from dockfix_transforms._builder_variables import serves_installs

            _check_variables(build, step, environment)
            found[step.line] = Role(builder=serves_installs(build, stage, step), final=True)
        elif step.keyword == "USER" and step.instruction.value.split(":")[0] not in ("root", "0"):
            raise Obstacle("the packages are installed by another user than root", step.line)
    _check_removals(stage, installs, stripped)
    _add_referenced(build, stage, found)
    return {line: role for line, role in _settle_updates(stage, found).items() if role.builder or role.edits}


def _settle_updates(stage: Stage, found: dict[int, Role]) -> dict[int, Role]:
    """Send an `apt-get update` that stands alone where packages are installed after it."""
    settled = dict(found)
    steps = stage.of("RUN")
    for index, step in enumerate(steps):
        role = found.get(step.line)
        if role is None or step.installs or not (role.builder and role.final):
            continue
        if not any(basename(command.name or "") in _APT for command in _commands(step)):
            continue
        later = [other for other in steps[index + 1 :] if any(install.manager == "apt" for install in other.installs)]
        roles_later = [found.get(other.line, Role(builder=False, final=True)) for other in later]
        settled[step.line] = Role(
            builder=any(role.builder for role in roles_later), final=any(role.final for role in roles_later)
        )
    return settled


def _install_role(step: Step, release: str | None) -> Role:
    line = step.line
    packages: list[str] = []
    removed: set[str] = set()
    for install in step.installs:
        if install.manager == "apt":
            packages += _named(install, line)
        else:
            _check_install(install, line)
    for command in _commands(step):
        name = basename(command.name or "")
        words = [word.value or word.raw for word in command.words[1:]]
        if _prepares(step, command):
            continue
        if written := _written(command):
            raise Obstacle(f"the RUN writes {written}, which the final stage would not have", line)
        if name in _APT:
            if {"remove", "purge"} & set(words):
                removed.update(words)
        elif not (name in _BESIDE_PIP or re.fullmatch(r"pip3?(?:\.\d+)?|python3?(?:\.\d+)?", name)):
            raise Obstacle(f"the RUN does more than to install packages: {name or command.words[0].raw}", line)
        elif name.startswith("python") and words[:2] != ["-m", "pip"]:
            raise Obstacle("the RUN does more than to install packages: " + " ".join([name, *words[:2]]), line)
        elif name == "rm" and not all(_REMOVABLE.match(_expanded(step, word)) for word in words):
            raise Obstacle("the RUN removes files that the final stage may have", line)
    runtime: list[str] = []
    for package in packages:
        _check_apt_package(package, line)
        if package in removed:
            continue
        needed = runtime_packages(package, release)
        runtime += [package] if needed is None else needed
    return Role(builder=True, final=False, runtime=tuple(dict.fromkeys(runtime)))


def _written(command: Command) -> str | None:
    """Return the file that a redirection writes, None for none and for /dev/null."""
    targets = (redirect.target.raw for redirect in command.redirects if redirect.operator.startswith(">"))
    return next((text for text in targets if not text.isdigit() and not text.startswith("/dev/")), None)


def _expanded(step: Step, word: str) -> str:
    return expand_word(word, step.env, step.escape) or word if word.startswith("$") else word


def _prepares(step: Step, command: Command) -> bool:
    """Whether *command* brings, or sets up, a package manager: nothing of it reaches the final stage."""
    script = step.script
    assert script is not None
    installs = {id(install.command): install for install in step.installs}
    install = installs.get(id(command))
    if brings_tools(script, command, install):
        return True
    if install is not None:
        return install.manager not in ("apt", "apk", "yum")
    words = [word.value or word.raw for word in command.words]
    name = basename(words[0])
    if name in PROGRAMS:
        return words[1:2] != ["run"] and words[1:3] not in (["python", "install"], ["pip", "uninstall"])
    if name in ("ln", "mv", "chmod", "which", "export", "cd"):
        return any(brings_tools(script, other, None) for other in script.commands) and (
            name in ("cd", "export") or any(re.search(r"\b(?:poetry|uvx?|pdm|pipenv)\b", word) for word in words[1:])
        )
    return made_environment(step, script, command) is not None or export_of(step, script, command) is not None


def _check_install(install: Install, line: int) -> None:
    if install.editable:
        raise Obstacle("an editable install points into the source tree", line)
    if install.manager not in ("pip", "uv-pip"):
        return
    if "--no-build-isolation" in install.options:
        raise Obstacle(
            "--no-build-isolation takes setuptools and wheel from the image, which an environment lacks", line
        )
    if elsewhere := sorted(install.options & _ELSEWHERE):
        raise Obstacle(f"pip installs to a place of its own ({elsewhere[0]})", line)
    first = install.command.words[0].value or ""
    if first.startswith("/") or first == "sudo":
        raise Obstacle(f"the install names its own interpreter or user ({first})", line)
    if re.match(r"(?:pip|python)2", first):
        raise Obstacle("Python 2 has no module venv", line)


def _run_role(step: Step, release: str | None) -> tuple[Role, set[str]]:
    """Return the role of a RUN in front of the last install, and the packages that the final stage does not get."""
    line = step.line
    commands = _commands(step)
    names = {basename(command.name or "") for command in commands}
    if not step.installs:
        if all(_prepares(step, command) or command.name in ("set", "echo", "true") for command in commands) and any(
            _prepares(step, command) for command in commands
        ):
            return Role(builder=True, final=False), set()
        if names <= _APT | _BESIDE_APT and names & _APT:  # apt-get update and the like, on its own
            return Role(builder=True, final=True), set()
        for command in commands:
            name = basename(command.name or "")
            text = " ".join(word.raw for word in command.words)
            if name not in _IMAGE_STATE or re.search(r"setup\.py|\bvenv\b|virtualenv|ensurepip", text):
                raise Obstacle(f"whether the builder needs what this RUN does is not known: {_shown(text)}", line)
        # settings that an install reads may be among what is written; it does no harm to write them twice
        return Role(builder=names <= _WRITERS and any(map(_written, commands)), final=True), set()
    script = step.script
    if script is not None and any(brings_tools(script, command, None) for command in commands):
        return _install_role(step, release), set()
    if any(install.manager != "apt" for install in step.installs):
        manager = next(install.manager for install in step.installs if install.manager != "apt")
        raise Obstacle(f"which stage needs what {manager} installs is not known", line)
    plain = names <= _APT | _BESIDE_APT
    if all(run_only(package) for install in step.installs for package in _named(install, line)):
        return Role(builder=False, final=True), set()
    edits: list[Edit] = []
    gone: set[str] = set()
    kept = 0
    for install in step.installs:
        for package in _named(install, line):
            _check_apt_package(package, line)
        changes, dropped, left = _final_packages(install, release, line)
        edits += changes if left else _without(commands, install) or changes
        gone |= dropped
        kept += left
    if not gone and not edits:
        return Role(builder=True, final=True), set()
    if not plain:
        raise Obstacle("the RUN installs build tools beside other work", line)
    if not kept:
        return Role(builder=True, final=False), gone
    return Role(builder=True, final=True, edits=tuple(edits)), gone


def _final_packages(install: Install, release: str | None, line: int) -> tuple[list[Edit], set[str], int]:
    """Return what turns an apt install into the final stage's, the names that go, and how many packages remain."""
    words = [word for word in install.command.words if word.value in install.packages and word.start > install.verb.end]
    present = {word.value for word in words}
    edits: list[Edit] = []
    gone: set[str] = set()
    kept = 0
    source = install.script.source
    previous: Word = install.verb
    for word in install.command.words:
        if word not in words:
            previous = word if word.start > previous.start else previous
            continue
        needed = runtime_packages(word.value or "", release)
        if needed is None:
            kept += 1
        else:
            gone.add(word.value or "")
            new = [package for package in needed if package not in present]
            present.update(new)
            kept += len(new)
            start, end = source.raw_span(word.start, word.end)
            if new:
                edits.append(Edit(start, end, " ".join(new)))
            else:
                begin = source.raw_span(previous.start, previous.end)[1]
                if any(text for text in _comments(source.pieces, begin, start)):
                    raise Obstacle("a comment stands between the packages of the install", line)
                edits.append(delete(begin, end))
        previous = word
    if kept and not any(runtime_packages(word.value or "", release) is None for word in words) and not edits:
        kept = 0
    return edits, gone, kept


def _without(commands: Sequence[Command], install: Install) -> list[Edit]:
    """Return the edit that takes an install, with the comments above it, out of a chain of commands."""
    at = next((at for at, command in enumerate(commands) if command is install.command), 0)
    if not at or install.command.before != "&&" or commands[at - 1].depth != install.command.depth:
        return []
    return [delete(install.script.span(commands[at - 1])[1], install.script.span(install.command)[1])]


def _comments(pieces: Sequence[tuple[int, int, int]], begin: int, end: int) -> Iterator[bool]:
    """Yield once for every comment or blank line that a continuation skips between two file offsets."""
    inside = [piece for piece in pieces if piece[1] + piece[2] >= begin and piece[1] <= end]
    for (_, raw, length), (_, following, _) in pairwise(inside):
        # one continuation character, white space and a line ending stand between neighbours
        if following - (raw + length) > 4:
            yield True


def _copy_role(build: Build, stage: Stage, step: Step, installs: Sequence[Step]) -> Role:
    copy = step.copy
    if copy is None:
        raise Obstacle(f"what this {step.keyword} brings is not known", step.line)
    if image_of_uv(copy):
        return Role(builder=True, final=False)
    if copy.heredoc:
        return Role(builder=True, final=True)
    if copy.from_ is not None:
        raise Obstacle("files of another image stand in front of the installs", step.line)
    later = [other for other in installs if other.line > step.line]
    pip = [install for other in later for install in other.installs if install.manager in PYTHON]
    wanted = {basename(name) for install in pip for name in install.manifests}
    wanted |= included(build, stage, wanted)
    values = [source.value or "" for source in copy.sources]
    if all(is_manifest(value) for value in values) and not copy.remote:
        return Role(builder=True, final=not dispensable(build, stage, copy, wanted - {"pyproject.toml"}, installs))
    given = {
        basename(source.value or "")
        for other in stage.of("COPY", "ADD")
        if other.line < installs[-1].line and other is not step and (there := other.copy) and there.from_ is None
        for source in there.sources
    }
    needed = any(install.local or "--only-root" in install.options for install in pip) or not wanted <= given
    return Role(builder=needed, final=True)


def _check_variables(build: Build, step: Step, environment: Environment) -> None:
    """Raise ``Obstacle`` where an ENV sends packages to another place than the virtual environment."""
    if step.keyword != "ENV":
        return
    for pair in pairs_of(step.instruction, build.dockerfile.escape):
        own = environment.own and pair.name == "VIRTUAL_ENV"
        if pair.name in _ENVIRONMENT and not own:
            raise Obstacle(f"{pair.name} says where packages go", step.line)
        if pair.name == "PATH" and "PATH" not in (pair.raw or ""):
            raise Obstacle("ENV sets PATH anew", step.line)


def _add_referenced(build: Build, stage: Stage, found: dict[int, Role]) -> None:
    """Give the builder every ENV and ARG that one of its instructions names."""
    referenced: set[str] = set()
    for step in reversed(stage.steps):
        role = found.get(step.line)
        if role is None:
            continue
        if step.keyword in ("ENV", "ARG") and not role.builder:
            names = {pair.name for pair in pairs_of(step.instruction, build.dockerfile.escape)}
            if names & referenced:
                role = found[step.line] = Role(builder=True, final=True)
        if role.builder:
            referenced.update(_VARIABLE.findall(build.dockerfile.raw(step.instruction)))


def _check_removals(stage: Stage, installs: Sequence[Step], stripped: set[str]) -> None:
    """Raise ``Obstacle`` where a later RUN uses or removes what only the builder has now."""
    if not stripped:
        return
    moved = {step.line for step in installs}
    for step in stage.of("RUN"):
        if step.line in moved:
            continue
        script = step.script
        for command in script.commands if script else ():
            words = {word.value for word in command.words}
            if basename(command.name or "") in _APT and words & {"remove", "purge"} and words & stripped:
                raise Obstacle("a later RUN removes the build tools again", step.line)


def _check_apt_package(package: str, line: int) -> None:
    if re.match(r"(?:python3?-(?!dev\b|pip\b|venv\b|all-dev\b|distutils\b|setuptools\b|wheel\b)|cron\b)", package):
        raise Obstacle(f"{package} is installed by apt", line)


def _named(install: Install, line: int) -> list[str]:
    if any(package is None for package in install.packages):
        raise Obstacle("the packages that apt installs are in a variable", line)
    return [package for package in install.packages if package is not None]


def _commands(step: Step) -> tuple[Command, ...]:
    script = step.script
    if script is None:
        raise Obstacle("this RUN is not understood", step.line)
    return tuple(command for command in script.commands if command.words)


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
