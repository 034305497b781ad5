"""What two images answered: only what an image says again proves anything."""

from __future__ import annotations

import json

import pytest

from dockfix.verify.answers import compare_answers, normalise
from dockfix.verify.run import Answer, Observation


def answer(body: str = "", status: int | None = 200, kind: str = "text/html", error: str = "", to: str = "") -> Answer:
    return Answer(status, kind, body, to, error)


def observed(*rounds: dict[str, Answer]) -> Observation:
    return Observation(None, True, None, False, ((80, False),), 80, 0.5, rounds, None, ())


def difference(before: list[Answer], after: list[Answer]) -> list[tuple[str, bool]]:
    """Compare runs of which each asked for ``/`` once."""
    old, new = ([observed({"/": one}) for one in side] for side in (before, after))
    return [(one.text, one.worse) for one in compare_answers(old, new)[1]]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (answer("hello"), answer("hello"), []),
        (answer("hello"), answer("hullo"), [("GET /: the body differs: 'hello' → 'hullo'", True)]),
        (answer("hello"), answer("hello", 404), [("GET /: 200 → 404", True)]),
        (answer("oops", 500), answer("hello"), [("GET /: 500 → 200", False)]),
        (answer("oops", 500), answer("another page", 500), []),
        (answer("at /usr/local/lib", 400), answer("at /opt/venv/lib", 400), []),
        (answer("oops", 404), answer("oops", 403), [("GET /: 404 → 403", True)]),
        (answer("x", kind="text/html"), answer("x", kind="text/plain"), None),
        (
            answer("x", kind="text/javascript; charset=utf-8"),
            answer("x", kind="application/javascript;charset=utf-8"),
            [],
        ),
        (answer("x", kind="text/css"), answer("x", kind='text/css; charset="utf-8"'), []),
        (answer("x", kind="text/css; charset=utf-8"), answer("x", kind="text/css"), None),
        (answer("x", kind="text/css"), answer("x", kind="text/css; charset=latin-1"), None),
        (answer(to="http://localhost/login", status=302), answer(to="/login", status=302), []),
        (answer(to="/login", status=302), answer(to="/", status=302), None),
        (answer("at 2026-11-21 08:00:01"), answer("at 2026-11-21 08:07:43"), []),
        (answer("x"), answer("", None, error="BadStatusLine"), None),
    ],
)
def test_a_route(before: Answer, after: Answer, expected: list[tuple[str, bool]] | None) -> None:
    found = difference([before, before], [after, after])
    if expected is None:
        assert len(found) == 1
        assert found[0][1]
    else:
        assert found == expected


def test_what_differs_from_run_to_run_proves_nothing() -> None:
    assert difference([answer("token 17"), answer("token 23")], [answer("token 5"), answer("token 99")]) == []
    assert difference([answer(), answer(status=503)], [answer(status=404), answer(status=404)]) == []


def test_what_changes_in_one_round_proves_nothing_in_the_other() -> None:
    """Two runs that agree by chance."""
    old = [
        observed({"/": answer("heads")}, {"/": answer("heads")}),
        observed({"/": answer("heads")}, {"/": answer("tails")}),
    ]
    new = [observed({"/": answer("tails")}, {"/": answer("heads")})] * 2
    assert compare_answers(old, new) == (1, [])
    old = [observed({"/": answer()}, {"/": answer()}), observed({"/": answer()}, {"/": answer(status=500)})]
    new = [observed({"/": answer(status=500)}, {"/": answer()})] * 2
    assert compare_answers(old, new) == (0, [])


def test_a_body_whose_length_changes() -> None:
    """What all of the answers say has to be said again."""
    old = [answer("<ul><li>x</li></ul><b>total</b>"), answer("<ul><li>x</li><li>x</li></ul><b>total</b>")]
    longer = answer("<ul><li>x</li><li>x</li><li>x</li></ul><b>total</b>")
    assert difference(old, [longer, longer]) == []
    other = longer._replace(body=longer.body.replace("total", "no such table"))
    assert difference(old, [other, other]) == [("GET /: the body differs: 'total</b>' → nothing", True)]


def test_what_repeats_beside_what_does_not_is_compared() -> None:
    old = [answer("<p>17</p><b>total</b>"), answer("<p>23</p><b>total</b>")]
    new = [answer("<p>5</p><b>sum</b>"), answer("<p>6</p><b>sum</b>")]
    ((text, worse),) = difference(old, new)
    assert worse
    assert "total" in text
    assert "sum" in text


def test_answers_by_turns() -> None:
    """Workers that do not share their state answer differently."""
    ((text, worse),) = difference([answer(), answer()], [answer(), answer(status=404)])
    assert worse
    assert text == "GET /: 200 → 200 or 404, by turns"


def test_a_route_that_is_not_answered_any_more() -> None:
    old = [observed({"/": answer(), "/items": answer()})] * 2
    new = [observed({"/": answer()})] * 2
    count, found = compare_answers(old, new)
    assert count == 2
    assert [(one.text, one.worse) for one in found] == [("GET /items: 200 → no answer", True)]


def test_json_is_compared_by_what_it_means() -> None:
    value = {"b": [1, {"c": None}], "a": "x"}
    pretty, short = json.dumps(value, indent=2), json.dumps(value, separators=(",", ":"), sort_keys=True)
    assert normalise(pretty) == normalise(short)
    assert normalise(short) != normalise(short.replace("1", "2"))
