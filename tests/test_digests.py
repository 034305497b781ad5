"""Registries are asked as the OCI Distribution Specification wants it, and give no credentials to anybody else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from oci_registry import DIGEST, MANIFEST, Registry, serving

from dockfix import digests
from dockfix.digests import DigestError, digest_of
from dockfix.syntax.image import parse_image


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    digest_of.cache_clear()
    with serving() as served:
        yield served


def keep(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def test_the_registry_says_which_digest_a_tag_has(registry: Registry) -> None:
    assert digest_of(registry.reference()) == DIGEST
    assert digest_of(registry.reference()) == DIGEST
    assert registry.asked == [("HEAD", "/v2/team/python/manifests/3.12-slim", "")], "once, and without the manifest"


def test_no_tag_is_latest(registry: Registry) -> None:
    registry.image = "team/python:latest"
    assert digest_of(registry.reference("team/python")) == DIGEST


def test_without_the_header_the_digest_is_that_of_the_manifest(registry: Registry) -> None:
    registry.headers = {}
    assert digest_of(registry.reference()) == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    assert [method for method, _, _ in registry.asked] == ["HEAD", "GET"]


def test_a_token_is_fetched_where_the_registry_wants_one(registry: Registry) -> None:
    registry.auth = "bearer"
    assert digest_of(registry.reference()) == DIGEST
    assert [given for _, _, given in registry.asked] == ["", "", "Bearer t0ken"]


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_the_credentials_of_docker_login_are_used(registry: Registry, tmp_path: Path, kind: str) -> None:
    registry.auth, registry.login = kind, "ada:lovelace:1"
    keep(tmp_path, {"auths": {registry.address: {"auth": registry.basic().partition(" ")[2]}}})
    assert digest_of(registry.reference()) == DIGEST


def test_the_credentials_of_a_helper_are_used(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.auth, registry.login = "basic", "ada:lovelace"
    program = tmp_path / "docker-credential-vault"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = {registry.address} ] || exit 1\n'
        'echo \'{"Username": "ada", "Secret": "lovelace"}\'\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    keep(tmp_path, {"credsStore": "vault", "auths": {registry.address: {}}})
    assert digest_of(registry.reference()) == DIGEST


@pytest.mark.parametrize("config", [{"credsStore": "nowhere"}, {"auths": {"other": {"auth": "YTpi"}}}, [], "no"])
def test_without_credentials_the_user_is_told_to_log_in(registry: Registry, tmp_path: Path, config: object) -> None:
    registry.auth, registry.login = "basic", "ada:lovelace"
    keep(tmp_path, config)
    with pytest.raises(DigestError, match=f"wants a login; docker login {registry.address}"):
        digest_of(registry.reference())


def test_wrong_credentials_are_not_shown(registry: Registry, tmp_path: Path) -> None:
    registry.auth, registry.login = "bearer", "ada:lovelace"
    keep(tmp_path, {"auths": {registry.address: {"auth": base64.b64encode(b"ada:byron").decode()}}})
    with pytest.raises(DigestError, match="does not give it to you") as caught:
        digest_of(registry.reference())
    assert "byron" not in str(caught.value)


def test_a_token_is_fetched_over_tls_only(registry: Registry) -> None:
    registry.auth, registry.realm = "bearer", "http://tokens.example.org/token"
    with pytest.raises(DigestError, match="a login of a kind that is not known: Bearer"):
        digest_of(registry.reference())
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (404, {}, "has no such image"),
        (429, {"Retry-After": "60"}, "has had too many requests; again in 60 s"),
        (503, {}, "answers 503"),
        (307, {"Location": "https://example.org/manifest"}, "answers 307"),
        (200, {"Docker-Content-Digest": "sha256:1 RUN rm"}, "is no digest"),
    ],
)
def test_what_goes_wrong_is_said(registry: Registry, status: int, headers: dict[str, str], said: str) -> None:
    registry.status, registry.headers = status, headers
    with pytest.raises(DigestError, match=said):
        digest_of(registry.reference())


def test_a_registry_that_does_not_answer() -> None:
    with serving() as gone:
        image = gone.reference()
    with pytest.raises(DigestError, match=f"{gone.address} does not answer"):
        digest_of(image)


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("python:3.12", "https://registry-1.docker.io/v2/library/python/manifests/3.12"),
        ("docker.io/library/python", "https://registry-1.docker.io/v2/library/python/manifests/latest"),
        ("bitnami/python:3", "https://registry-1.docker.io/v2/bitnami/python/manifests/3"),
        ("ghcr.io/astral-sh/uv:0.9", "https://ghcr.io/v2/astral-sh/uv/manifests/0.9"),
        ("localhost/a/b:1", "http://localhost/v2/a/b/manifests/1"),
    ],
)
def test_each_image_is_asked_for_at_its_registry(image: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest_of.cache_clear()
    asked: list[str] = []

    def ask(address: str, method: str, headers: object) -> tuple[int, dict[str, str], bytes]:
        asked.append(address)
        return 200, {"Docker-Content-Digest": DIGEST}, b""

    monkeypatch.setattr(digests, "_ask", ask)
    reference = parse_image(image)
    assert reference is not None
    assert digest_of(reference) == DIGEST
    assert asked == [path]
