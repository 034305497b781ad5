"""Programs are run with a limit, line by line, and never left behind."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from dockfix.verify.process import Finished, Interrupts, capture, execute
from dockfix.verify.progress import Progress

CHILDREN = "import subprocess, sys; subprocess.Popen(['sleep', '60']).wait()"


def test_what_a_program_says() -> None:
    lines: list[str] = []
    script = "import sys; print('one'); print('two', end=''); print('oh', file=sys.stderr); sys.exit(3)"
    done = execute([sys.executable, "-c", script], timeout=20, interrupts=Interrupts(), on_line=lines.append)
    assert (done.code, done.stdout, done.stderr) == (3, "one\ntwo", "oh\n")
    assert lines == ["one", "two"]
    assert not done.ok
    assert done.complaint == "oh"
    asked = Finished(125, "", "invalid argument\nSee 'docker create --help'.\n")
    assert asked.complaint == "invalid argument"


def test_input_and_environment() -> None:
    done = execute(
        ["sh", "-c", "cat; echo $A"], timeout=20, interrupts=Interrupts(), stdin="in ", environment={"A": "b"}
    )
    assert done.stdout == "in b\n"


def test_a_program_out_of_time() -> None:
    start = time.monotonic()
    done = execute([sys.executable, "-c", CHILDREN], timeout=0.5, interrupts=Interrupts())
    assert done.code is None
    assert done.complaint == "it ran out of time"
    assert time.monotonic() - start < 5


def test_no_more_is_kept_than_asked_for(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as sink:
        _, code = capture(["yes"], timeout=20, interrupts=Interrupts(), sink=sink, most=100_000)
    assert code is None
    assert (tmp_path / "out").stat().st_size < 300_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_program_and_its_children(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            execute([sys.executable, "-c", CHILDREN], timeout=60, interrupts=interrupts)
        assert time.monotonic() - start < 10
        interrupts.hold()
        assert execute(["echo", "tidy"], timeout=20, interrupts=interrupts).stdout == "tidy\n"
    assert signal.getsignal(number) == before


class Terminal(io.StringIO):
    """A terminal that remembers what was drawn."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = Progress(terminal)
    progress.phase("Dockerfile: before: building")
    time.sleep(0.15)
    progress.step("[2/5] RUN pip \x1b[31m install")
    progress.end()
    drawn = terminal.getvalue()
    assert "\n" not in drawn
    assert "0:00 Dockerfile: before: building: [2/5] RUN pip ?[31m install" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_progress_goes_on_while_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal whose width nobody knows says 0."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    monkeypatch.setattr(terminal, "fileno", lambda: 1, raising=False)
    progress = Progress(terminal)
    progress.phase("Dockerfile: before: running")
    progress.step("asking it")
    time.sleep(1.1)
    progress.tick()
    assert terminal.getvalue().endswith("0:01 Dockerfile: before: running: asking it")
    progress.end()
    drawn = terminal.getvalue()
    progress.tick()
    assert terminal.getvalue() == drawn, "there is nothing to wait for any more"


def test_progress_elsewhere_is_a_line_a_phase() -> None:
    log = io.StringIO()
    progress = Progress(log)
    progress.phase("Dockerfile: before: building")
    progress.step("[2/5] RUN pip install")
    progress.end()
    assert log.getvalue() == "dockfix: Dockerfile: before: building\n"
