"""``dockfix [PATH]...``: show the diff, write it, or ask."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

import click

from dockfix import changes
from dockfix.chain import Failure
from dockfix.cli.progress import Progress
from dockfix.records import replace
from dockfix.report import text
from dockfix.session import Outcome, Request, find_repositories, run_all, run_one
from dockfix.syntax.edit import encode

MANY = 200
"""From so many Dockerfiles on, several processes are worth their start."""
FORMATS = ("text", "patch", "json", "github", "markdown", "sarif")


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for item in value for name in item.split(",") if name.strip())


@click.command(name="dockfix")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--diff", "mode", flag_value="diff", help="Show the diff, write nothing.")
@click.option("--write", "mode", flag_value="write", help="Write; show what changed and what was refused.")
@click.option("--check", "mode", flag_value="check", help="One line a file, for CI.")
@click.option("--verify", is_flag=True, expose_value=False, help="Build and run before and after: see dockfix verify.")
@click.option("--select", multiple=True, callback=_names, metavar="NAME,...", help="Only these transforms.")
@click.option("--ignore", multiple=True, callback=_names, metavar="NAME,...", help="All but these transforms.")
@click.option("--safe-only", is_flag=True, help="Only fixes that leave the running container the same.")
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also the transforms in this file.")
@click.option("--config", metavar="FILE", help="The configuration, instead of the repository's own.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="How to show the result.")
@click.option("--output", metavar="FILE", help="Write the result to this file instead of the screen.")
@click.option("--jobs", type=click.IntRange(0), metavar="N", help="Processes; 0 is one a core, as for many files.")
def command(
    paths: tuple[str, ...],
    mode: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    safe_only: bool,
    files: tuple[str, ...],
    config: str | None,
    form: str,
    output: str | None,
    jobs: int | None,
) -> int:
    """Rewrite the Dockerfiles that PATH names or holds."""
    request = Request(select, ignore, safe_only, tuple(map(os.path.abspath, files)), config)
    repositories, failures = find_repositories(paths or (".",))
    count = sum(len(repository.dockerfiles) for repository in repositories)
    if jobs is None:
        jobs = 0 if count >= MANY else 1
    with Progress(count, "Dockerfiles") as progress:
        outcomes = list(run_all(repositories, request, jobs, progress.add))
    asks = mode is None and form == "text" and output is None and sys.stdin.isatty() and sys.stdout.isatty()
    written = mode == "write"
    if written:
        outcomes = [_write(outcome) for outcome in outcomes]
    _show(_rendered(outcomes, failures, mode, form, output, written), output)
    if asks and any(outcome.changes for outcome in outcomes):
        outcomes, written = _ask(outcomes, request)
        if written:
            _show(text.ending(outcomes, written=True), None)
    failures += [_seen(outcome, failure) for outcome in outcomes for failure in outcome.result.failures]
    for failure in dict.fromkeys(failures):
        print(f"dockfix: {_printable(str(failure))}", file=sys.stderr)
    if failures:
        return 2
    return 1 if not written and any(outcome.changes for outcome in outcomes) else 0


def _seen(outcome: Outcome, failure: Failure) -> Failure:
    """Return the failure with its path as seen from here."""
    return replace(failure, path=outcome.repository.prefix + failure.path) if failure.path else failure


def _printable(line: str) -> str:
    return " ".join(line.encode("utf-8", "backslashreplace").decode().split())


def _write(outcome: Outcome) -> Outcome:
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

        yield sarif.render(outcomes)
        return
    if form == "github":
        from dockfix.report import github

        yield from github.render(outcomes)
        return
    if form == "markdown":
        from dockfix.report import markdown

        yield from markdown.render(outcomes)
        return
    paint = text.colour if form == "text" and output is None and _colours() else text.plain
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


def _colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _show(parts: Iterable[str], output: str | None) -> None:
    """Print the text, or write it to the file; bytes that are not UTF-8 come out as they are."""
    if output is not None:
        try:
            with open(output, "wb") as file:
                file.writelines(map(encode, parts))
        except OSError as error:
            raise click.ClickException(f"{output}: cannot be written: {error.strerror}") from error
        return
    sys.stdout.flush()
    for part in parts:
        sys.stdout.buffer.write(encode(part))
    sys.stdout.buffer.flush()


def _ask(outcomes: Sequence[Outcome], request: Request) -> tuple[list[Outcome], bool]:
    """Ask what to write, write it, and return the outcomes and whether something was written."""
    answer = click.prompt(
        "Write these changes? (a)ll, choose by (t)ransform or by (h)unk, (n)one",
        type=click.Choice(["a", "t", "h", "n"]),
        default="n",
        show_choices=False,
    )
    match answer:
        case "a":
            return [_write(outcome) for outcome in outcomes], True
        case "t":
            names = dict.fromkeys(done.transform for outcome in outcomes for done in outcome.result.fixes)
            chosen = tuple(name for name in names if click.confirm(f"{name}?", default=True))
            if not chosen:
                return list(outcomes), False
            narrowed = replace(request, select=chosen)
            return [_write(run_one(outcome.repository, narrowed)) for outcome in outcomes], True
        case "h":
            kept = [_by_hunk(outcome) for outcome in outcomes]
            if not any(outcome.changes for outcome in kept):
                return list(outcomes), False
            return [_write(outcome) for outcome in kept], True
    return list(outcomes), False


def _by_hunk(outcome: Outcome) -> Outcome:
    """Return the outcome with only those hunks that the user wants."""
    kept = []
    for change in outcome.changes:
        wanted = []
        for hunk in changes.hunks(change.before or "", change.after):
            for line in hunk.lines:
                click.echo(text.colour(line, line[0]) if _colours() else text.harmless(line), nl=False)
            if click.confirm(f"{change.path}: write this hunk?", default=True):
                wanted.append(hunk)
        after = changes.apply_hunks(change.before or "", wanted)
        if wanted and after != change.before:
            kept.append(replace(change, after=after))
    return replace(outcome, changes=tuple(kept))
