"""The programs that install packages, in the ways in which a Dockerfile brings them: poetry, pipenv, uv, pdm, pipx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from posixpath import basename
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.installs import Install
from dockfix.build.model import Step
from dockfix.syntax.image import ImageReference
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script

INSTALLERS: Final = frozenset({"pip", "setuptools", "wheel"})
TOOLS: Final = frozenset({"poetry", "poetry-core", "poetry-plugin-export", "pipenv", "uv", "pdm", "pipx", "virtualenv"})
PROGRAMS: Final = frozenset({"poetry", "pipenv", "uv", "uvx", "pdm", "pipx"})
_NAME: Final = pattern(r"[\"']?([A-Za-z][A-Za-z0-9._-]*?)(?=[\[=<>~! ;@$\"']|\Z)")
_SCRIPT: Final = pattern(
    r"install\.python-poetry\.org|get-poetry\.py|install-poetry\.py|astral\.sh/uv|pdm-project\.org"
)
_DOWNLOADS: Final = frozenset({"curl", "wget"})
_INTERPRETERS: Final = pattern(r"(?:env|sh|bash|dash|python[\d.]*)\Z")
_OLD_POETRY: Final = pattern(
    r"get-poetry\.py|\bpoetry\W{1,4}(?:0|1\.[01])(?:\.\d|[^\d.]|\Z)|POETRY_VERSION=[\"']?(?:0|1\.[01])(?:\.|[^\d.]|\Z)"
    r"|python-poetry\.org.*--version[= ]+(?:0|1\.[01])(?:\.|[^\d.]|\Z)"
)
_OLD_VERSION: Final = pattern(r"(?:0|1\.[01])(?:\.|\Z)")
_UV_PYTHON: Final = pattern(r"(?:\d+\.[\d.]+-)?python(3\.\d+)(?:-(bullseye|bookworm|trixie))?(?:-(slim|alpine))?\Z")
_UV_IMAGE: Final = pattern(r"(?:ghcr\.io/)?(?:astral-sh|astral)/uv(?::[^/]*)?(?:@.*)?\Z")


def brings_tools(script: Script, command: Command, install: Install | None) -> bool:
    """Whether *command* installs package managers and nothing else; *install* is what it installs, if that is known."""
    if install is not None:
        names = set(_named(install))
        return (
            install.manager in ("pip", "uv-pip", "uv-tool")
            and not (install.requirements or install.constraints or install.editable or install.local)
            and bool(names & TOOLS)
            and names <= TOOLS | INSTALLERS
        )
    values = command.argv
    name = basename(values[0] or "") if values else ""
    if name == "pipx" and "install" in values:
        return all(value is None or value.startswith("-") or value in TOOLS | {"pipx", "install"} for value in values)
    if name in _DOWNLOADS:
        return any(_SCRIPT.search(word.raw) for word in command.words)
    return command.before == "|" and _INTERPRETERS.match(name) is not None and _piped_from_tool(script, command)


def python_image(image: ImageReference | None) -> str | None:
    """Return the official Python image that *image* is, or is built on as those of uv are; None for another one."""
    if image is None:
        return None
    if image.official and image.repository == "python":
        return str(image)
    found = _UV_PYTHON.match(image.tag or "")
    if (image.registry, image.repository) != ("ghcr.io", "astral-sh/uv") or found is None or image.digest:
        return None
    minor, release, kind = found.groups()
    if kind == "alpine":
        return None if release else f"python:{minor}-alpine"
    return f"python:{minor}{'-slim' if kind else ''}-{release}" if release else None


def old_poetry(steps: Iterable[Step]) -> bool:
    """Whether *steps* may bring a Poetry in front of 1.2, which has neither ``--only-root`` nor ``--no-cache``."""
    return any(
        _OLD_POETRY.search(step.instruction.value) or _OLD_VERSION.match(step.env.get("POETRY_VERSION") or "")
        for step in steps
        if step.keyword == "RUN"
    )


def only_installers(install: Install) -> bool:
    """Whether *install* brings a newer pip, setuptools or wheel and nothing else."""
    return install.manager in ("pip", "uv-pip") and not install.requirements and set(_named(install)) <= INSTALLERS


def image_of_uv(copy: Copy) -> bool:
    """Whether a COPY brings the programs of the uv image and nothing else."""
    programs = {basename((source.value or "").rstrip("/")) for source in copy.sources}
    return copy.from_ is not None and _UV_IMAGE.match(copy.from_) is not None and programs <= {"uv", "uvx"}


def _piped_from_tool(script: Script, command: Command) -> bool:
    at = script.commands.index(command)
    previous = script.commands[at - 1] if at else None
    return (
        previous is not None
        and basename(previous.name or "") in _DOWNLOADS
        and any(_SCRIPT.search(word.raw) for word in previous.words)
    )


def _named(install: Install) -> Iterator[str]:
    """Yield the names of the packages, in lower case; the text of an operand that is no name."""
    for package in install.packages:
        if package is not None:
            yield _name(package)
    if None in install.packages:
        for word in install.command.words:
            if word.value is None and word.start > install.verb.start and not word.raw.startswith("-"):
                yield _name(word.raw)


def _name(text: str) -> str:
    found = _NAME.match(text)
    return found.group(1).lower().replace("_", "-") if found else text
