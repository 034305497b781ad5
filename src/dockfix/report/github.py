"""The result as annotations of a GitHub Actions run.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dockfix.report.mask import mask_of
from dockfix.result import Failure
from dockfix.session import Outcome


def render(outcomes: Sequence[Outcome], failures: Iterable[Failure] = ()) -> Iterator[str]:
    """Yield a line for every fix, suggestion, refusal and failure; *failures* are those of no repository."""
    mask = mask_of(outcomes)
    for failure in failures:
        yield _command("error", failure.path, failure.line, "dockfix", mask.text(failure.message))
    for outcome in map(mask.outcome, outcomes):
        prefix, result = outcome.repository.prefix if len(outcomes) > 1 else "", outcome.result
        for done in result.fixes:
            yield _command(
                "warning", prefix + done.path, done.line, done.transform, "\n".join((done.title, *done.notes))
            )
        for done in result.suggestions:
            yield _command(
                "notice", prefix + done.path, done.line, done.transform, "\n".join((done.title, *done.notes))
            )
        for skip in result.skips:
            yield _command("notice", prefix + skip.path, skip.line, skip.transform, f"left alone: {skip.reason}")
        for failure in result.failures:
            path = prefix + failure.path if failure.path else ""
            yield _command("error", path, failure.line, failure.transform or "dockfix", failure.message)


def _command(level: str, path: str, line: int, title: str, message: str) -> str:
    properties = [f"file={_property(path)}"] if path else []
    properties += [f"line={line}"] if line else []
    return f"::{level} {','.join([*properties, f'title={_property(title)}'])}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
