"""What is known of base images without a registry: the table ``knowledge/base_images.toml``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dockfix_transforms._knowledge import table

if TYPE_CHECKING:
    from collections.abc import Collection

    from dockfix.syntax.image import ImageReference

_MIRRORS: Final = ("mirror.gcr.io", "public.ecr.aws")


def runs_what_it_gets(image: ImageReference | None) -> bool:
    """Return whether the image is known, and its ENTRYPOINT, if any, runs CMD as it stands."""
    return image is not None and _listed(image, table("base_images")["plain"])


def exposes_nothing(image: ImageReference | None) -> bool:
    """Return whether the image is known, and has no EXPOSE."""
    return image is not None and runs_what_it_gets(image) and not _listed(image, table("base_images")["exposes"])


def starts_in_root(image: ImageReference | None) -> bool:
    """Return whether the image is known, and its working directory is ``/``."""
    known = table("base_images")["starts_elsewhere"]
    return image is not None and runs_what_it_gets(image) and not _listed(image, known)


def runs_as_root(image: ImageReference | None) -> bool:
    """Return whether the image is known, and its user is root."""
    return image is not None and runs_what_it_gets(image) and not _listed(image, table("base_images")["not_root"])


def takes_all_arguments(program: str) -> bool:
    """Return whether *program* takes every argument for its own, so that a shell among them never worked."""
    return any(re.fullmatch(name, program) for name in table("base_images")["programs"])


def _listed(image: ImageReference, names: Collection[str]) -> bool:
    own = image.repository
    if image.registry in _MIRRORS and own.startswith(("library/", "docker/library/")):
        own = own.rpartition("/")[2]
    elif image.registry not in (None, "docker.io", "index.docker.io"):
        own = f"{image.registry}/{own}"
    return own in names
