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


def runs_as_somebody(image: ImageReference | None) -> bool:
    """Return whether the image is known, and has a user of its own that is not root."""
    if image is None:
        return False
    known = table("base_images")
    without_shell = _name(image) in known["users"]["without_shell"] and "nonroot" in (image.tag or "")
    return without_shell or _listed(image, known["not_root"])


def python_of_packages(image: ImageReference) -> int | None:
    """Return the minor version of the python3 that packages bring on a distribution's image; None where it is open."""
    releases: dict[str, int] | None = table("base_images")["python3"].get(_name(image))
    own = _release(image.tag or "")
    if releases is None or own is None:
        return None
    fitting = [minor for release, minor in releases.items() if (_release(release) or ()) <= own]
    return max(fitting, default=0)


def _release(text: str) -> tuple[int, ...] | None:
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else None


def takes_all_arguments(program: str) -> bool:
    """Return whether *program* takes every argument for its own, so that a shell among them never worked."""
    return any(re.fullmatch(name, program) for name in table("base_images")["programs"])


def users_of(image: ImageReference) -> str | int | None:
    """Return how the image, whose user is root, gets another one; None where it is not known, or has one.

    The program that makes users, ``useradd`` or ``adduser``; ``shadow-utils``, the package that brings ``useradd``; the
    number of a user that is there, where nothing can be run.
    """
    known, tag = table("base_images")["users"], image.tag or ""
    if runs_as_somebody(image):
        return None
    if (number := known["without_shell"].get(_name(image))) is not None:
        return int(number)
    if _listed(image, known["adduser"]) or (_name(image) == "python" and "alpine" in tag):
        return "adduser"
    if _listed(image, known["shadow_utils"]):
        small = _name(image) not in known["useradd"] or any(word in tag for word in known["small"])
        return "shadow-utils" if small else "useradd"
    return "useradd" if _listed(image, known["useradd"]) else None


def _listed(image: ImageReference, names: Collection[str]) -> bool:
    return _name(image) in names


def _name(image: ImageReference) -> str:
    own = image.repository
    if image.registry in _MIRRORS and own.startswith(("library/", "docker/library/")):
        own = own.rpartition("/")[2]
    elif image.registry not in (None, "docker.io", "index.docker.io"):
        own = f"{image.registry}/{own}"
    return own
