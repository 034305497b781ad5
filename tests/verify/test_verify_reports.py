"""The result for people, for pull requests and for programs."""

from __future__ import annotations

import json

from dockfix.changes import Change
from dockfix.project.files import MemoryFiles
from dockfix.report import verify_json, verify_markdown, verify_text
from dockfix.result import Done, Result
from dockfix.session import Repository
from dockfix.transform import Safety
from dockfix.verify.build import Built
from dockfix.verify.plan import make_plan
from dockfix.verify.result import LeftOut, Outcome, Row, Side, Verdict
from dockfix.verify.session import Verified

PLAN = make_plan(MemoryFiles({"Dockerfile": "FROM python\n"}), "Dockerfile", {})
ROWS = (
    Row("builds", "yes, 2.0 s", "yes, 1.0 s", Verdict.SAME),
    Row("size", "1.48 GB", "430.0 MB (-71 %)", Verdict.BETTER),
    Row("user", "root", "app", Verdict.INTENDED),
    Row("log", "", "new | trouble \x1b[31m", Verdict.WORSE, ("PermissionError: <x>",)),
)
SIDE = Side(PLAN, Built("sha256:1", 2.0, ()), None, (), None)
VERIFIED = Verified(
    Repository("/repository", "web/", ("Dockerfile",)),
    "Dockerfile",
    Outcome.HOLDS,
    ROWS,
    SIDE,
    SIDE,
    Result(),
    (Change("Dockerfile", "FROM python\n", "FROM python:3.12\n"),),
    (LeftOut("slim-base", ("builds: yes → no", "no such image")),),
    ("a note",),
)


def test_text() -> None:
    assert "".join(verify_text.render(VERIFIED, written=True)).splitlines() == [
        "web/Dockerfile",
        "          before      after",
        "  builds  yes, 2.0 s  yes, 1.0 s           same",
        "  size    1.48 GB     430.0 MB (-71 %)     better",
        "  user    root        app                  intended",
        "  log                 new | trouble \ufffd[31m  worse",
        "          PermissionError: <x>",
        "  left out: slim-base",
        "    builds: yes → no",
        "    no such image",
        "  a note",
        "  the rewritten image holds; written",
    ]


def test_a_line_without_end() -> None:
    """Pip names all of the versions that there are."""
    row = Row("builds", "yes", "no", Verdict.WORSE, ("0.1, " * 1000,))
    long = VERIFIED._replace(rows=(row,), left_out=(LeftOut("slim-base", row.details),))
    for text in ("".join(verify_text.render(long)), "".join(verify_markdown.render([long]))):
        assert max(map(len, text.splitlines())) < 600
    assert row.details[0] in verify_json.render([long])


DONE = Done("app-config-from-env", "settings.py", 3, "take KEY from the environment", Safety.REVIEW, ("Set KEY.",), ())
REWRITTEN = VERIFIED._replace(result=Result(fixes=(DONE, DONE)))


def test_what_was_done_and_what_is_left_to_do() -> None:
    """A program that needs a variable now does not start where nobody is told."""
    lines = "".join(verify_text.render(REWRITTEN)).splitlines()
    assert "  done: app-config-from-env" in lines
    assert lines.count("  app-config-from-env: Set KEY.") == 1
    text = "".join(verify_markdown.render([REWRITTEN]))
    assert "- done: app-config-from-env\n- app-config-from-env: Set KEY.\n" in text
    (one,) = json.loads(verify_json.render([REWRITTEN]))["dockerfiles"]
    assert one["fixes"][0] == {
        "transform": "app-config-from-env",
        "title": "take KEY from the environment",
        "safety": "review",
        "path": "settings.py",
        "line": 3,
        "notes": ["Set KEY."],
    }
    unbuilt = REWRITTEN._replace(after=None)
    assert "done:" not in "".join(verify_text.render(unbuilt)), "nothing was"


def test_how_it_ends() -> None:
    ending = verify_text.ending
    assert ending(VERIFIED, None) == "the rewritten image holds"
    assert (
        ending(VERIFIED._replace(outcome=Outcome.WORSE), False) == "the rewritten image is worse; nothing was written"
    )
    failed = VERIFIED._replace(outcome=Outcome.FAILED, error="no space", changes=())
    assert ending(failed, None) == "could not be verified: no space"
    unbuilt = VERIFIED._replace(before=SIDE._replace(built=Built(None, 1.0, ())), outcome=Outcome.UNPROVED)
    assert ending(unbuilt, None) == "the image does not build as it is: nothing can be proved"
    assert "--with-services" in ending(VERIFIED._replace(outcome=Outcome.UNPROVED), None)


def test_markdown() -> None:
    text = "".join(verify_markdown.render([VERIFIED], written=frozenset({"web/Dockerfile"})))
    assert "### `web/Dockerfile`: built and run before and after\n" in text
    assert "| user | root | app | intended |\n" in text
    assert r"new \| trouble" in text, "a bar does not end the cell"
    assert "\x1b" not in text
    assert "<x>" not in text, "it is no markup"
    assert "- left out: **slim-base**: builds: yes → no; no such image\n" in text
    assert text.endswith("the rewritten image holds; written.\n\n")


def test_json() -> None:
    document = json.loads(verify_json.render([VERIFIED], written=frozenset({"web/Dockerfile"})))
    assert document["version"] == 1
    (one,) = document["dockerfiles"]
    assert one["path"] == "web/Dockerfile"
    assert (one["outcome"], one["written"], one["error"]) == ("holds", True, None)
    assert one["rows"][2] == {"what": "user", "before": "root", "after": "app", "verdict": "intended", "details": []}
    assert one["left_out"] == [{"transform": "slim-base", "evidence": ["builds: yes → no", "no such image"]}]
    assert one["changed_files"] == ["Dockerfile"]
    assert one["before"]["build"]["ok"]
