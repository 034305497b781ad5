"""What a verification found: the two sides, the rows of the table, and what follows from them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from dockfix.verify.build import Built
from dockfix.verify.image import Image
from dockfix.verify.plan import Plan
from dockfix.verify.run import Observation


class Verdict(StrEnum):
    """What a row says of the rewritten image."""

    SAME = "same"
    BETTER = "better"
    INTENDED = "intended"
    """Different on purpose."""
    UNPROVED = "not proved"
    """The image as it was does not let anything be said."""
    WORSE = "worse"


class Outcome(StrEnum):
    """What the whole table says."""

    UNCHANGED = "unchanged"
    """dockfix has nothing to change, so nothing was built."""
    HOLDS = "holds"
    UNPROVED = "not proved"
    WORSE = "worse"
    FAILED = "failed"
    """It could not be found out; the error says why."""


class Row(NamedTuple):
    """One line of the table."""

    what: str
    before: str
    after: str
    verdict: Verdict
    details: tuple[str, ...] = ()


class Side(NamedTuple):
    """One of the two images, and all that was seen of it."""

    plan: Plan
    built: Built
    image: Image | None
    runs: tuple[Observation, ...]
    rebuilt: Built | None


class LeftOut(NamedTuple):
    """A transform that was taken out, and what happened with it."""

    transform: str
    evidence: tuple[str, ...]


def outcome_of(rows: tuple[Row, ...]) -> Outcome:
    """Return what the rows add up to."""
    if any(row.verdict is Verdict.WORSE for row in rows):
        return Outcome.WORSE
    if any(row.verdict is Verdict.UNPROVED and row.what in ("builds", "starts") for row in rows):
        return Outcome.UNPROVED
    return Outcome.HOLDS
