"""What the RUNs behind a COPY of the source need of it: the reading behind reorder-copy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from itertools import chain, pairwise
from posixpath import basename, dirname, join, normpath, relpath
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.expand import expand_word
from dockfix.build.installs import Install
from dockfix.build.layout import may_be_cut
from dockfix.build.manifests import Manifest, Unknown, manifests_of, origin_of, settings_of
from dockfix.build.model import Build, Step
from dockfix.records import record, replace
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Redirect, Script
from dockfix_transforms._environments import environment_folder, lets_in
from dockfix_transforms._exports import export_of
from dockfix_transforms._project_installs import PROJECTS, WITHOUT_PROJECT, Split, split_of
from dockfix_transforms._tools import brings_tools

SYSTEM: Final = ("apt", "apk", "yum")
# Programs that read nothing of the source where their arguments name none of it.
_SOURCE_FREE: Final = frozenset(
    {
        *("apt-get", "apt", "apk", "yum", "dnf", "microdnf", "ldconfig", "locale-gen", "update-ca-certificates"),
        *("useradd", "usermod", "groupadd", "adduser", "addgroup", "mkdir", "echo", "set", "true", "date", "localedef"),
        *("corepack", "virtualenv"),
    }
)
_PROGRAM: Final = pattern(
    r"(?:.*/)?(?:pip[\d.]*|python[\d.]*|uv|poetry|pipenv|pdm|npm|yarn|pnpm|go|(?:micro)?mamba|conda)\Z"
)
_HARMLESS: Final = pattern(
    r"(?:-m pip )?(?:config|cache|clean|--version|list|check|freeze|self|env|info)\b|-m venv\b|venv\b"
)
_FILE_OPTIONS: Final = frozenset({"--cert", "--client-cert", "--config-file", "--extra-search-dir"})
_OF_THE_SYSTEM: Final = ("/usr/share/", "/usr/lib/", "/etc/")
_REMOVABLE: Final = ("-", "/var/", "/tmp/", "/root/.cache", "~/.cache", "$HOME/.cache")


@record
class Needs:
    """What a RUN needs: ``manifests`` of the moved COPY, ``splits`` of installs that end with the project itself.

    ``cut`` is the first command that may read the source; ``exports`` are the files that it writes for later installs.
    """

    manifests: tuple[Manifest, ...]
    splits: tuple[Split, ...] = ()
    cut: Command | None = None
    exports: tuple[str, ...] = ()


@record
class Place:
    """A COPY that is to move, and what stands around it: the steps in front of the RUN in question, other COPYs."""

    build: Build
    moved: Copy
    earlier: tuple[Step, ...]
    others: tuple[Copy, ...]
    exports: tuple[str, ...]

    def origin(self, target: str) -> str | None:
        """Return the file of the context at the path *target* of the image, None where none is."""
        context = self.build.project.context
        return origin_of(self.moved, context, target) or next(
            (found for other in self.others if (found := origin_of(other, context, target))), None
        )

    def brings(self, target: str) -> bool:
        """Whether the moved COPY brings *target*, a path of the image."""
        return origin_of(self.moved, self.build.project.context, target) is not None

    def leads_into(self, target: str) -> bool:
        """Whether *target*, a path of the image, is a file or a folder that the moved COPY brings below its goal."""
        if self.brings(target):
            return True
        below = relpath(target, self.moved.destination or "/")
        if below.startswith("..") or below == ".":
            return False
        context = self.build.project.context
        sources = (normpath("/" + (source.value or "")).lstrip("/") for source in self.moved.sources)
        return any(context.files.is_directory(context.repository_path(normpath(join(name, below)))) for name in sources)


def needs_of(place: Place, step: Step) -> Needs | None:
    """Return what a RUN needs; None where it starts with a command that may read the source. Raises ``Unknown``."""
    script = step.script
    if script is None or any(_ends_with_project(place, install) for install in step.installs):
        return None
    inner = [install for install in step.installs if install.script is not script]
    if inner:
        if len(script.commands) > 1 or len(inner[0].script.commands) > 1:
            return None
        return Needs(_missing(place, [item for install in inner for item in _read(place, step, install)]))
    installs = {id(install.command): install for install in step.installs}
    manifests: list[Manifest] = []
    splits: list[Split] = []
    exports: list[str] = []
    cut: Command | None = None
    installed = False
    for command in script.commands:
        if not command.words:
            continue
        install = installs.get(id(command))
        inside = replace(place, exports=(*place.exports, *exports))
        if brings_tools(script, command, install):
            installed = True
        elif install is not None:
            if command.depth and not _source_free_around(script.commands):
                return None
            split = split_of(install, step, place.earlier, place.build.project.context, place.origin)
            if split is not None:
                splits.append(split)
            if install.manager in PROJECTS:
                install = replace(install, local=tuple(path for path in install.local if path != "."))
            manifests += _read(inside, step, install)
            installed = installed or install.manager not in SYSTEM
        elif export := export_of(step, script, command):
            if place.brings(export.output):
                raise Unknown(f"{command.words[0].raw} writes {export.output}, which the COPY brings too")
            manifests += manifests_of(export.install, place.build.project.context, place.origin)
            exports.append(export.output)
        elif not source_free(place, step, script, command):
            if not (installed and may_be_cut(step, command)):
                return None
            cut = command
            break
    return Needs(_missing(place, manifests), tuple(splits), cut, tuple(exports))


def _ends_with_project(place: Place, install: Install) -> bool:
    """Whether *install* installs the project, and its dependencies were installed without it before."""
    if "--only-root" in install.options:
        return True
    return "." in install.local and any(
        other.manager == install.manager and other.options & WITHOUT_PROJECT
        for step in place.earlier
        for other in step.installs
    )


def _read(place: Place, step: Step, install: Install) -> tuple[Manifest, ...]:
    """Return the manifests of *install*, those apart that an export wrote. Raises ``Unknown``."""
    if install.manager in SYSTEM:
        return manifests_of(install, place.build.project.context, place.origin)
    if place.exports:
        written = [
            name for name in install.requirements if normpath(join(install.workdir or "/", name)) in place.exports
        ]
        install = replace(install, requirements=tuple(name for name in install.requirements if name not in written))
    moved = place.moved
    context = place.build.project.context
    setting = settings_of(step.env, step.workdir, place.leads_into)
    if setting is not None:
        raise Unknown(f"{setting} names settings that come with the source")
    manifests = manifests_of(install, context, place.origin)
    _check_words(place, install, {manifest.target for manifest in manifests})
    texts = (other.instruction.value for other in chain(place.earlier, (step,)) if other.keyword == "RUN")
    folder = environment_folder(install, step.env, texts, place.origin, context)
    if folder is not None and lets_in(moved, context, folder):
        name = basename(folder)
        raise Unknown(f"a {name} of the build context would come over the one that it makes: .dockerignore lets it in")
    return manifests


def _check_words(place: Place, install: Install, known: Set[str]) -> None:
    """Raise ``Unknown`` where options of *install* name other files of the source, or uv reads settings there."""
    if install.workdir is None:
        return
    for previous, word in pairwise(install.command.words):
        value = (word.value or "").rpartition("=")[2]
        if "/" not in value and previous.value not in _FILE_OPTIONS:
            continue
        target = normpath(join(install.workdir, value))
        if "://" not in value and value and target not in known and place.leads_into(target):
            raise Unknown(f"it reads {value}, which comes with the source")
    if install.manager == "uv-pip":
        for name in ("uv.toml", "pyproject.toml"):
            target = normpath(join(install.workdir, name))
            source = place.origin(target) if place.brings(target) else None
            if source is not None and (
                name == "uv.toml" or "[tool.uv" in (place.build.project.context.text(source) or "")
            ):
                raise Unknown(f"{source} may have settings of uv")


def _missing(place: Place, manifests: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """Return the manifests that no other COPY brings already."""
    return tuple(
        manifest
        for manifest in manifests
        if not any(other.image_path(manifest.source) == manifest.target for other in place.others)
    )


def _source_free_around(commands: Sequence[Command]) -> bool:
    return all(command.name in ("[", "test", "set", "echo", "cd") or command.depth for command in commands)


def source_free(place: Place, step: Step, script: Script, command: Command) -> bool:
    """Whether a command that is no install reads nothing that the moved COPY brings, and changes nothing of it."""
    name = basename(command.name or "")
    words = command.words[1:]
    text = " ".join(word.raw for word in words)
    if not all(_harmless(place, step, redirect) for redirect in command.redirects):
        return False
    if name not in ("echo", "mkdir", "set", "cd", "cp", "ln") and step.workdir is not None:
        named = (word.value for word in words if word.value and re.search(r"[/.]", word.value))
        if any(place.leads_into(normpath(join(step.workdir, value.rpartition("=")[2]))) for value in named):
            return False
    if name == "cd":
        return True
    if _PROGRAM.match(name):
        if "--local" in text and place.brings(normpath(join(step.workdir or "/", f"{name}.toml"))):
            return False
        return _HARMLESS.match(text) is not None
    if name == "rm":
        return all(
            (expand_word(word, step.env, step.escape) or word).startswith(_REMOVABLE) or word.startswith(_REMOVABLE)
            for word in text.split()
        )
    if name in ("cp", "ln"):
        paths = [expand_word(word.raw, step.env, step.escape) or "" for word in words if not word.raw.startswith("-")]
        goal = f"{place.moved.destination or ''}/"
        return all(path.startswith(_OF_THE_SYSTEM) and ".." not in path for path in paths) and not any(
            f"{path}/".startswith(goal) or goal.startswith(f"{path}/") for path in paths
        )
    if name in ("curl", "wget"):
        return command.after == "|" and "@" not in text
    if re.fullmatch(r"sh|bash|python[\d.]*|gpg|apt-key", name) and command.before == "|":
        return _fed_by_download(script, command) and all(
            word.raw.startswith("-") or word.value == "add" for word in words
        )
    return name in _SOURCE_FREE and not any(word.value is None for word in words if "*" in word.raw)


def _harmless(place: Place, step: Step, redirect: Redirect) -> bool:
    """Whether a redirection reads nothing, and writes to no file that the moved COPY brings."""
    if redirect.operator.startswith("<"):
        return False
    target = redirect.target.value
    if target is None or step.workdir is None:
        return False
    return target.isdigit() or not place.brings(normpath(join(step.workdir, target)))


def _fed_by_download(script: Script, command: Command) -> bool:
    at = script.commands.index(command)
    return at > 0 and basename(script.commands[at - 1].name or "") in ("curl", "wget")


def folders_of(manifests: Sequence[Manifest]) -> Iterator[tuple[str, list[Manifest]]]:
    """Yield the folders of the image that *manifests* go to, and what goes there."""
    folders: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        folders.setdefault(dirname(manifest.target), []).append(manifest)
    yield from folders.items()
