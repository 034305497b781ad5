"""Keep the values of secrets out of what leaves the machine: JSON, SARIF, annotations, Markdown, pages, logs.

A terminal and ``--format patch`` show a file as it is: the reader has it, and ``git apply`` must find it. Everywhere
else a value is shown as ``***``, whether a fix removes it or it only stands in a line beside one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar, cast

from dockfix.build.secrets import secret_in, secret_spans
from dockfix.changes import Change
from dockfix.records import replace
from dockfix.result import Done
from dockfix.session import Outcome

if TYPE_CHECKING:
    from dockfix.verify.result import Side
    from dockfix.verify.session import Verified

T = TypeVar("T")
SHOWN: Final = "***"
_CODE: Final = (".py", ".pyi", ".js", ".ts", ".toml")
_COMMON: Final = frozenset(
    {"admin", "adminadmin", "app", "database", "debug", "default", "dev", "development", "django", "docker", "example"}
    | {
        "fastapi",
        "flask",
        "guest",
        "local",
        "localhost",
        "mariadb",
        "mongo",
        "mongodb",
        "mysql",
        "password",
        "postgres",
    }
    | {"postgresql", "prod", "production", "public", "python", "rabbitmq", "redis", "root", "secret", "server", "test"}
    | {"testing", "token", "user", "username", "value"}
)
"""Hidden only where they stand as the value of a secret: elsewhere they are words like others."""
_SHORTEST: Final = 5


class Mask:
    """Hides the values of some secrets, and whatever looks like one, in texts."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        spellings = {spelling for value in values for spelling in _spellings(value)}
        parts = [_expression(item) for item in sorted(spellings, key=lambda item: (-len(item), item))]
        self._known = re.compile("|".join(parts)) if parts else None

    def text(self, text: str, *, code: bool = False) -> str:
        """Return *text* with secrets hidden; *code* tells that it is code, in which only literals are values."""
        spans = secret_spans(text, code=code)
        if self._known is not None:
            spans += [match.span() for match in self._known.finditer(text)]
        parts: list[str] = []
        position = 0
        for start, end in _joined(spans):
            parts += (text[position:start], SHOWN)
            position = end
        return "".join([*parts, text[position:]])

    def diff(self, change: Change) -> str:
        """Return the diff of *change* with secrets hidden in all of its lines."""
        code = change.path.endswith(_CODE)
        lines = change.diff.split("\n")
        return "\n".join(line[:1] + self.text(line[1:], code=code) for line in lines)

    def done(self, done: Done) -> Done:
        """Return a fix whose title and notes hold no secret."""
        return replace(
            done, title=self.text(done.title), notes=tuple(map(self.text, done.notes)), secrets=(), variables=()
        )

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return the outcome with no secret in a title, note, reason or message; its changes stay as they are."""
        result = outcome.result
        return replace(
            outcome,
            result=replace(
                result,
                fixes=tuple(map(self.done, result.fixes)),
                suggestions=tuple(map(self.done, result.suggestions)),
                skips=tuple(replace(skip, reason=self.text(skip.reason)) for skip in result.skips),
                failures=tuple(replace(failure, message=self.text(failure.message)) for failure in result.failures),
            ),
        )

    def verified(self, one: Verified) -> Verified:
        """Return a verification with no secret in what its reports show: tables, evidence, logs, layers, errors."""
        return one._replace(
            rows=self._within(one.rows),
            result=replace(one.result, fixes=tuple(map(self.done, one.result.fixes))),
            left_out=self._within(one.left_out),
            notes=self._within(one.notes),
            error=self._within(one.error),
            before=one.before and self._side(one.before),
            after=one.after and self._side(one.after),
        )

    def _side(self, side: Side) -> Side:
        image = side.image and side.image._replace(layers=self._within(side.image.layers))
        built, rebuilt = self._within(side.built), self._within(side.rebuilt)
        return side._replace(built=built, rebuilt=rebuilt, image=image, runs=self._within(side.runs))

    def _within(self, value: T) -> T:
        """Return *value* with every text in it masked, however deep in tuples it stands."""
        if isinstance(value, str) and not isinstance(value, Enum):
            return cast("T", self.text(value))
        if isinstance(value, tuple):
            parts = [self._within(part) for part in value]
            return cast("T", type(value)(*parts) if hasattr(value, "_fields") else tuple(parts))
        return value


def masked(verified: Iterable[Verified]) -> list[Verified]:
    """Return verifications without the secrets that their fixes name, their files hold and their containers get."""
    found = list(verified)
    values: list[str] = []
    for one in found:
        values += _values(Outcome(one.repository, one.changes, one.result))
        for side in (one.before, one.after):
            given = [*side.plan.environment.items(), *side.plan.arguments] if side else []
            values += (secret for name, value in given if value and (secret := secret_in(name, value)))
    mask = Mask(values)
    return [mask.verified(one) for one in found]


def mask_of(outcomes: Iterable[Outcome]) -> Mask:
    """Return the mask for these outcomes: the secrets that fixes name, and those in the files that they change."""
    return Mask(value for outcome in outcomes for value in _values(outcome))


def _values(outcome: Outcome) -> Iterator[str]:
    for done in (*outcome.result.fixes, *outcome.result.suggestions):
        yield from done.secrets
    for change in outcome.changes:
        for text in (change.before, change.after):
            if text is not None:
                for start, end in secret_spans(text, code=change.path.endswith(_CODE)):
                    yield text[start:end]


def _spellings(value: str) -> Iterator[str]:
    """Yield the ways in which files and messages write a value: quoted for a URL, YAML, Python, JSON, HTML, a line."""
    from html import escape
    from json import dumps
    from urllib.parse import quote, quote_plus, unquote

    for line in value.splitlines():
        text = line.strip()
        if len(text) < _SHORTEST or text.lower() in _COMMON:
            continue
        plain = text.encode("utf-8", "surrogateescape")
        yield from (text, unquote(text), quote(plain, safe=""), quote(plain), quote_plus(plain), quote(plain).lower())
        yield from (text.replace("$", "$$"), text.replace("$$", "$"), text.replace("'", "''"), escape(text))
        yield from (dumps(text)[1:-1], repr(text)[1:-1], text.replace("\\", "\\\\"), re.sub(r"\\(.)", r"\1", text))


def _expression(value: str) -> str:
    """Return the regular expression that finds *value*; a short one not in the middle of a word."""
    found = re.escape(value)
    return found if len(value) >= 8 else rf"(?<![A-Za-z0-9_]){found}(?![A-Za-z0-9_])"


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the spans in order, those that touch as one."""
    current: tuple[int, int] | None = None
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if current is not None and start <= current[1]:
            current = (current[0], max(current[1], end))
            continue
        if current is not None:
            yield current
        current = (start, end)
    if current is not None:
        yield current
