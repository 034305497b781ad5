"""Compare the two sides: a row for everything that a user of the image would notice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from dockfix.verify.answers import SERVER_ERROR, compare_answers
from dockfix.verify.build import Built
from dockfix.verify.configuration import configuration_rows
from dockfix.verify.content import files_row, packages_row
from dockfix.verify.result import Row, Side, Verdict
from dockfix.verify.run import Observation

_TROUBLE: Final = re.compile(
    r"PermissionError|Permission denied|ModuleNotFoundError|ImportError|FileNotFoundError|No such file or directory"
    r"|cannot open shared object file|Read-only file system|readonly database|unable to open database file"
    r"|command not found|not found in \$PATH|Operation not permitted|exec format error"
)
_IN_TRACEBACK: Final = re.compile(r"""Traceback \(most recent call last\)|  File "[^"]+", line \d+, in """)
_GROWN: Final = 1.10
_MEGABYTE: Final = 1_000_000
_EVIDENCE: Final = 12
_BAD_REQUEST: Final = 400
"""What Django says to a host that is not allowed."""


def compare(
    before: Side, after: Side, hidden: Sequence[str], changed: frozenset[str], secrets: bool
) -> tuple[Row, ...]:
    """Return the rows of the table.

    *hidden* are the image paths (of the files of before) that the new ignore file keeps out, *changed* the
    context paths of the files that dockfix changed; *secrets* tells that a transform took secrets out on purpose.
    """
    return tuple(_rows(before, after, hidden, changed, secrets))


def _rows(before: Side, after: Side, hidden: Sequence[str], changed: frozenset[str], secrets: bool) -> Iterator[Row]:
    yield _builds(before.built, after.built)
    if before.image is None or after.image is None:
        return
    yield _size(before.image.size, after.image.size)
    yield _rebuild(before.rebuilt, after.rebuilt)
    starts = _starts(before.runs, after.runs, before.plan.serves)
    yield starts
    if starts.verdict is not Verdict.WORSE:
        yield from _answers(before.runs, after.runs)
        yield from _log(before.runs, after.runs)
        yield from _health(before, after, starts.verdict)
    yield from configuration_rows(before, after, secrets=secrets)
    yield packages_row(before.image, after.image)
    yield files_row(before.image, after.image, hidden, changed)


def _builds(before: Built, after: Built) -> Row:
    old, new = _built(before), _built(after)
    if before.image is None:
        return Row("builds", old, new, Verdict.UNPROVED if after.image is None else Verdict.BETTER, before.ending)
    if after.image is None:
        return Row("builds", old, new, Verdict.WORSE, after.ending)
    return Row("builds", old, new, Verdict.SAME)


def _built(built: Built) -> str:
    if built.image is not None:
        return f"yes, {built.seconds:.1f} s"
    return f"no: {built.failed.text}" if built.failed else "no"


def _size(before: int, after: int) -> Row:
    verdict = Verdict.SAME
    if before - after > max(before / 100, _MEGABYTE):
        verdict = Verdict.BETTER
    elif after > before * _GROWN and after - before > 10 * _MEGABYTE:
        verdict = Verdict.WORSE
    percent = (
        f" ({(after - before) / before * 100:+.0f} %)" if before and round((after - before) / before * 100) else ""
    )
    return Row("size", megabytes(before), megabytes(after) + percent, verdict)


