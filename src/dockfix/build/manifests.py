"""Which files of the build context an install reads, and why that cannot always be told."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.installs import Install
from dockfix.project.context import Context
from dockfix.records import record
from dockfix.syntax.patterns import pattern

# Managers whose installs need nothing but their manifests, and the files that they read where they exist.
_CONVENTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "poetry": (("pyproject.toml",), ("poetry.lock", "poetry.toml")),
    "uv-sync": (("pyproject.toml",), ("uv.lock", "uv.toml", ".python-version")),
    "pdm": (("pyproject.toml",), ("pdm.lock",)),
    "pipenv": (("Pipfile",), ("Pipfile.lock",)),
    "npm": (("package.json",), ("package-lock.json", "npm-shrinkwrap.json", ".npmrc")),
    "yarn": (("package.json",), ("yarn.lock", ".npmrc", ".yarnrc")),
    "pnpm": (("package.json",), ("pnpm-lock.yaml", ".npmrc")),
    "go": (("go.mod",), ("go.sum",)),
}
_LOCAL: Final = pattern(
    r"\bpath\s*=|\bworkspace\b|\bfile:|\"workspaces\"|\"(?:pre|post)?(?:install|prepare)\"\s*:|\blink:"
    r"|^\s*replace\b.*=>\s*\.|^\s*\S+\s*=>\s*\.{1,2}/",
    re.MULTILINE,
)


class Unknown(Exception):
    """Why the files that an install reads cannot be told; the message is for the user."""


@record
class Manifest:
    """A file of the build context, relative to its root, and the path of the image where an install reads it."""

    source: str
    target: str


def manifests_of(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    """Return the files of the context that *install* reads, in order.

    *origin* tells which file of the context is found at a path of the image, None where none is. Raises ``Unknown``.
    """
    if install.local:
        raise Unknown(f"it installs {install.local[0]} from the source")
    if install.editable:
        raise Unknown("it installs from the source")
    names = {word.raw.partition("=")[0] for word in install.command.words}
    if install.manager in ("pip", "uv-pip") and names & {"-f", "--find-links"}:
        raise Unknown("it looks for packages in a folder")
    if install.manager in ("pip", "uv-pip"):
        return _of_requirements(install, context, origin)
    if install.manager not in _CONVENTIONS:
        if install.manager in ("apt", "apk", "yum", "gem"):
            return ()
        raise Unknown(f"what {install.manager} reads is not known")
    return _by_convention(install, context, origin)


def _of_requirements(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    from dockfix.syntax.requirements import reachable_manifests

    found: dict[str, str] = {}
    for name in (*install.requirements, *install.constraints):
        if "://" in name:
            continue
        target = _absolute(install, name)
        source = origin(target)
        if source is None:
            raise Unknown(f"{name} is not in the build context" if "$" not in name else f"{name} is not known")
        paths, reasons = reachable_manifests(context.text, source)
        if reasons:
            raise Unknown(reasons[0])
        for path in paths:
            below = posixpath.relpath(path, posixpath.dirname(source) or ".")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(target), below))
            if origin(place) != path:
                raise Unknown(f"{path} is read at {place}, where it does not come")
            found.setdefault(path, place)
    if install.unsure:
        raise Unknown(install.unsure[0])
    return tuple(Manifest(source, target) for source, target in found.items())


def _by_convention(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    required, optional = _CONVENTIONS[install.manager]
    if install.manager in ("npm", "yarn", "pnpm") and any(package for package in install.packages):
        return ()
    found = []
    for name in (*required, *optional):
        target = _absolute(install, name)
        source = origin(target)
        if source is None:
            if name in required:
                raise Unknown(f"{name} is not in the build context")
            continue
        if name in required and (text := context.text(source)) is not None and (local := _LOCAL.search(text)):
            raise Unknown(f"{source} names files of the source ({local.group().strip()})")
        found.append(Manifest(source, target))
    if install.manager == "yarn" and origin(_absolute(install, ".yarnrc.yml")):
        raise Unknown(".yarnrc.yml may name files of the source")
    return tuple(found)


def origin_of(copy: Copy, context: Context, target: str) -> str | None:
    """Return the file of the context that *copy* brings to the path *target* of the image, None where it does not."""
    if copy.from_ is not None or copy.destination is None:
        return None
    below = posixpath.relpath(target, copy.destination)
    for source in copy.sources:
        if source.value is None:
            continue
        value = posixpath.normpath("/" + source.value).lstrip("/")
        for path in dict.fromkeys((posixpath.normpath(posixpath.join(value, below)), value)):
            if not path.startswith("..") and copy.image_path(path) == target and _is_file(context, path):
                return path
    if any("*" in (source.value or "") for source in copy.sources):
        for path in context.paths:
            if copy.image_path(path) == target and not context.ignored(path):
                return path
    return None


def _is_file(context: Context, path: str) -> bool:
    return context.repository_path(path) in context.files.paths and context.has(path)


def _absolute(install: Install, name: str) -> str:
    if install.workdir is None:
        raise Unknown("the directory that it runs in is not known")
    return posixpath.normpath(posixpath.join(install.workdir, name))
