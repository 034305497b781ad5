"""Which Dockerfiles are for development, where what is about images that serve has no place."""

from __future__ import annotations

from typing import Final

from dockfix.build.model import Build
from dockfix.syntax.patterns import pattern

_DEVELOPMENT: Final = frozenset(
    {"dev", "devel", "develop", "development", "local", "debug", "test", "tests", "testing", "devcontainer"}
)
_DEVELOPMENT_FOLDERS: Final = frozenset({".devcontainer", "dev", "development", "local", "debug"})

_SAID: Final = pattern(
    r"#+\s*(?:this(?: is)? (?:a |the )?)?(?:docker ?file|docker image|image|container)?(?: is)?(?: only| just)?\s*"
    r"(?:for|in) (?:local )?dev(?:elopment)?(?: only| purposes?| use| environments?| mode)*[\s.!:]*"
    r"|#+\s*(?:local )?dev(?:elopment)? (?:docker ?file|docker image|image|environment|container)[\s.!:]*",
    2,  # re.IGNORECASE
)


def development(build: Build) -> str | None:
    """Return why the image is taken for one for development, None where it is not."""
    if for_development(build.path):
        return "the Dockerfile is for development, by its name"
    first = build.dockerfile.text[: build.dockerfile.instructions[0].keyword_start]
    if any(_SAID.fullmatch(line.strip()) for line in first.splitlines()):
        return "the Dockerfile is for development, by the comment on top of it"
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
