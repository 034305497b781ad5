"""``--pin-digests``: the registries of the images that the Dockerfiles start from in the end are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from oci_registry import DIGEST, Registry, serving

from dockfix.cli.commands import commands
from dockfix.digests import digest_of


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nobody"))
    monkeypatch.chdir(tmp_path)
    digest_of.cache_clear()
    with serving() as served:
        served.image = "team/base:1"
        yield served


def dockfix(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, standalone_mode=False)


def write(registry: Registry, name: str, image: str = "team/base:1") -> Path:
    folder = Path(name)
    folder.mkdir()
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(f"FROM {registry.address}/{image} AS one\nMAINTAINER ada\n")
    return dockerfile


def test_images_are_pinned_and_stay_so(registry: Registry) -> None:
    dockerfile = write(registry, "a")
    assert dockfix("--diff", "--pin-digests").return_value == 1
    assert "sha256" not in dockerfile.read_text()
    assert dockfix("--write", "--pin-digests").return_value == 0
    assert dockerfile.read_text().splitlines()[0] == f"FROM {registry.address}/team/base:1@{DIGEST} AS one"
    assert len(registry.asked) == 1
    assert dockfix("--diff", "--pin-digests").return_value == 0
    assert dockfix("--diff").return_value == 0


def test_nothing_is_asked_without_the_flag(registry: Registry) -> None:
    write(registry, "a")
    assert "sha256" not in dockfix("--diff").output
    assert registry.asked == []


def test_what_is_selected_is_not_all(registry: Registry) -> None:
    write(registry, "a")
    said = dockfix("--diff", "--pin-digests", "--select", "pip-no-cache-dir").output
    assert f"@{DIGEST}" in said
    assert "+LABEL" not in said
    said = dockfix("--diff", "--pin-digests", "--ignore", "pin-digest").output
    assert "sha256" not in said
    assert "+LABEL" in said


def test_what_a_registry_refuses_is_an_error_and_the_rest_is_done(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    known, unknown = write(registry, "a"), write(registry, "b", "team/other:2")
    assert dockfix("--write", "--pin-digests").return_value == 2
    assert f"@{DIGEST}" in known.read_text()
    assert "sha256" not in unknown.read_text()
    assert "LABEL" in unknown.read_text()


def test_the_error_names_the_place(registry: Registry) -> None:
    write(registry, "b", "team/other:2")
    done = CliRunner().invoke(commands, ["--diff", "--pin-digests"], standalone_mode=False)
    wanted = (
        f"dockfix: b/Dockerfile:1: pin-digest: the digest of {registry.address}/team/other:2 is not known: "
        f"{registry.address} has no such image"
    )
    assert wanted in done.stderr.splitlines()


def test_a_digest_in_the_configuration_needs_no_registry(registry: Registry, tmp_path: Path) -> None:
    dockerfile = write(registry, "a", "team/other:2")
    approved = "sha256:" + "2e" * 32
    Path("dockfix.toml").write_text(f'[pin-digest.digests]\n"{registry.address}/team/other:2" = "{approved}"\n')
    assert dockfix("--write", "--pin-digests", ".").return_value == 0
    assert f"@{approved}" in dockerfile.read_text()
    assert registry.asked == []
