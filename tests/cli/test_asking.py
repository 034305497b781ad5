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
        ("t\ny\nn\n", TEXT.replace("two", "due"), 0),
        ("t\nn\nn\n", TEXT, 1),
        ("h\ny\n", BOTH, 0),
        ("h\nn\n", TEXT, 1),
        ("what\nn\n", TEXT, 1),
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
