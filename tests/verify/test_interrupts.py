"""Ctrl-C at any moment leaves no container, no image, no scratch folder behind, and the repository as it was."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest
from verifying import copied, left_behind, verify_command

from dockfix.verify.engine import Engine

pytestmark = pytest.mark.engine


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("moment", "delay", "number"),
    [
        ("copying the files", 0.0, signal.SIGINT),
        ("before: building", 2.5, signal.SIGINT),  # in the step that sleeps
        ("before: looking into the image", 0.2, signal.SIGINT),
        ("before: running", 0.0, signal.SIGINT),
        ("before: running", 1.5, signal.SIGTERM),
        ("before: building again", 0.3, signal.SIGINT),
        ("after: building", 0.8, signal.SIGHUP),
        ("after: running", 1.0, signal.SIGINT),
    ],
)
def test_nothing_is_left_behind(
    tmp_path: Path, engine: Engine, scratch: Path, moment: str, delay: float, number: signal.Signals
) -> None:
    folder = copied("plain", tmp_path)
    mark = f"dockfix.test={secrets.token_hex(6)}"
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}LABEL {mark}\nRUN sleep 3\n")
    before = contents(folder)
    process = subprocess.Popen(
        verify_command("--write", "."), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if moment in line:
            break
    time.sleep(delay)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "dockfix: stopped" in err
    assert "Traceback" not in err
    assert contents(folder) == before
    assert left_behind(engine, mark) == []


def test_nothing_is_left_behind_in_the_end(tmp_path: Path, engine: Engine, scratch: Path) -> None:
    folder = copied("plain", tmp_path)
    mark = f"dockfix.test={secrets.token_hex(6)}"
    with (folder / "Dockerfile").open("a") as file:
        file.write(f"LABEL {mark}\n")
    subprocess.run(verify_command("."), cwd=folder, check=True, capture_output=True)
    assert left_behind(engine, mark) == []
