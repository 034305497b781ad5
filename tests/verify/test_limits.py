"""Time and memory are bounded, and what the user sees: the table, Markdown, and errors in one line."""

from __future__ import annotations

import io
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from verifying import copied, verify, verify_command

from dockfix.project.files import MemoryFiles
from dockfix.verify.build import Built
from dockfix.verify.check import Checker, Limits
from dockfix.verify.engine import Docker
from dockfix.verify.plan import make_plan
from dockfix.verify.process import Interrupts
from dockfix.verify.progress import Progress
from dockfix.verify.scratch import Scratch


@pytest.mark.engine
def test_a_build_that_takes_too_long(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    (folder / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY . .\nRUN sleep 600\n")
    done = verify(folder, "--timeout", "3")
    assert done.status == 3
    assert "the build took longer than 3 seconds" in done.row("builds")["details"]


@pytest.mark.parametrize(("late", "tries"), [(False, 2), (True, 1)])
def test_what_took_too_long_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool, tries: int
) -> None:
    failed = Built(None, 3.0, (), None, ("WARNING: read timed out",), late)
    built: list[Built] = []

    def build(*_: object) -> Built:
        built.append(failed)
        return failed

    monkeypatch.setattr("dockfix.verify.check.build", build)
    files, interrupts = MemoryFiles({"Dockerfile": "FROM python\n"}), Interrupts()
    scratch = Scratch(str(tmp_path), interrupts)
    checker = Checker(Docker("docker", "", "", interrupts, True), Limits(), Progress(io.StringIO()), scratch, files)
    assert checker.side("before", make_plan(files, "Dockerfile", {}), {}).built == failed
    assert len(built) == tries
    scratch.remove()


@pytest.mark.engine
def test_a_network_that_fails_once(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    dockerfile = folder / "Dockerfile"
    failing = "test -e /kept/once || { touch /kept/once; echo 'Connection reset by peer'; exit 1; }"
    step = f"RUN --mount=type=cache,id={secrets.token_hex(6)},target=/kept {failing}\n"
    dockerfile.write_text(dockerfile.read_text().replace("EXPOSE", f"{step}EXPOSE"))
    assert verify(folder).status == 0


@pytest.mark.engine
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """No transform is to blame for it: nothing is left out, and nothing is written."""
    folder = copied("plain", tmp_path)
    dockerfile = folder / "Dockerfile"
    step = "RUN ! id app || { echo 'OSError: [Errno 28] No space left on device'; exit 1; }\n"
    text = dockerfile.read_text().replace("EXPOSE", f"{step}EXPOSE")
    dockerfile.write_text(text)
    done = verify(folder, "--write")
    assert done.status == 2
    assert "no space is left to build in: " in done.one["error"]
    assert dockerfile.read_text() == text


@pytest.mark.engine
def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace('"python", "server.py"', '"no-such-program"'))
    done = verify(folder)
    assert done.status == 3
    assert done.row("starts")["before"] == "cannot be started"
    assert "no-such-program" in " ".join(done.row("starts")["details"])


@pytest.mark.engine
def test_a_program_that_wants_too_much_memory(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    server = folder / "server.py"
    server.write_text(server.read_text().replace('__main__":', '__main__":\n    hoard = bytearray(400_000_000)'))
    done = verify(folder, "--memory", "100m")
    assert done.status == 3
    assert done.row("starts")["before"] in ("runs out of memory", "ends with status 137")
    assert verify(folder, "--memory", "1g").status == 0


@pytest.mark.engine
def test_the_table_and_markdown(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    done = subprocess.run(verify_command("."), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "][:5] == [
        "builds",
        "size",
        "rebuild",
        "starts",
        "answers",
    ]
    assert done.stdout.endswith("  the rewritten image holds\n")
    assert "dockfix: Dockerfile: before: building\n" in done.stderr

    done = subprocess.run(
        verify_command("--format", "markdown", "."), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("### `Dockerfile`: built and run before and after\n")
    assert re.search(r"^\| user \| root \| \w+ \| intended \|$", done.stdout, re.MULTILINE)


def test_a_size_that_is_none(tmp_path: Path) -> None:
    done = without_engine(tmp_path, "--memory", "plenty")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'plenty' is no size such as 512m or 2g" in done.stderr


def without_engine(tmp_path: Path, *options: str, programs: str = "") -> subprocess.CompletedProcess[str]:
    """Run `dockfix verify` where PATH has no engine but the script *programs*, as docker."""
    folder = copied("plain", tmp_path)
    path = tmp_path / "bin"
    path.mkdir()
    if programs:
        (path / "docker").write_text(programs)
        (path / "docker").chmod(0o755)
    command = [sys.executable, "-m", "dockfix", "verify", *options, str(folder)]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_no_engine(tmp_path: Path) -> None:
    done = without_engine(tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "dockfix: no container engine answers; looked for docker (not on PATH), podman (not on PATH); install Docker"
        " Engine or Podman, start it, and name its socket in DOCKER_HOST or CONTAINER_HOST where it is not the usual"
        " one\n"
    )


def test_an_engine_that_is_asked_for_and_not_there(tmp_path: Path) -> None:
    done = without_engine(tmp_path, "--engine", "podman")
    assert done.returncode == 2
    assert "looked for podman (not on PATH);" in done.stderr
    assert "docker (" not in done.stderr


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"
    done = without_engine(tmp_path, programs=script)
    assert done.returncode == 2
    assert "bin/docker (Cannot connect to the Docker daemon), podman (not on PATH);" in done.stderr
    assert len(done.stderr.splitlines()) == 1
