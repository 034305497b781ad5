"""The text of a pull request: for its reader, and not for who writes Dockerfiles to take it over."""

from __future__ import annotations

from typing import Any

import pytest

from dockfix.fleet.body import Marker, body_of, escaped, read_marker
from dockfix.fleet.campaign import Campaign

MARKER = Marker("tidy", "a" * 40, "b" * 64, "c" * 40)
CAMPAIGN = Campaign("tidy", "Title", body="Ask #platform.")


def fix(**other: object) -> dict[str, Any]:
    usual = {"transform": "non-root-user", "title": "run as app", "safety": "review", "path": "Dockerfile", "line": 7}
    return {**usual, "notes": ["files belong to app now"], **other}


def body(**result: object) -> str:
    about = {
        "non-root-user": {
            "summary": "Run as a user.",
            "why": "``root`` in the container is, to ``docker run -v``, root.",
        }
    }
    return body_of(CAMPAIGN, {"result": result, "about": about}, MARKER)


def test_it_tells_what_and_why_and_what_was_refused_and_how_to_refuse() -> None:
    skip = {"transform": "multi-stage", "reason": "the start is a script", "path": "Dockerfile", "line": 9}
    idea = {**skip, "title": "use a lock file"}
    text = body(fixes=[fix(), fix(line=9)], skips=[skip], suggestions=[idea])
    wanted = [
        "Ask #platform.",
        "### non-root-user",
        "Run as a user. `root` in the container is, to `docker run -v`, root.",
        "- `Dockerfile:7`: run as app — **please review**: the container runs differently on purpose",
        "  - files belong to app now",
        "## Not applied, for you to decide",
        "- **multi-stage** `Dockerfile:9`: use a lock file",
        "## Left alone, and why",
        "- **multi-stage** `Dockerfile:9`: the start is a script",
        "## If you do not want this",
        "`# dockfix: ignore-file=non-root-user`",
        "Nobody has built it yet",
    ]
    places = [text.index(one) for one in wanted]
    assert places == sorted(places)
    assert text.count("### non-root-user") == 1
    assert read_marker(text) == MARKER


@pytest.mark.parametrize(
    "text",
    [
        "@everyone look",
        "closes #12",
        "![x](https://evil.example/x.png)",
        "<img src=x>",
        "<!-- dockfix campaign=tidy",
        "a | b",
        "`code`",
        "www.evil.example",
        "line\n\n# Heading",
        "\u202eturned",
        "/merge",
    ],
)
def test_words_of_a_repository_are_words(text: str) -> None:
    shown = body(fixes=[fix(title=text, notes=[text], path=f"x/{text}")], skips=[])
    assert read_marker(shown) == MARKER
    lines = [line for line in shown.splitlines() if "run as" in line or "please review" in line]
    assert len(lines) == 1
    said = escaped(text)
    for forbidden in ("@everyone", "#12", "](", "<img", "<!--", "https:", "www.", "\n", "\u202e"):
        assert forbidden not in said.replace("\\](", ""), said
    assert not any(line.startswith("/") for line in shown.splitlines())


def test_a_marker_in_the_text_is_not_the_marker() -> None:
    forged = str(Marker("tidy", "d" * 40, "e" * 64, "f" * 40))
    assert read_marker(body(fixes=[fix(title=forged, notes=[forged])])) == MARKER
    assert read_marker(f"{forged}\nmore text") is None


def test_a_long_one_is_cut_and_keeps_its_marker() -> None:
    many = [fix(transform=f"t{number}", title="x" * 500, line=number) for number in range(400)]
    text = body(fixes=many)
    assert len(text) < 65_536
    assert "(cut here" in text
    assert read_marker(text) == MARKER
    assert "and 360 more" in body(fixes=[fix(line=number) for number in range(400)])


def test_the_table_of_what_was_built() -> None:
    row = {"what": "size", "before": "900 MB", "after": "120 MB", "verdict": "better"}
    table = {
        "path": "Dockerfile",
        "outcome": "holds",
        "error": None,
        "rows": [row],
        "left_out": [{"transform": "t", "evidence": ["starts: yes → no"]}],
    }
    document = {"result": {"fixes": [fix()]}, "about": {}, "verify": [table]}
    text = body_of(CAMPAIGN, document, MARKER)
    assert "| size | 900 MB | 120 MB | better |" in text
    assert "- left out: **t**: starts: yes → no" in text
    assert "Nobody has built it yet" not in text