def megabytes(size: int) -> str:
    """Return a number of bytes as people read it, in powers of ten as the engines do."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _rebuild(before: Built | None, after: Built | None) -> Row:
    if before is None or after is None:
        return Row("rebuild", "-", "-", Verdict.UNPROVED, ("no source file of the application that a COPY brings",))
    old, new = (
        f"{one.seconds:.1f} s, {one.cached} of {len(one.steps)} steps cached" if one.image else "fails"
        for one in (before, after)
    )
    if before.image is None:
        return Row("rebuild", old, new, Verdict.UNPROVED, before.ending)
    if after.image is None:
        return Row("rebuild", old, new, Verdict.WORSE, after.ending)
    gained = before.seconds - after.seconds
    verdict = Verdict.SAME
    if gained > max(0.5, before.seconds * 0.2):
        verdict = Verdict.BETTER
    elif -gained > max(5.0, before.seconds * 0.5) and _commands_run(after) > _commands_run(before):
        verdict = Verdict.WORSE  # seconds alone may be the machine's
    again = tuple(f"not from the cache: {step.text}" for step in after.steps if not step.cached)
    return Row("rebuild", old, new, verdict, again)


def _commands_run(built: Built) -> int:
    return sum(1 for step in built.steps if not step.cached and step.text.upper().startswith("RUN "))


def _starts(before: Sequence[Observation], after: Sequence[Observation], serves: bool) -> Row:
    old, new = _started(before), _started(after)
    row = Row("starts", old, new, Verdict.SAME)
    evidence = tuple(line for line in after[-1].log[-_EVIDENCE:] if line.strip())
    if after[-1].refused:
        evidence = (after[-1].refused, *evidence)
    if not any(one.ports for one in before) and all(_fine(one) and one.rounds for one in after) and _only_errors(after):
        hint = "it listens now, and answers with errors only: very often it needs a database"  # one that listens first
        return row._replace(verdict=Verdict.UNPROVED, details=(hint, *evidence))
    if not all(_works(one, serves) for one in before):
        if all(_works(one, serves) for one in after):
            return row._replace(verdict=Verdict.BETTER)
        if new_trouble := _new_trouble(before, after):
            return row._replace(verdict=Verdict.WORSE, details=(f"new: {new_trouble[0]}", *evidence))
        old_log = tuple(line for line in before[-1].log[-_EVIDENCE:] if line.strip())
        return row._replace(verdict=Verdict.UNPROVED, details=old_log or ((before[-1].refused or ""),))
    kinds = _kind(before[-1]), _kind(after[-1])
    if not all(map(_fine, after)) or (kinds[0] != kinds[1] and kinds != ("stays up", "listens")):
        return row._replace(verdict=Verdict.WORSE, details=evidence)
    here, there = _steady(before), _steady(after)
    lost = [port for port in here if port not in there]
    closed = [port for port in here if not here[port] and there.get(port)]
    if lost or closed:
        said = [f"nothing listens on {port} any more" for port in lost]
        said += [f"{port} is reached from inside the container only" for port in closed]
        return row._replace(verdict=Verdict.WORSE, details=(*said, *evidence))
    opened = tuple(f"also listens on {port}" for port in there if port not in here)
    return row._replace(verdict=Verdict.INTENDED if opened else Verdict.SAME, details=opened)


def _steady(runs: Sequence[Observation]) -> dict[int, bool]:
    """Return the ports that every run listens on; others are given by the system, between a server and its workers."""
    return {port: local for port, local in runs[-1].ports if all(port in dict(one.ports) for one in runs)}


def _fine(one: Observation) -> bool:
    return one.refused is None and not one.out_of_memory and (one.running or one.code == 0)


def _works(one: Observation, serves: bool) -> bool:
    """Whether the program does its work: a server that waits for a change of the broken source stays up, too."""
    idle = serves and one.running and not one.ports and one.unseen is None
    return _fine(one) and not (idle and any(map(_IN_TRACEBACK.match, one.log)))  # whose beginning may be cut off


def _kind(one: Observation) -> str:
    return "listens" if one.ports and one.running else "stays up" if one.running else "ends"


def _started(runs: Sequence[Observation]) -> str:
    texts = []
    for one in runs:
        if one.refused is not None:
            text = "cannot be started"
        elif one.out_of_memory:
            text = "runs out of memory"
        elif not one.running:
            text = f"ends with status {one.code}"
        elif one.ports:
            ports = ", ".join(f"{port}{' (loopback)' if local else ''}" for port, local in one.ports)
            text = f"listens on {ports}"
        else:
            text = "stays up" + (f" ({one.unseen})" if one.unseen else ", listens nowhere")
        texts.append(text)
    return " or ".join(dict.fromkeys(texts))


def _answers(before: Sequence[Observation], after: Sequence[Observation]) -> Iterator[Row]:
    if not any(one.rounds for one in before):
        return
    count, differences = compare_answers(before, after)
    asked = len({route for answers in before[0].rounds for route in answers})
    routes = f"{count}{f' of {asked}' if count < asked else ''} route{'' if asked == 1 else 's'}"
    if not count:
        yield Row("answers", "differs from run to run", "", Verdict.UNPROVED)
        return
    summary = _statuses(before)
    if any(one.worse for one in differences):
        yield Row("answers", summary, "differs", Verdict.WORSE, tuple(one.text for one in differences))
    elif differences:
        yield Row("answers", summary, _statuses(after), Verdict.BETTER, tuple(one.text for one in differences))
    elif _only_errors(before):
        hint = "nothing but errors: it lacks something, or refuses the host; --env and --with-services may help it"
        yield Row("answers", summary, f"the same, {routes}", Verdict.UNPROVED, (hint,))
    else:
        yield Row("answers", summary, f"the same, {routes}", Verdict.SAME)


def _only_errors(runs: Sequence[Observation]) -> bool:
    statuses = {answer.status for one in runs for asked in one.rounds for answer in asked.values()}
    return all(status is None or status == _BAD_REQUEST or status >= SERVER_ERROR for status in statuses)


def _statuses(runs: Sequence[Observation]) -> str:
    found: dict[str, int] = {}
    for answer in runs[0].rounds[0].values() if runs and runs[0].rounds else ():
        name = str(answer.status) if answer.status is not None else f"no HTTP ({answer.error})"
        found[name] = found.get(name, 0) + 1
    return ", ".join(f"{count} of {name}" if count > 1 else name for name, count in found.items()) or "none"


def _new_trouble(before: Sequence[Observation], after: Sequence[Observation]) -> list[str]:
    """Return lines of the new log that show a trouble of a kind that the old one does not."""
    known = {match for one in before for line in one.log for match in _TROUBLE.findall(line)}
    lines = [line.strip() for one in after for line in one.log if set(_TROUBLE.findall(line)) - known]
    return list(dict.fromkeys(lines))


def _log(before: Sequence[Observation], after: Sequence[Observation]) -> Iterator[Row]:
    lines = _new_trouble(before, after)
    if lines:
        yield Row("log", "", "new trouble", Verdict.WORSE, tuple(lines[:_EVIDENCE]))


def _health(before: Side, after: Side, starts: Verdict) -> Iterator[Row]:
    old, new = ([one.healthy for one in side.runs if one.healthy is not None] for side in (before, after))
    if not old and not new:
        return
    first, second = ("none" if not found else "healthy" if all(found) else "unhealthy" for found in (old, new))
    match [first, second]:
        case ["none", "healthy"] | ["unhealthy", "healthy"]:
            verdict = Verdict.BETTER
        case ["healthy", "healthy"]:
            verdict = Verdict.SAME
        case ["unhealthy", "unhealthy"]:
            verdict = Verdict.UNPROVED
        case _:  # of a program that does not work as it is, none can be healthy
            verdict = Verdict.UNPROVED if starts is Verdict.UNPROVED else Verdict.WORSE
    worst = next((one.ailing for side in (after, before) for one in side.runs if one.ailing), ())
    yield Row("health", first, second, verdict, worst if "unhealthy" in (first, second) else ())
