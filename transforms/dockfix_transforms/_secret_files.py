"""The files of the build context that compose gives to containers as secrets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from dockfix.build.model import Build


def secret_files(build: Build) -> tuple[str, ...]:
    """Return the files below the build context, there or not, that compose files name as ``file:`` of a secret.

    Containers find them in /run/secrets, so that the image needs none of them
    (https://docs.docker.com/reference/compose-file/secrets/). ``.env`` and what the code opens itself are left out.
    """
    from dockfix.project.invocations import inside
    from dockfix.syntax.compose import read_yaml

    files = build.project.files
    root = build.project.context.root
    found: dict[str, None] = {}
    for path in dict.fromkeys(service.path for service in build.project.services):
        text = files.text(path) or ""
        document = read_yaml(text) if "secrets" in text and "file:" in text else None
        stated = document.data.get("secrets") if document else None
        for secret in stated.values() if isinstance(stated, Mapping) else ():
            name = secret.get("file") if isinstance(secret, Mapping) else None
            place = inside(posixpath.dirname(path), name) if isinstance(name, str) and _plain(name) else None
            if place is None or (root and not place.startswith(f"{root}/")):
                continue
            below = place[len(root) + 1 :] if root else place
            if not posixpath.basename(below).startswith(".env") and not _opened(build, below):
                found.setdefault(below)
    return tuple(found)


def _plain(name: str) -> bool:
    return re.fullmatch(r"[\w./-]+", name) is not None


def _opened(build: Build, path: str) -> bool:
    """Whether the code names the file, or a relative folder that it is in."""
    context = build.project.context
    folder, _, below = path.partition("/")
    name = posixpath.basename(path)
    names = [rf"[\"'](?:\./)?{re.escape(folder)}[\"'/]"] if below else []
    if "." in name or not below:
        names.append(rf"(?<!/run/secrets/){re.escape(name)}")
    expression = re.compile("|".join(names))
    return any(expression.search(context.text(one) or "") for one in context.paths if one.endswith(".py"))
