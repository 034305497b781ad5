"""What the chain made of Dockerfiles: fixes, refusals, failures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dockfix.records import record
from dockfix.transform import Safety


@record
class Done:
    """A fix, and the transform that it comes from.

    ``path`` is the Dockerfile, or the first file that it edits where it leaves the Dockerfile as it is; ``line`` is the
    line before any change, 0 for a file that is new.
    """

    transform: str
    path: str
    line: int
    title: str
    safety: Safety
    notes: tuple[str, ...]
    files: tuple[str, ...]
    """The files that it edits."""
    secrets: tuple[str, ...] = ()
    """As in ``Fix``."""
    variables: tuple[tuple[str, str], ...] = ()
    """As in ``Fix``; sorted pairs."""
    dockerfile: str = ""
    """The Dockerfile that the transform looked at."""


@record
class Refused:
    """A refusal of a transform. ``dockerfile`` is the file it looked at, ``path`` where the reason is found."""

    transform: str
    dockerfile: str
    path: str
    line: int
    reason: str


@record
class Failure:
    """Something that went wrong. ``transform`` is None where the file itself is the trouble."""

    path: str
    line: int
    message: str
    transform: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return ": ".join(part for part in (place, self.transform, self.message) if part)


@record
class Result:
    """What the chain did to the Dockerfiles of one repository. ``before[path]`` is None for a new file."""

    before: Mapping[str, str | None] = MappingProxyType({})
    after: Mapping[str, str] = MappingProxyType({})
    fixes: tuple[Done, ...] = ()
    suggestions: tuple[Done, ...] = ()
    """Fixes that were not applied: suggestions, and with ``safe_only`` those that need a review."""
    skips: tuple[Refused, ...] = ()
    failures: tuple[Failure, ...] = ()
