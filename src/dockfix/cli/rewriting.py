"""Rewrite what the command line names: show the diff, write it, or ask."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from dockfix import changes
from dockfix.cli.arguments import COMMANDS, Arguments
from dockfix.cli.progress import Progress
from dockfix.cli.screen import check_output, colours, printable, show
from dockfix.records import replace
from dockfix.report import text
from dockfix.result import Failure
from dockfix.session import Outcome, Request, find_repositories, run_all, summaries

MANY: Final = 200
"""From so many Dockerfiles on, several processes are worth their start."""


def run(arguments: Arguments) -> int:
    """Rewrite, and return the exit status.

    Raises:
        CommandError: the result can't be written to where it was to go.
    """
    request = Request(
        arguments.select,
        arguments.ignore,
        arguments.safe_only,
        tuple(map(os.path.abspath, arguments.files)),
        arguments.config,
    )
    mode, form, output = arguments.mode, arguments.form, arguments.output if arguments.output != "-" else None
    if output is not None:
        check_output(output)
    repositories, failures = find_repositories(arguments.paths or (".",))
    failures = [_command_meant(failure) for failure in failures]
    count = sum(len(repository.dockerfiles) for repository in repositories)
    jobs = arguments.jobs
    if jobs is None:
        jobs = 0 if count >= MANY else 1
    with Progress(count, "Dockerfiles") as progress:
        outcomes = list(run_all(repositories, request, jobs, progress.add))
    if arguments.pin_digests:
        from dockfix.cli.pinning import with_digests

        request, refused = with_digests(outcomes, request)
        failures += refused
        with Progress(count, "Dockerfiles") as progress:
            outcomes = list(run_all(repositories, request, jobs, progress.add))
    asks = mode is None and form == "text" and output is None and sys.stdin.isatty() and sys.stdout.isatty()
    written = mode == "write"
    if written:
        wanted, outcomes = outcomes, [write(outcome) for outcome in outcomes]
        written = wanted == outcomes or any(outcome.changes for outcome in outcomes)
    show(_rendered(outcomes, failures, request, mode, form, output, written), output)
    if asks and any(outcome.changes for outcome in outcomes):
        from dockfix.cli.asking import ask

        outcomes, written = ask(outcomes, request)
    failures += [_seen(outcome, failure) for outcome in outcomes for failure in outcome.result.failures]
    if failures:
        from dockfix.report.mask import mask_of

        mask = mask_of(outcomes)
        for failure in dict.fromkeys(failures):
            failure = replace(failure, message=mask.text(failure.message))
            print(f"dockfix: {printable(str(failure))}", file=sys.stderr)
        return 2
    return 1 if not written and any(outcome.changes for outcome in outcomes) else 0


def _seen(outcome: Outcome, failure: Failure) -> Failure:
    """Return the failure with its path as seen from here."""
    return replace(failure, path=text.place(outcome.repository.prefix, failure.path, 0)) if failure.path else failure


def _command_meant(failure: Failure) -> Failure:
    """Return the failure with the command that may be meant by the path that does not exist."""
    if not failure.path.isalpha() or os.path.lexists(failure.path):
        return failure
    from dockfix.hints import did_you_mean

    return replace(failure, message=failure.message + did_you_mean(failure.path, COMMANDS))


def write(outcome: Outcome) -> Outcome:
    """Write the outcome's changes; where that fails, the failure is in the outcome returned."""
    try:
        changes.write(outcome.repository.root, outcome.changes)
    except changes.WriteError as error:
        failure = Failure(error.path, 0, f"{error.message}; nothing was written")
        result = replace(outcome.result, fixes=(), failures=(*outcome.result.failures, failure))
        return replace(outcome, changes=(), result=result)
    return outcome


def _rendered(
    outcomes: Sequence[Outcome],
    failures: Sequence[Failure],
    request: Request,
    mode: str | None,
    form: str,
    output: str | None,
    written: bool,
) -> Iterable[str]:
    several = len(outcomes) > 1
    if form == "json":
        from dockfix.report import as_json

        yield as_json.render(outcomes, failures, written=written)
        return
    if form == "sarif":
        from dockfix.report import sarif

        yield sarif.render(outcomes, failures, summaries(request))
        return
    if form == "github":
        from dockfix.report import github

        yield from github.render(outcomes, failures)
        return
    if form == "markdown":
        from dockfix.report import markdown

        yield from markdown.render(outcomes, failures)
        return
    paint = text.colour if form == "text" and output is None and colours() else text.plain
    if mode == "check" and form == "text":
        for outcome in outcomes:
            yield from text.check(outcome)
        return
    for outcome in outcomes:
        if not written or form == "patch":
            shared = form == "text" and (output is not None or not sys.stdout.isatty())  # a file, a log of CI
            yield from text.diff(outcome, paint, outcome.repository.prefix if several else "", masked=shared)
        if form == "text":
            yield from text.summary(outcome, paint, written=written)
    if form == "text" and mode != "check":
        yield from text.ending(outcomes, written=written)
