"""What breaks the image is found and left out; the rest is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from verifying import copied, verify, verify_command

pytestmark = pytest.mark.engine

TRANSFORMS = Path(__file__).parent / "transforms"
OURS = "non-root-user,dockerignore"


def broken_by(*names: str) -> list[str]:
    """Return the options that bring the transforms of these names, beside two of ours."""
    files = [option for name in names for option in ("--transform", str(TRANSFORMS / f"{name}.py"))]
    return [*files, "--select", ",".join((OURS, *(name.replace("_", "-") for name in names)))]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def good(tmp_path: Path) -> dict[str, str]:
    """Return the application as dockfix's own transforms leave it."""
    folder = copied("plain", tmp_path / "good")
    command = [sys.executable, "-m", "dockfix", "--write", "--select", OURS, "."]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return contents(folder)


@pytest.mark.parametrize(
    ("name", "row", "evidence"),
    [
        ("broken_build", "builds", "cat: /no/such/file: No such file or directory"),
        ("broken_start", "starts", "can't open file '/app/serve.py'"),
        ("broken_answer", "answers", "GET /: the body differs: 'Good morning' → 'Good evening'"),
    ],
)
def test_the_guilty_transform_is_left_out(
    tmp_path: Path, good: dict[str, str], name: str, row: str, evidence: str
) -> None:
    folder = copied("plain", tmp_path)
    before = contents(folder)
    found = verify(folder, *broken_by(name))
    assert found.status == 1
    assert found.row(row)["verdict"] == "worse"
    assert contents(folder) == before, "without --write nothing is written"

    mended = verify(folder, "--write", *broken_by(name))
    assert mended.status == 0, mended.table
    assert [one["transform"] for one in mended.one["left_out"]] == [name.replace("_", "-")]
    assert any(evidence in line for line in mended.one["left_out"][0]["evidence"]), mended.one["left_out"]
    assert contents(folder) == good


def test_several_are_left_out(tmp_path: Path, good: dict[str, str]) -> None:
    folder = copied("plain", tmp_path)
    done = verify(folder, "--write", *broken_by("broken_build", "broken_start", "broken_answer"))
    assert done.status == 0, done.table
    names = {one["transform"] for one in done.one["left_out"]}
    assert names == {"broken-build", "broken-start", "broken-answer"}
    assert contents(folder) == good


def test_write_and_verify_is_the_same_as_verify_and_write(tmp_path: Path, good: dict[str, str]) -> None:
    folder = copied("plain", tmp_path)
    words = verify_command(*broken_by("broken_answer"))
    at = words.index("verify")
    command = [*words[:at], "--write", "--verify", *words[at + 1 :], "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "left out: broken-answer" in done.stdout
    assert "the rewritten image holds; written" in done.stdout
    assert contents(folder) == good


def test_an_image_that_does_not_build_now_is_left_alone(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text().replace("EXPOSE", "RUN false\nEXPOSE"))
    before = contents(folder)
    done = verify(folder, "--write")
    assert done.status == 3
    assert done.one["outcome"] == "not proved"
    assert contents(folder) == before
    done = verify(folder, "--write", "--unproved")
    assert done.status == 3
    assert contents(folder) != before


def test_what_is_not_written_does_not_count_for_the_next_dockerfile(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    text = (folder / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(text.replace("EXPOSE", "RUN false\nEXPOSE"))
    (folder / "Dockerfile.good").write_text(text)
    done = verify(folder, "--write")
    first, second = done.document["dockerfiles"]
    assert (first["outcome"], first["written"]) == ("not proved", False)
    assert (second["outcome"], second["written"]) == ("holds", True), done.table
