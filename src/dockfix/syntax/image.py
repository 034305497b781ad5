"""Image references: ``[registry/]repository[:tag][@digest]``, by the distribution project's grammar."""

from __future__ import annotations

import re
from typing import Final

from dockfix.records import record
from dockfix.syntax.patterns import pattern

_TAG: Final = pattern(r"[\w][\w.-]{0,127}\Z", re.ASCII)
_DIGEST: Final = pattern(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}\Z")
_PATH: Final = pattern(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_REGISTRY: Final = pattern(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?\Z")


@record
class ImageReference:
    """A parsed reference. ``repository`` is without the registry and without ``library/``."""

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None

    @property
    def official(self) -> bool:
        """Whether it is one of Docker Hub's official images, such as ``python``."""
        return self.registry in (None, "docker.io", "index.docker.io") and "/" not in self.repository

    def __str__(self) -> str:
        registry = f"{self.registry}/" if self.registry else ""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{registry}{self.repository}{tag}{digest}"


def parse_image(text: str) -> ImageReference | None:
    """Return the reference that *text* is (without variables), or None where it is none."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.match(digest):
        return None
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    elif not _TAG.match(tag):
        return None
    registry: str | None
    registry, slash, repository = head.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost" or registry != registry.lower()):
        registry, repository = None, head
    elif not _REGISTRY.match(registry):
        return None
    if not (repository.isalnum() and repository.isascii() and repository.islower()) and not _PATH.match(repository):
        return None
    if registry in (None, "docker.io", "index.docker.io") and repository.startswith("library/"):
        repository = repository[len("library/") :]
    return ImageReference(registry, repository, tag or None, digest or None)
