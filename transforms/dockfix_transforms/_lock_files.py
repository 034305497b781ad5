"""What the lock files of Poetry, uv, PDM and Pipenv have: every package with its release, and the release's files."""

from __future__ import annotations

import posixpath
from typing import Any, Final

from dockfix.build.manifests import toml_of
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix.syntax.requirements import normalised

_FOREIGN: Final = pattern(r".*-(?:win|macosx)[\w.]*\.whl\Z")


@record
class Locked:
    """A package: its name by PEP 503 and a version specifier.

    ``files`` are the names of the release's files, None where the lock file does not say; ``marker`` says when it is
    installed.
    """

    name: str
    version: str
    files: tuple[str, ...] | None = None
    from_source: bool = False
    marker: str = ""


def toml_lock(text: str, *, without_development: bool) -> list[Locked] | None:
    """Return the packages of a poetry.lock, uv.lock or pdm.lock; those that have files for other systems only go."""
    data = toml_of(text)
    packages = data.get("package") if data else None
    if data is None or not isinstance(packages, list) or not all(isinstance(package, dict) for package in packages):
        return None
    metadata = data.get("metadata")
    listed = metadata.get("files", {}) if isinstance(metadata, dict) else {}
    found = (_locked(package, listed, without_development) for package in packages)
    return [locked for locked in found if locked is not None]


def _locked(package: dict[str, Any], listed: dict[str, Any], without_development: bool) -> Locked | None:
    name, source, groups = package.get("name"), package.get("source"), package.get("groups")
    source = source if isinstance(source, dict) else {}
    if not isinstance(name, str) or {"virtual", "editable", "directory"} & source.keys():
        return None
    if source.get("type") == "directory":
        return None
    if without_development and (package.get("category") == "dev" or (groups and "main" not in groups)):
        return None
    entries = package.get("files") or package.get("wheels") or listed.get(name) or ()
    files = tuple(_file_name(entry) for entry in entries)
    if files and "sdist" not in package and all(_FOREIGN.match(file) for file in files):
        return None
    git = "git" in source or source.get("type") == "git" or "git" in package
    version, marker = package.get("version"), package.get("markers") or package.get("marker")
    return Locked(
        normalised(name),
        f"=={version}" if version else "",
        files or None,
        git,
        marker if isinstance(marker, str) else "",
    )


def _file_name(entry: object) -> str:
    value = entry.get("file") or entry.get("url") or entry.get("filename") if isinstance(entry, dict) else entry
    return posixpath.basename(str(value).partition("#")[0])


def pipfile_lock(text: str, *, development: bool) -> list[Locked] | None:
    """Return the packages of a Pipfile.lock, with those for *development*."""
    import json

    try:
        data = json.loads(text)
        sections = ("default", "develop") if development else ("default",)
        packages = [pair for section in sections for pair in data[section].items()]
        return [
            Locked(normalised(name), str(entry.get("version", "")), None, "git" in entry, str(entry.get("markers", "")))
            for name, entry in packages
            if not entry.get("path") and not entry.get("editable")
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
