"""The tags of the official Python images, and what is known of each: ``knowledge/python_releases.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from dockfix.records import record
from dockfix.syntax.image import ImageReference
from dockfix.syntax.patterns import pattern
from dockfix_transforms._knowledge import table as knowledge

_TAG: Final = pattern(r"(?:(\d+)(?:\.(\d+))?(?:\.(\d+))?)?(?:(?:(?<=\d)-|\A)([a-z].*))?\Z")
_COPIES: Final = (("public.ecr.aws", "docker/library/python"), ("mirror.gcr.io", "library/python"))
_ALPINE: Final = pattern(r"alpine(\d+\.\d+)?\Z")


@record
class PythonTag:
    """A tag of the Python image. ``flavour`` is what follows the version: "", "slim", "slim-bookworm", "alpine3.20".

    ``major``, ``minor`` and ``patch`` are None where the tag leaves them out; ``latest`` leaves out everything.
    """

    major: int | None
    minor: int | None
    patch: int | None
    flavour: str

    @property
    def python(self) -> str | None:
        """Major and minor version, such as "3.12"; None where the tag does not say."""
        return None if self.minor is None else f"{self.major}.{self.minor}"

    @property
    def slim(self) -> bool:
        """Whether it is a slim image."""
        return "slim" in self.flavour.split("-")

    @property
    def stated_release(self) -> str | None:
        """The Debian release that the tag names."""
        return next((part for part in self.flavour.split("-") if part in table()["debian"]), None)

    @property
    def release(self) -> str | None:
        """The Debian release of the image, by the tag or by the table; None for other systems and where not known."""
        return self.releases[-1] if self.releases else None

    @property
    def releases(self) -> tuple[str, ...]:
        """The Debian releases that the image may have, oldest first; empty where not known.

        Where the tag leaves it open these are the two that it had last: an engine may still have the older image.
        """
        if (stated := self.stated_release) is not None:
            return (stated,)
        known = table()["python"].get(self.python or table()["newest"]) if self.flavour in ("", "slim") else None
        if known is None:
            return ()
        found = [release for release, first in known["default"].items() if self.patch is None or first <= self.patch]
        return tuple(found[-2:] if self.patch is None else found[-1:])

    @property
    def debian(self) -> bool:
        """Whether it is an image on Debian, with or without its release in the tag."""
        parts = [part for part in self.flavour.split("-") if part not in ("", "slim")]
        return all(part in table()["debian"] for part in parts) and len(parts) <= 1


@cache
def table() -> Mapping[str, Any]:
    """Return the table, with ``newest`` for the newest Python that it knows."""
    read = knowledge("python_releases")
    return {**read, "newest": list(read["python"])[-1]}


def python_tag(image: ImageReference | None) -> PythonTag | None:
    """Return the tag of *image*; None where it is no official Python image, or a tag that is none of its kind."""
    if image is None or not (
        (image.official and image.repository == "python") or (image.registry, image.repository) in _COPIES
    ):
        return None
    return parse_tag(image.tag or "latest")


def parse_tag(tag: str) -> PythonTag | None:
    """Return the parts of *tag*, None where it has another form (release candidates, a date)."""
    if tag == "latest":
        return PythonTag(None, None, None, "")
    match = _TAG.match(tag)
    if not match or (match[1] is None and not match[4]):
        return None
    major, minor, patch = (None if part is None else int(part) for part in match.group(1, 2, 3))
    flavour = match[4] or ""
    return None if flavour.startswith(("rc", "latest")) else PythonTag(major, minor, patch, flavour)


def published(python: str, flavour: str) -> bool:
    """Return whether there are images of *python* (such as "3.12") in this *flavour*."""
    known = table()["python"].get(python)
    if known is None:
        return False
    parts = flavour.removeprefix("slim").removeprefix("-")
    if alpine := _ALPINE.match(parts):
        return not flavour.startswith("slim") and (alpine[1] is None or alpine[1] in known.get("alpine", ()))
    return not parts or parts in known["debian"]


def versions() -> tuple[str, ...]:
    """Return the versions of Python that the table knows, oldest first."""
    return tuple(table()["python"])


def retired(python: str) -> bool:
    """Return whether *python* got its last security fix before the table was written."""
    return bool(table()["python"].get(python, {}).get("retired", False))


def python_in(text: str) -> str | None:
    """Return the minor version that *text* gives, "3.12" for "3.12.4" or "python-3.12"; None where there is none."""
    match = re.match(r"\s*(?:c?python[- ]?)?(3\.\d+)(?:\.\d+|\.\*)?\s*\Z", text)
    return match[1] if match else None
