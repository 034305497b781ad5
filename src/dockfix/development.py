"""Which Dockerfiles are for development, where what is about images that serve has no place."""

from __future__ import annotations

from typing import Final

from dockfix.build.model import Build

_DEVELOPMENT: Final = frozenset(
    {"dev", "devel", "develop", "development", "local", "debug", "test", "tests", "testing", "devcontainer"}
)
_DEVELOPMENT_FOLDERS: Final = frozenset({".devcontainer", "dev", "development", "local", "debug"})


def development(build: Build) -> str | None:
    """Return why the image is taken for one for development, None where it is not."""
    if for_development(build.path):
        return "the Dockerfile is for development, by its name"
    stage = build.final.name
    if stage is None or not for_development(stage):
        return None
    if any(service.target not in (None, stage) for service in build.project.services):
        return None  # compose builds another one
    return f"the last stage is for development, by its name {stage}"


def for_development(path: str) -> bool:
    """Return whether a Dockerfile or stage is for development, testing or debugging, by its name or its folder's."""
    *folders, name = path.lower().split("/")
    words = name.replace("-", ".").replace("_", ".").split(".")
    return not _DEVELOPMENT.isdisjoint(words) or not _DEVELOPMENT_FOLDERS.isdisjoint(folders)
