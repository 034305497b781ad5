"""Ask at a terminal what of the diff is to be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dockfix import changes
from dockfix.changes import Change
from dockfix.cli.rewriting import write
from dockfix.cli.screen import colours, show
from dockfix.records import replace
from dockfix.report import text
from dockfix.result import Failure
from dockfix.session import Outcome, Request, run_one

_WHAT: Final = {
    "all": "write all of it",
    "transform": "ask for each transform, and show what remains before it is written",
    "hunk": "ask for each hunk",
    "none": "write nothing",
    "quit": "write nothing",
}
_EACH: Final = {
    "yes": "this one",
    "no": "not this one",
    "all": "this one and all the rest",
    "done": "neither this one nor the rest",
    "quit": "write nothing at all",
}
_SURE: Final = {"yes": "write it", "no": "write nothing", "quit": "write nothing"}


class _Quit(Exception):
    """Nothing is to be written."""


def ask(outcomes: Sequence[Outcome], request: Request) -> tuple[list[Outcome], bool]:
    """Ask what to write, write it, and return the outcomes and whether something was to be written."""
    try:
        match _answer("Write these changes? (a)ll, choose by (t)ransform or by (h)unk, (n)one", _WHAT, "none"):
            case "all":
                chosen = list(outcomes)
            case "transform":
                chosen = _by_transform(outcomes, request)
            case "hunk":
                chosen = list(_by_hunk(outcomes))
            case _:
                raise _Quit
    except _Quit:
        return list(outcomes), False
    if not any(outcome.changes or outcome.result.failures for outcome in chosen):
        return list(outcomes), False
    written = [write(outcome) for outcome in chosen]
    show(text.ending(written, written=True), None)
    return written, True


def _answer(question: str, answers: Mapping[str, str], default: str) -> str:
    """Return the answer that the user types, as a word or as its first letter; the end of the input is ``quit``."""
    while True:
        try:
            typed = input(f"{question} [{default[0]}]: ").strip().lower() or default
        except EOFError:
            print()
            return "quit"
        except UnicodeDecodeError:
            typed = "?"
        found = [word for word in answers if word.startswith(typed)]
        if found:
            return found[0]
        for word, meaning in answers.items():
            print(f"  {word[0]}, {word}: {meaning}")


class _Picker:
    """Asks for one thing after the other, until the rest is decided."""

    def __init__(self) -> None:
        self.rest: bool | None = None

    def wants(self, question: str) -> bool:
        """Return whether the user wants this one. Raises ``_Quit``."""
        if self.rest is not None:
            return self.rest
        answer = _answer(f"{question} (y)es, (n)o, (a)ll the rest, (d)one, (q)uit", _EACH, "yes")
        if answer == "quit":
            raise _Quit
        if answer in ("all", "done"):
            self.rest = answer == "all"
        return answer in ("yes", "all")


def _sure(question: str, default: str) -> None:
    """Ask for a yes. Raises ``_Quit`` where there is none."""
    if _answer(question, _SURE, default) != "yes":
        raise _Quit


def _by_transform(outcomes: Sequence[Outcome], request: Request) -> list[Outcome]:
    """Return what the transforms that the user wants make of the repositories."""
    picker = _Picker()
    names = tuple(dict.fromkeys(done.transform for outcome in outcomes for done in outcome.result.fixes))
    wanted = tuple(name for name in names if picker.wants(f"{name}?"))
    if not wanted:
        raise _Quit
    if wanted == names:
        return list(outcomes)
    narrowed = [run_one(outcome.repository, replace(request, select=wanted, also=())) for outcome in outcomes]
    paint = text.colour if colours() else text.plain
    for outcome in narrowed:
        show(text.diff(outcome, paint, outcome.repository.prefix if len(narrowed) > 1 else ""), None)
        show(text.summary(outcome, paint), None)
    if not any(outcome.changes for outcome in narrowed):
        print("Nothing to change without the others.")
        raise _Quit
    _sure("Write this? (y)es, (n)o", "yes")
    return narrowed


def _by_hunk(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes with only those hunks that the user wants."""
    picker = _Picker()
    for outcome in outcomes:
        kept: list[Change] = []
        parts: dict[str, tuple[int, int]] = {}  # path -> hunks wanted, hunks there are
        for change in outcome.changes:
            there = list(changes.hunks(change.before or "", change.after))
            wanted = [
                hunk
                for number, hunk in enumerate(there, 1)
                if _wants(picker, outcome, change, hunk, number, len(there))
            ]
            parts[change.path] = len(wanted), len(there)
            after = changes.apply_hunks(change.before or "", wanted)
            if wanted and after != change.before:
                kept.append(replace(change, after=after))
        torn = list(_torn(outcome, parts))
        for name in torn:
            print(f"{name} changes several files together; a part of it is left out.")
        if torn:
            _sure("Write the rest all the same? (y)es, (n)o", "no")
        whole = all(wanted == there for wanted, there in parts.values())
        yield outcome if whole else _narrowed(outcome, kept)


def _wants(picker: _Picker, outcome: Outcome, change: Change, hunk: changes.Hunk, number: int, count: int) -> bool:
    if picker.rest is None:
        show((text.colour(line, line[0]) if colours() else text.harmless(line) for line in hunk.lines), None)
    place = text.place(outcome.repository.prefix, change.path, 0)
    return picker.wants(f"{place}: write this hunk{f', {number} of {count}' if count > 1 else ''}?")


def _torn(outcome: Outcome, parts: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Yield the transforms of which one file's edits are written and another's are not, or not all of them."""
    names: dict[str, None] = {}
    for done in outcome.result.fixes:
        found = [parts[path] for path in done.files if path in parts]
        if len(found) > 1 and any(wanted for wanted, _ in found) and any(wanted < there for wanted, there in found):
            names[done.transform] = None
    yield from names


def _narrowed(outcome: Outcome, kept: Sequence[Change]) -> Outcome:
    """Return the outcome with only these changes; none where a Dockerfile would not parse with them."""
    from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

    for change in kept:
        if change.path not in outcome.repository.dockerfiles:
            continue
        try:
            parse(change.after)
        except DockerfileSyntaxError as error:
            failure = Failure(change.path, 0, f"would not parse with these hunks: {error.message}; nothing was written")
            return replace(outcome, changes=(), result=replace(outcome.result, failures=(failure,)))
    return replace(outcome, changes=tuple(kept), result=replace(outcome.result, fixes=()))
