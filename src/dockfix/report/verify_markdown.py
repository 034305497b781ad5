"""What `dockfix verify` found, as Markdown, such as for the text of a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dockfix.report.markdown import _code
from dockfix.report.markdown import _text as _escaped
from dockfix.report.text import harmless
from dockfix.report.verify_text import LONGEST, done, ending

if TYPE_CHECKING:
    from dockfix.verify.session import Verified


def render(verified: Sequence[Verified], *, written: frozenset[str] | None = None) -> Iterator[str]:
    """Yield a table for each Dockerfile, and what was left out. *written*: as for JSON, None where not asked for."""
    for one in verified:
        path = one.repository.prefix + one.dockerfile
        yield f"### {_code(path)}: built and run before and after\n\n"
        if one.rows:
            yield "| | before | after | |\n|---|---|---|---|\n"
            for row in one.rows:
                yield f"| {row.what} | {_text(row.before)} | {_text(row.after)} | {_mark(row.verdict.value)} |\n"
            yield "\n"
            for row in one.rows:
                if row.details and row.verdict.value != "same":
                    yield f"- **{row.what}**: {_said(row.details)}\n"
            yield "\n"
        names, notes = done(one)
        if names:
            yield f"- done: {_text(names)}\n"
        yield from (f"- {_text(note)}\n" for note in notes)
        for left in one.left_out:
            yield f"- left out: **{left.transform}**: {_said(left.evidence)}\n"
        yield from (f"- {_text(note)}\n" for note in one.notes)
        yield f"\n{_text(ending(one, None if written is None else path in written))}.\n\n"


def _said(lines: Sequence[str]) -> str:
    return _text("; ".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines))


def _text(text: str) -> str:
    """Return what a program said as plain text of a cell."""
    return _escaped(harmless(text))


def _mark(verdict: str) -> str:
    return f"**{verdict}**" if verdict == "worse" else verdict
