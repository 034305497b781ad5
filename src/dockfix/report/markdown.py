"""The result as Markdown, such as for the text of a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dockfix.records import replace
from dockfix.report.mask import mask_of
from dockfix.report.text import place
from dockfix.result import Failure
from dockfix.session import Outcome
from dockfix.transform import Safety


def render(outcomes: Sequence[Outcome], failures: Iterable[Failure] = ()) -> Iterator[str]:
    """Yield what was done, what was refused, what went wrong, and the diff; *failures* are those of no repository."""
    mask = mask_of(outcomes)
    yield from _errors([replace(failure, message=mask.text(failure.message)) for failure in failures])
    for outcome in map(mask.outcome, outcomes):
        prefix, result = outcome.repository.prefix, outcome.result
        if len(outcomes) > 1:
            yield f"## {_code(outcome.repository.prefix or '.')}\n\n"
        for heading, group in (("Changes", result.fixes), ("Not applied, for you to decide", result.suggestions)):
            if group:
                yield f"### {heading}\n\n"
            for done in dict.fromkeys(group):
                mark = "" if done.safety is Safety.SAFE else f" ({done.safety.value})"
                where = _code(place(prefix, done.path, done.line))
                yield f"- **{done.transform}**{mark} {where}: {_text(done.title)}\n"
                for note in done.notes:
                    yield f"  - {_text(note)}\n"
            if group:
                yield "\n"
        if result.skips:
            yield "### Left alone, and why\n\n"
            for skip in result.skips:
                where = _code(place(prefix, skip.path, skip.line))
                yield f"- **{skip.transform}** {where}: {_text(skip.reason)}\n"
            yield "\n"
        yield from _errors(result.failures)
        if outcome.changes:
            patch = "".join(mask.diff(change) for change in outcome.changes if change.before != change.after)
            fence = _fence(patch)
            yield f"### Diff\n\n{fence}diff\n{patch}{fence}\n\n"


def _errors(failures: Sequence[Failure]) -> Iterator[str]:
    if failures:
        yield "### Errors\n\n"
        for failure in failures:
            yield f"- {_text(str(failure))}\n"
        yield "\n"


def _fence(text: str) -> str:
    """Return a fence longer than any run of backticks in *text*."""
    return "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _text(text: str) -> str:
    """Return *text* with what Markdown or HTML would read as mark-up, or as a mention, escaped."""
    return re.sub(r"([\\`*_\[\]<>|#@])", r"\\\1", " ".join(text.split()))
