"""What is asked of the engines' programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockfix.verify.engine import BuildRequest, Docker, EngineError, Podman, RunRequest, find_engine
from dockfix.verify.process import Interrupts

BUILD = BuildRequest(
    "/scratch",
    "/scratch/Dockerfile",
    "/scratch/id",
    network="host",
    arguments=(("A", "1"), ("B", None)),
    target="final",
    secrets=("id=token,src=t",),
)


def docker(*, buildkit: bool = True) -> Docker:
    return Docker("docker", "28.0", "run1", Interrupts(), buildkit)


def podman() -> Podman:
    return Podman("podman", "5.0", "run1", Interrupts())


def test_build() -> None:
    common = "--label dockfix.run=run1 --iidfile /scratch/id --file /scratch/Dockerfile --network host"
    common += " --build-arg A=1 --build-arg B --target final --secret id=token,src=t /scratch"
    assert " ".join(docker().build_arguments(BUILD)) == f"build --progress plain {common}"
    assert " ".join(docker(buildkit=False).build_arguments(BUILD)) == f"build --force-rm {common}"
    assert " ".join(podman().build_arguments(BUILD)) == f"build --format docker --layers --force-rm {common}"
    assert "--no-cache" in docker().build_arguments(BUILD._replace(cache=False))


def test_a_container_has_limits_and_no_way_out() -> None:
    arguments = " ".join(docker().run_arguments(RunRequest("image", environment={"A": "b c"}, command=("x",))))
    assert arguments.startswith("create --label dockfix.run=run1 --network none --memory 2g --memory-swap 2g")
    assert "--pids-limit 512 --security-opt no-new-privileges" in arguments
    assert arguments.endswith("--env A=b c image x")
    for word in ("--volume", "--mount", "--publish", "--privileged"):
        assert word not in arguments


def test_an_entry_point_is_replaced() -> None:
    request = RunRequest("image", entrypoint=("python", "-m"), command=("shop",))
    assert docker().run_arguments(request)[-5:] == ["--entrypoint", "python", "image", "-m", "shop"]
    assert docker().run_arguments(request._replace(entrypoint=()))[-4:] == ["--entrypoint", "", "image", "shop"]


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


VERSION = 'case "$*" in *Server*) echo "{} 28.0";; "buildx version") exit {};; *) echo "Docker version {}";; esac'


def test_the_client_that_can_do_more_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "new", "docker", VERSION.format("28.2.2", 1, "28.2.2"))
    program(tmp_path / "old", "docker", VERSION.format("20.10.24", 1, "20.10.24"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'new'}:{tmp_path / 'old'}:/usr/bin:/bin")
    found = find_engine("docker", "run1", Interrupts())
    assert isinstance(found, Docker)
    assert found.buildkit, "before 23, BuildKit is built in"
    assert found.program == str(tmp_path / "old" / "docker")


def test_podman_that_is_called_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "docker", 'case "$1" in --version) echo "podman version 5.0";; *) echo 5.0;; esac')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert isinstance(find_engine(None, "run1", Interrupts()), Podman)


def test_nothing_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "podman", "echo 'no socket' >&2; exit 125")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    with pytest.raises(EngineError, match=r"looked for docker \(not on PATH\), .*bin/podman \(no socket\)"):
        find_engine(None, "run1", Interrupts())
