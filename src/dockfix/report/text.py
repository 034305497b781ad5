"""The report for people: the diff, then what was done and what was refused, transform by transform."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from dockfix.report.mask import mask_of
from dockfix.result import Done, Refused
from dockfix.session import Outcome
from dockfix.syntax.patterns import pattern
from dockfix.transform import Safety

Item = TypeVar("Item", Done, Refused)
Paint = Callable[[str, str], str]
"""Takes a text and the name of what it is; returns it as it is to be shown."""

_COLOURS: Final = {"+": "32", "-": "31", "@": "36", "head": "1", "name": "1", "note": "2", "refused": "33"}
_CONTROL: Final = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")


def plain(text: str, kind: str) -> str:
    """Show *text* as it is."""
    return text


def colour(text: str, kind: str) -> str:
    """Show *text* in the colour of its kind, without control characters: they could play tricks on a terminal."""
    newline = "\n" if text.endswith("\n") else ""
    text = harmless(text.rstrip("\r\n"))
    code = _COLOURS.get(kind)
    return f"\x1b[{code}m{text}\x1b[0m{newline}" if code else text + newline


def harmless(text: str) -> str:
    """Return *text* without control characters and bytes that are no characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def diff(outcome: Outcome, paint: Paint = plain, prefix: str = "", *, masked: bool = False) -> Iterator[str]:
    """Yield the lines of the repository's diff; with *masked* no secret is shown in them."""
    mask = mask_of([outcome]) if masked else None
    for change in outcome.changes:
        moved = change.under(prefix)
        text = moved.diff if mask is None else mask.diff(moved)
        if paint is plain:
            yield text
            continue
        for number, line in enumerate(text.split("\n")[:-1]):
            head = number < 4 and line.startswith(("diff ", "--- ", "+++ ", "new "))
            yield paint(f"{line}\n", "head" if head else line[:1])


def summary(outcome: Outcome, paint: Paint = plain, *, written: bool = False) -> Iterator[str]:
    """Yield what was done, what was held back and what was refused, for one repository, without secrets."""
    outcome = mask_of([outcome]).outcome(outcome)
    result, prefix = outcome.result, outcome.repository.prefix
    if result.fixes:
        yield paint("Written" if written else "Would change", "head") + "\n"
        yield from _fixes(result.fixes, prefix, paint)
    if result.suggestions:
        yield paint("Not applied, for you to decide", "head") + "\n"
        yield from _fixes(result.suggestions, prefix, paint)
    if result.skips:
        yield paint("Left alone, and why", "head") + "\n"
        yield from _skips(result.skips, prefix, paint)


def _fixes(fixes: Sequence[Done], prefix: str, paint: Paint) -> Iterator[str]:
    for name, group in _by_transform(fixes):
        yield f"  {paint(name, 'name')}\n"
        for done in dict.fromkeys(group):
            mark = "" if done.safety is Safety.SAFE else f"  [{done.safety.value}]"
            yield f"    {place(prefix, done.path, done.line)}: {done.title}{mark}\n"
            for note in done.notes:
                yield f"      {paint(note, 'note')}\n"


def _skips(skips: Sequence[Refused], prefix: str, paint: Paint) -> Iterator[str]:
    for name, group in _by_transform(skips):
        yield f"  {paint(name, 'refused')}\n"
        for path, line, reason in dict.fromkeys((one.path, one.line, one.reason) for one in group):
            yield f"    {place(prefix, path, line)}: {reason}\n"


def _by_transform(items: Iterable[Item]) -> Iterator[tuple[str, list[Item]]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.transform, []).append(item)
    yield from groups.items()


def place(prefix: str, path: str, line: int) -> str:
    """Return ``path:line`` as seen from where the user stands."""
    if path.startswith("/"):
        prefix = ""
    seen = prefix + path
    if prefix.startswith(".."):
        here = os.path.realpath(".")
        full = os.path.normpath(os.path.join(here, seen))
        seen = min(os.path.relpath(full, here), full, key=len)
    return f"{seen}:{line}" if line else seen


def check(outcome: Outcome) -> Iterator[str]:
    """Yield one line a Dockerfile."""
    prefix, there = outcome.repository.prefix, outcome.repository.dockerfiles
    failed = {failure.path for failure in outcome.result.failures if failure.transform is None}
    if not failed.issubset(there):  # of the configuration, for one: nothing was done
        return
    for path in there:
        names = dict.fromkeys(done.transform for done in outcome.result.fixes if done.dockerfile == path)
        if path not in failed:
            verdict = f"would change: {', '.join(names)}" if names else "nothing to change"
            yield f"{place(prefix, path, 0)}: {verdict}\n"


def ending(outcomes: Sequence[Outcome], *, written: bool) -> Iterator[str]:
    """Yield the last line: how much, and what to do next."""
    files = sum(len(outcome.changes) for outcome in outcomes)
    fixes = sum(len(outcome.result.fixes) for outcome in outcomes)
    if not files:
        if not any(outcome.result.failures for outcome in outcomes) and outcomes:
            yield "Nothing to change.\n"
        return
    count = f"{files} {'file' if files == 1 else 'files'}"
    if fixes:  # none are counted where the user chose by hunks
        count = f"{fixes} {'fix' if fixes == 1 else 'fixes'} in {count}"
    yield f"{count} written.\n" if written else f"{count}; nothing is written yet. `dockfix --write` writes them.\n"
