"""The result as other programs take it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_transforms import TEXT, TRANSFORM
from test_command import dockfix


@pytest.fixture
def shown(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/Dockerfile").write_text(TEXT)
    (tmp_path / "own.py").write_text(TRANSFORM)
    options = ["--transform", "../own.py", "--select", "say-uno,say-due", "--format", request.param]
    done = dockfix(*options, cwd=tmp_path / "repository")
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize("shown", ["github"], indirect=True)
def test_github_annotates_lines(shown: str) -> None:
    assert "::warning file=Dockerfile,line=2,title=say-uno::Say uno%0Alook twice\n" in shown
    assert "::notice file=Dockerfile,line=1,title=say-uno::left alone: the last line is holy\n" in shown


@pytest.mark.parametrize("shown", ["markdown"], indirect=True)
def test_markdown_tells_and_shows(shown: str) -> None:
    assert "- **say-uno** `Dockerfile:2`: Say uno\n  - look twice\n" in shown
    assert "- **say-due** (review) `Dockerfile:3`: Say due\n" in shown
    assert "```diff\ndiff --git a/Dockerfile b/Dockerfile\n" in shown


@pytest.mark.parametrize("shown", ["sarif"], indirect=True)
def test_sarif_places_results(shown: str) -> None:
    (run,) = json.loads(shown)["runs"]
    places = [
        (
            result["ruleId"],
            result["level"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    ]
    assert places == [
        ("say-due", "warning", "Dockerfile", 3),
        ("say-uno", "warning", "Dockerfile", 2),
        ("say-uno", "note", "Dockerfile", 1),
    ]
    rules = run["tool"]["driver"]["rules"]
    assert [(rule["id"], rule["shortDescription"]["text"]) for rule in rules] == [
        ("say-due", "Say due."),
        ("say-uno", "Say uno."),
    ]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("github", "::error file=missing,title=dockfix::no such file or folder\n"),
        ("markdown", "### Errors\n\n- missing: no such file or folder\n"),
        ("sarif", '"executionSuccessful": false'),
        ("json", '"message": "no such file or folder"'),
    ],
)
def test_every_format_tells_what_went_wrong(tmp_path: Path, form: str, expected: str) -> None:
    done = dockfix("--format", form, "missing", cwd=tmp_path)
    assert done.returncode == 2
    assert expected in done.stdout
