"""Ask at a terminal what of the diff is to be written."""

from __future__ import annotations

from collections.abc import Sequence

import click

from dockfix import changes
from dockfix.cli.rewriting import write
from dockfix.cli.screen import colours
from dockfix.records import replace
from dockfix.report import text
from dockfix.session import Outcome, Request, run_one


def ask(outcomes: Sequence[Outcome], request: Request) -> tuple[list[Outcome], bool]:
    """Ask what to write, write it, and return the outcomes and whether something was written."""
    answer = click.prompt(
        "Write these changes? (a)ll, choose by (t)ransform or by (h)unk, (n)one",
        type=click.Choice(["a", "t", "h", "n"]),
        default="n",
        show_choices=False,
    )
    match answer:
        case "a":
            return [write(outcome) for outcome in outcomes], True
        case "t":
            names = dict.fromkeys(done.transform for outcome in outcomes for done in outcome.result.fixes)
            chosen = tuple(name for name in names if click.confirm(f"{name}?", default=True))
            if not chosen:
                return list(outcomes), False
            narrowed = replace(request, select=chosen)
            return [write(run_one(outcome.repository, narrowed)) for outcome in outcomes], True
        case "h":
            kept = [_by_hunk(outcome) for outcome in outcomes]
            if not any(outcome.changes for outcome in kept):
                return list(outcomes), False
            return [write(outcome) for outcome in kept], True
    return list(outcomes), False


def _by_hunk(outcome: Outcome) -> Outcome:
    """Return the outcome with only those hunks that the user wants."""
    kept = []
    for change in outcome.changes:
        wanted = []
        for hunk in changes.hunks(change.before or "", change.after):
            for line in hunk.lines:
                click.echo(text.colour(line, line[0]) if colours() else text.harmless(line), nl=False)
            if click.confirm(f"{change.path}: write this hunk?", default=True):
                wanted.append(hunk)
        after = changes.apply_hunks(change.before or "", wanted)
        if wanted and after != change.before:
            kept.append(replace(change, after=after))
    return replace(outcome, changes=tuple(kept))
