"""What the lock files of Poetry, uv, PDM and Pipenv have: every package with its release, and the release's files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from dockfix.build.manifests import toml_of
from dockfix.syntax.requirements import normalised

Locked = tuple[str, str, tuple[str, ...] | None, bool]
"""Name, version specifier, file names, and whether it comes from version control."""


def toml_lock(text: str, *, without_development: bool) -> list[Locked] | None:
    """Return the packages of a poetry.lock, uv.lock or pdm.lock."""
    data = toml_of(text)
    packages = data.get("package") if data else None
    if data is None or not isinstance(packages, list):
        return None
    metadata = data.get("metadata", {})
    listed = metadata.get("files", {}) if isinstance(metadata, dict) else {}
    found: list[Locked] = []
    for package in packages:
        name = package.get("name")
        source = package.get("source", {})
        if (
            not isinstance(name, str)
            or {"virtual", "editable", "directory"} & source.keys()
            or (source.get("type") == "directory")
        ):
            continue
        groups = package.get("groups")
        if without_development and (package.get("category") == "dev" or (groups and "main" not in groups)):
            continue
        entries = package.get("files") or package.get("wheels") or listed.get(name) or ()
        files = tuple(_file_name(entry) for entry in entries)
        git = bool({"git"} & source.keys()) or source.get("type") == "git" or "git" in package
        version = package.get("version")
        found.append((normalised(name), f"=={version}" if version else "", files or None, git))
    return found


def _file_name(entry: object) -> str:
    value = entry.get("file") or entry.get("url") or entry.get("filename") if isinstance(entry, dict) else entry
    return posixpath.basename(str(value).partition("#")[0])


def pipfile_lock(text: str, development: bool) -> list[Locked] | None:
    import json

    try:
        data = json.loads(text)
        sections = ("default", "develop") if development else ("default",)
        packages: Iterable[tuple[str, Any]] = [pair for section in sections for pair in data[section].items()]
        return [
            (normalised(name), str(entry.get("version", "")), None, "git" in entry)
            for name, entry in packages
            if not entry.get("path") and not entry.get("editable")
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
