"""What `dockfix verify` found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dockfix.report.text import Paint, harmless, plain

if TYPE_CHECKING:
    from dockfix.verify.session import Verified

_WIDEST: Final = 44
LONGEST: Final = 400
"""Of a line that a program said."""
_MARKS: Final = {"same": "note", "better": "+", "intended": "@", "not proved": "refused", "worse": "-"}
ENDINGS: Final = {
    "unchanged": "nothing to change, so nothing was built",
    "holds": "the rewritten image holds",
    "not proved": "nothing is worse, but not everything can be proved",
    "worse": "the rewritten image is worse",
    "failed": "could not be verified",
}


def render(verified: Verified, paint: Paint = plain, *, written: bool | None = None) -> Iterator[str]:
    """Yield the table of one Dockerfile, what was left out and why, and what follows.

    *written*: None where writing was not asked for.
    """
    name = verified.repository.prefix + verified.dockerfile
    yield paint(name, "head") + "\n"
    if verified.rows:
        yield from _table(verified, paint)
    names, notes = done(verified)
    if names:
        yield f"  {paint(f'done: {names}', 'note')}\n"
    for note in notes:
        yield f"  {paint(harmless(note), 'note')}\n"
    for one in verified.left_out:
        yield paint(f"  left out: {one.transform}", "refused") + "\n"
        for line in one.evidence:
            yield f"    {harmless(_cut(line, LONGEST))}\n"
    for note in verified.notes:
        yield f"  {paint(note, 'note')}\n"
    yield f"  {ending(verified, written)}\n"


def done(verified: Verified) -> tuple[str, tuple[str, ...]]:
    """Return the names of the transforms that changed something, and what their fixes ask the reader to know.

    Where no other image was built there is nothing that they did.
    """
    if verified.after is None:
        return "", ()
    fixes = verified.result.fixes
    names = ", ".join(dict.fromkeys(one.transform for one in fixes))
    return names, tuple(dict.fromkeys(f"{one.transform}: {note}" for one in fixes for note in one.notes))


def ending(verified: Verified, written: bool | None) -> str:
    """Return what follows, in a sentence."""
    text = ENDINGS[verified.outcome.value]
    if verified.error:
        text += f": {harmless(verified.error)}"
    elif verified.before is not None and verified.before.built.image is None:
        text = "the image does not build as it is: nothing can be proved"
    elif verified.outcome.value == "not proved":
        text += ", since the program does not work as it is; --env and --with-services may help it"
    if written is not None and verified.changes:
        text += "; written" if written else "; nothing was written"
    return text


def _table(verified: Verified, paint: Paint) -> Iterator[str]:
    rows = [(row, [harmless(_cut(text)) for text in (row.what, row.before, row.after)]) for row in verified.rows]
    widths = [max(len(cells[column]) for _, cells in [*rows, (None, ["", "before", "after"])]) for column in range(3)]
    yield f"  {'':{widths[0]}}  {'before':{widths[1]}}  after\n"
    for row, cells in rows:
        line = "  ".join(f"{text:{width}}" for text, width in zip(cells, widths, strict=True))
        yield f"  {line}  {paint(row.verdict.value, _MARKS[row.verdict.value])}\n"
        for detail in row.details if row.verdict.value != "same" else ():
            yield f"  {'':{widths[0]}}  {paint(harmless(_cut(detail, LONGEST)), 'note')}\n"


def _cut(text: str, most: int = _WIDEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def summary(all_of_them: Sequence[Verified]) -> str:
    """Return the last line, where there are several Dockerfiles."""
    counts: dict[str, int] = {}
    for one in all_of_them:
        counts[one.outcome.value] = counts.get(one.outcome.value, 0) + 1
    return f"{len(all_of_them)} Dockerfiles: {', '.join(f'{count} {name}' for name, count in counts.items())}\n"
