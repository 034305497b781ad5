"""Compare what two images answered: only what an image says again in its second run proves anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from dockfix.verify.run import Answer, Observation

_VOLATILE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? \d{1,2} [A-Z][a-z]{2,8} \d{4} \d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
)
_PIECE: Final = re.compile(r"[^>\n,{}]*[>\n,{}]?")
_SAME_TYPES: Final = {
    "application/javascript": "text/javascript",
    "application/x-javascript": "text/javascript",
    "text/xml": "application/xml",
    "image/vnd.microsoft.icon": "image/x-icon",
}
"""Names of one type: which of them a program says depends on whether the image has /etc/mime.types (RFC 9239)."""
_ERROR: Final = 400
SERVER_ERROR: Final = 500
_SHOWN: Final = 60


class Difference(NamedTuple):
    """How a route answers otherwise. ``worse`` tells that it is a loss."""

    text: str
    worse: bool


def normalise(body: str) -> list[str]:
    """Return the pieces of a body (lines, tags, JSON members) without times and random identities.

    JSON is compared by what it means: a development server sets it in lines of its own.
    """
    for expression, name in _VOLATILE:
        body = expression.sub(name, body)
    if body.lstrip()[:1] in ("{", "["):
        try:
            return list(_members("", json.loads(body)))
        except (ValueError, RecursionError):
            pass
    return [piece for piece in (match[0].strip() for match in _PIECE.finditer(body)) if piece]


def _members(path: str, value: object) -> Iterator[str]:
    """Yield the members of a JSON value, each with its path, in the order of their names."""
    if isinstance(value, dict) and value:
        for name in sorted(value):
            yield from _members(f"{path}.{name}" if path else name, value[name])
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _members(f"{path}[{number}]", item)
    else:
        yield f"{path}: {json.dumps(value)}" if path else json.dumps(value)


def compare_answers(before: Sequence[Observation], after: Sequence[Observation]) -> tuple[int, list[Difference]]:
    """Return how many routes could be compared, and the differences.

    A route whose status differs from run to run proves nothing, in whichever round it was asked.
    """
    differences: list[Difference] = []
    compared: set[str] = set()
    rounds = range(min((len(one.rounds) for one in before), default=0))
    for route in dict.fromkeys(route for number in rounds for route in before[0].rounds[number]):
        asked = [number for number in rounds if all(route in one.rounds[number] for one in before)]
        old = [[one.rounds[number][route] for one in before] for number in asked]
        if not asked or any(len({answer.status for answer in answers}) > 1 for answers in old):
            continue
        compared.add(route)
        pieces = _pieces(old)
        for number, answers in zip(asked, old, strict=True):
            new = [
                one.rounds[number][route] for one in after if len(one.rounds) > number and route in one.rounds[number]
            ]
            for difference in _route(answers, new, pieces[asked.index(number)]):
                shown = Difference(f"GET {route}: {difference.text}", difference.worse)
                if shown not in differences:
                    differences.append(shown)
    return len(compared), differences


class _Pieces(NamedTuple):
    """What a route says again and again. ``stable`` has None for what changes; it is None where the length changes.

    Then ``kept`` has the pieces that every answer has.
    """

    stable: Sequence[str | None] | None
    kept: Sequence[str]


def _pieces(rounds: Sequence[Sequence[Answer]]) -> list[_Pieces]:
    """Return what is to be found again, for each round: what changes in one of them proves nothing in the others."""
    bodies = [[normalise(answer.body) for answer in answers] for answers in rounds]
    if any(len({len(pieces) for pieces in told}) > 1 for told in bodies):
        every = [set(pieces) for told in bodies for pieces in told]
        kept = [piece for piece in dict.fromkeys(bodies[0][0]) if all(piece in pieces for pieces in every)]
        return [_Pieces(None, kept)] * len(bodies)
    shaky: dict[int, set[int]] = {}
    for told in bodies:
        changing = {number for number, same in enumerate(zip(*told, strict=True)) if len(set(same)) > 1}
        shaky.setdefault(len(told[0]), set()).update(changing)
    return [
        _Pieces([None if number in shaky[len(told[0])] else piece for number, piece in enumerate(told[0])], ())
        for told in bodies
    ]


def _route(old: Sequence[Answer], new: Sequence[Answer], pieces: _Pieces) -> Iterator[Difference]:
    status = old[0].status
    if not new:
        yield Difference(f"{_named(old[0])} → no answer", status is not None)
        return
    if len({answer.status for answer in new}) > 1:
        yield Difference(f"{_named(old[0])} → {' or '.join(sorted({_named(one) for one in new}))}, by turns", True)
        return
    if new[0].status != status:
        better = status is None or (status >= SERVER_ERROR and (new[0].status or 999) < SERVER_ERROR)
        yield Difference(f"{_named(old[0])} → {_named(new[0])}", not better)
        return
    if status is None or status >= _ERROR:
        return  # what an error page shows depends on the server: a debugger's shows paths, variables, the source
    for what, pick in (("content type", _type), ("location", _location)):
        values = {pick(answer) for answer in old}
        others = {pick(answer) for answer in new} - {f"{value};charset=utf-8" for value in values}  # said besides
        if len(values) == 1 and others and values != others:
            yield Difference(f"{what} {next(iter(values)) or 'none'} → {' or '.join(sorted(others)) or 'none'}", True)
            return
    yield from _bodies(pieces, [normalise(answer.body) for answer in new])


def _bodies(pieces: _Pieces, new: Sequence[Sequence[str]]) -> Iterator[Difference]:
    stable = pieces.stable
    if stable is None:
        lost = next((piece for piece in pieces.kept if not any(piece in told for told in new)), None)
        if lost is not None:
            yield _changed(lost, "")
        return
    for told in new:
        if len(told) != len(stable):
            first = next((n for n, pair in enumerate(zip(stable, told, strict=False)) if _differs(*pair)), None)
            at = first if first is not None else min(len(stable), len(told))
            yield _changed(stable[at] if at < len(stable) else "", told[at] if at < len(told) else "")
            return
    for number, piece in enumerate(stable):
        for told in new:
            if _differs(piece, told[number]):
                yield _changed(piece, told[number])
                return


def _changed(old: str | None, new: str) -> Difference:
    return Difference(f"the body differs: {_short(old or '')} → {_short(new)}", True)


def _differs(old: str | None, new: str) -> bool:
    return old is not None and old != new


def _named(answer: Answer) -> str:
    return str(answer.status) if answer.status is not None else f"no HTTP ({answer.error})"


def _type(answer: Answer) -> str:
    name, semicolon, parameters = re.sub(r'[ "]', "", answer.type.lower()).partition(";")
    return f"{_SAME_TYPES.get(name, name)}{semicolon}{parameters}"


def _location(answer: Answer) -> str:
    return re.sub(r"https?://[^/]*", "", answer.location)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…") if text else "nothing"
