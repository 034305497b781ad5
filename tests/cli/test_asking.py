"""At a terminal the command asks before it writes."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest
from own_transforms import BOTH, TEXT, TRANSFORM

FAR_APART = "FROM scratch\nRUN one\n" + "".join(f"# {number}\n" for number in range(20)) + "RUN two\n"


def at_a_terminal(folder: Path, answers: str, *args: str) -> tuple[str, int]:
    """Run the command with a terminal and type *answers*; return what it showed and its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        code = "from dockfix.cli.main import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, *args])
    os.write(terminal, answers.encode())
    shown = b""
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not data:
            break
        shown += data
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(status)


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    (tmp_path / "own.py").write_text(TRANSFORM)
    return ["--transform", str(tmp_path / "own.py"), "--select", "say-uno,say-due"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/Dockerfile").write_text(TEXT)
    return tmp_path / "repository"


@pytest.mark.parametrize(
    ("answers", "text", "status"),
    [
        ("a\n", BOTH, 0),
        ("n\n", TEXT, 1),
        ("\n", TEXT, 1),
        ("ALL\n", BOTH, 0),
        ("q\n", TEXT, 1),
        ("\x04", TEXT, 1),
        ("t\ny\nn\ny\n", TEXT.replace("two", "due"), 0),
        ("t\ny\nn\nn\n", TEXT, 1),
        ("transform\na\n", BOTH, 0),
        ("t\nn\nq\n", TEXT, 1),
        ("t\nn\nn\n", TEXT, 1),
        ("h\ny\n", BOTH, 0),
        ("h\nn\n", TEXT, 1),
        ("h\na\n", BOTH, 0),
        ("h\nq\n", TEXT, 1),
        ("what\nn\n", TEXT, 1),
        ("what\na\n", BOTH, 0),
    ],
)
def test_what_is_answered_is_done(repository: Path, own: list[str], answers: str, text: str, status: int) -> None:
    shown, code = at_a_terminal(repository, answers, *own)
    assert "Traceback" not in shown
    assert (repository / "Dockerfile").read_text() == text
    assert code == status


def test_hunks_are_chosen_one_by_one(repository: Path, own: list[str]) -> None:
    (repository / "Dockerfile").write_text(FAR_APART)
    at_a_terminal(repository, "h\nn\ny\n", *own)
    assert (repository / "Dockerfile").read_text() == FAR_APART.replace("two", "due")


def test_what_remains_of_the_chosen_transforms_is_shown_before_it_is_written(repository: Path, own: list[str]) -> None:
    shown, _ = at_a_terminal(repository, "t\ny\nn\nn\n", *own)
    after = shown[shown.index("say-uno? (y)es") :]
    assert "+RUN due" in after
    assert "+RUN uno" not in after


def test_a_wrong_key_is_answered_with_the_right_ones(repository: Path, own: list[str]) -> None:
    shown, _ = at_a_terminal(repository, "x\nn\n", *own)
    assert "t, transform: ask for each transform" in shown


ON_BOTH = """
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def both_files(build):
    \"\"\"Change two files.\"\"\"
    if "one" in build.dockerfile.text:
        at = build.dockerfile.text.index("one")
        yield Fix("say uno", {build.path: [Edit(at, at + 3, "uno")], "notes.txt": [Edit(0, 0, "uno\\n")]}, 2)
"""


@pytest.mark.parametrize(("sure", "text"), [("n", TEXT), ("y", TEXT.replace("one", "uno"))])
def test_half_of_a_fix_is_written_only_by_someone_who_knows(repository: Path, sure: str, text: str) -> None:
    (repository / "own.py").write_text(ON_BOTH)
    options = ["--transform", "own.py", "--select", "both-files"]
    shown, _ = at_a_terminal(repository, f"h\ny\nn\n{sure}\n", *options)
    assert "both-files changes several files together" in shown
    assert (repository / "Dockerfile").read_text() == text
    assert not (repository / "notes.txt").exists()


def test_hunks_that_leave_no_dockerfile_are_not_written(repository: Path) -> None:
    fill = "".join(f"# {number}\n" for number in range(20))
    (repository / "Dockerfile").write_text(f"FROM scratch\nRUN one\n{fill}RUN two\n")
    (repository / "own.py").write_text(
        ON_BOTH.replace(
            '[Edit(at, at + 3, "uno")], "notes.txt": [Edit(0, 0, "uno\\n")]}',
            '[Edit(at, at + 3, "<<EOF"), Edit(len(build.dockerfile.text), len(build.dockerfile.text), "EOF\\n")]}',
        )
    )
    text = (repository / "Dockerfile").read_text()
    shown, status = at_a_terminal(repository, "h\ny\nn\n", "--transform", "own.py", "--select", "both-files")
    assert "Dockerfile: would not parse with these hunks: unterminated heredoc EOF: no line" in shown
    assert "nothing was written" in shown
    assert status == 2
    assert (repository / "Dockerfile").read_text() == text


def test_colours_only_where_they_are_wanted(repository: Path, own: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m+RUN uno" in at_a_terminal(repository, "n\n", *own)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in at_a_terminal(repository, "n\n", *own)[0]


def test_a_file_cannot_play_tricks_on_the_terminal(repository: Path, own: list[str]) -> None:
    (repository / "Dockerfile").write_text(TEXT.replace("FROM", "# \x1b]0;gone\x07\nFROM"))
    shown, _ = at_a_terminal(repository, "n\n", *own)
    assert "\x1b]" not in shown
