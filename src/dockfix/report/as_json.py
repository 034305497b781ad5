"""The result as JSON: stable and versioned. docs/json.md describes every field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from dockfix.changes import Change
from dockfix.records import replace
from dockfix.report.mask import Mask, mask_of
from dockfix.result import Done, Failure, Refused
from dockfix.session import Outcome
from dockfix.syntax.edit import encode

VERSION: Final = 1


def render(outcomes: Sequence[Outcome], failures: Iterable[Failure] = (), *, written: bool = False) -> str:
    """Return the outcomes as one JSON document. *failures* are those of no repository."""
    several = len(outcomes) > 1
    mask = mask_of(outcomes)
    outcomes = [mask.outcome(outcome) for outcome in outcomes]
    document = {
        "version": VERSION,
        "written": written,
        "files": [_file(change, _prefix(one, several), mask) for one in outcomes for change in one.changes],
        "fixes": [_done(done, _prefix(one, several)) for one in outcomes for done in one.result.fixes],
        "suggestions": [_done(done, _prefix(one, several)) for one in outcomes for done in one.result.suggestions],
        "skips": [_refused(skip, _prefix(one, several)) for one in outcomes for skip in one.result.skips],
        "errors": [
            *(_failure(replace(failure, message=mask.text(failure.message)), "") for failure in failures),
            *(_failure(failure, _prefix(one, several)) for one in outcomes for failure in one.result.failures),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _prefix(outcome: Outcome, several: bool) -> str:
    return outcome.repository.prefix if several else ""


def _file(change: Change, prefix: str, mask: Mask) -> dict[str, object]:
    return {
        "path": prefix + change.path,
        "changed": change.before != change.after,
        "diff": mask.diff(change.under(prefix)),
        "before_sha256": None if change.before is None else sha256(encode(change.before)).hexdigest(),
        "after_sha256": sha256(encode(change.after)).hexdigest(),
    }


def _done(done: Done, prefix: str) -> dict[str, object]:
    return {
        "transform": done.transform,
        "title": done.title,
        "safety": done.safety.value,
        "path": prefix + done.path,
        "line": done.line,
        "dockerfile": prefix + done.dockerfile,
        "notes": list(done.notes),
        "files": [prefix + path for path in done.files],
    }


def _refused(refused: Refused, prefix: str) -> dict[str, object]:
    return {
        "transform": refused.transform,
        "reason": refused.reason,
        "path": prefix + refused.path,
        "line": refused.line,
        "dockerfile": prefix + refused.dockerfile,
    }


def _failure(failure: Failure, prefix: str) -> dict[str, object]:
    return {
        "path": (prefix if failure.path else "") + failure.path,
        "line": failure.line,
        "message": failure.message,
        "transform": failure.transform,
    }
