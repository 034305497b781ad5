"""Which digest an image's tag has today. Its registry is asked, and only where the user wants it: ``--pin-digests``.

The question is the one that ``docker pull`` begins with: HEAD of the tag's manifest, by the OCI Distribution
Specification (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests), with a token
where the registry wants one (https://distribution.github.io/distribution/spec/auth/token/). Of an image for several
platforms it is the digest of the whole index, so that every platform finds its own. Credentials are those of
``docker login``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from functools import cache
from http.client import HTTPException
from typing import Final

from dockfix.records import record
from dockfix.syntax.image import ImageReference

SECONDS: Final = 30.0
"""How long one request may take."""
_HUB: Final = "registry-1.docker.io"
_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io"})
_HUB_LOGIN: Final = "https://index.docker.io/v1/"
"""The name under which ``docker login`` keeps the credentials of Docker Hub."""
_MANIFESTS: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_LARGEST: Final = 4_000_000
"""Bytes of a manifest that are read at most; registries take no larger ones."""


class DigestError(Exception):
    """The registry does not tell. The message is for the user, and holds no credentials."""


@record
class _Registry:
    """Where a registry answers, and under which name its credentials are kept."""

    host: str
    login: str

    @property
    def address(self) -> str:
        """The address of its interface. Like Docker, only this machine is asked without TLS."""
        return f"{'http' if _is_local(self.host) else 'https'}://{self.host}/v2"


def _is_local(host: str) -> bool:
    return urllib.parse.urlsplit(f"//{host}").hostname in ("localhost", "127.0.0.1", "::1")


@cache
def digest_of(image: ImageReference) -> str:
    """Return the digest of the image's tag (``latest`` where it has none), such as ``sha256:...``.

    Raises:
        DigestError: the registry does not answer, does not know the image, or does not give it to this user.
    """
    if image.registry is None or image.registry in _HUB_NAMES:
        registry = _Registry(_HUB, _HUB_LOGIN)
        repository = image.repository if "/" in image.repository else f"library/{image.repository}"
    else:
        registry, repository = _Registry(image.registry, image.registry), image.repository
    address = f"{registry.address}/{repository}/manifests/{image.tag or 'latest'}"
    headers = {"Accept": _MANIFESTS}
    try:
        status, answered, _ = _ask(address, "HEAD", headers)
        if status == 401:
            headers["Authorization"] = _authorization(registry, repository, answered.get("WWW-Authenticate", ""))
            status, answered, _ = _ask(address, "HEAD", headers)
        if status != 200:
            raise DigestError(_refusal(registry, status, answered))
        digest = answered.get("Docker-Content-Digest", "")
        if not digest:  # the specification wants it only of GET's answer in so many words
            status, answered, body = _ask(address, "GET", headers)
            if status != 200:
                raise DigestError(_refusal(registry, status, answered))
            digest = answered.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(body).hexdigest()}"
    except urllib.error.URLError as error:
        raise DigestError(f"{registry.host} does not answer: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DigestError(f"{registry.host} does not answer as a registry does: {error}") from error
    if not _DIGEST.fullmatch(digest):
        raise DigestError(f"{registry.host} does not answer as a registry does: {digest[:80]!r} is no digest")
    return digest


def _refusal(registry: _Registry, status: int, answered: Message) -> str:
    if status == 404:
        return f"{registry.host} has no such image"
    if status in (401, 403):
        return f"{registry.host} does not give it to you ({status}); docker login, or check its name"
    if status == 429:
        wait = answered.get("Retry-After", "")
        return f"{registry.host} has had too many requests{f'; again in {wait} s' if wait.isdigit() else ''}"
    return f"{registry.host} answers {status}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A manifest is served by the registry itself; an answer from elsewhere must not get the credentials."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(address: str, method: str, headers: Mapping[str, str]) -> tuple[int, Message, bytes]:
    """Return status, headers and body of the answer. Raises ``URLError`` where there is none."""
    request = urllib.request.Request(address, method=method, headers={"User-Agent": "dockfix", **headers})
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS) as answer:
            body = answer.read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise ValueError("its manifest does not end")
            return answer.status, answer.headers, body
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, b""


def _authorization(registry: _Registry, repository: str, challenge: str) -> str:
    """Return the header that answers the registry's challenge. Raises ``DigestError``."""
    scheme, _, rest = challenge.partition(" ")
    login = _login(registry.login)
    basic = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else ""
    if scheme.lower() == "basic":
        if not basic:
            raise DigestError(f"{registry.host} wants a login; docker login {registry.host}")
        return basic
    fields = dict(_CHALLENGE.findall(rest))
    realm = urllib.parse.urlsplit(fields.get("realm", ""))
    local = _is_local(registry.host) and _is_local(realm.netloc)
    if scheme.lower() != "bearer" or not (realm.scheme == "https" or (realm.scheme == "http" and local)):
        raise DigestError(f"{registry.host} wants a login of a kind that is not known: {scheme[:40] or 'none named'}")
    query = {"scope": f"repository:{repository}:pull"}
    if fields.get("service"):
        query["service"] = fields["service"]
    address = f"{fields['realm']}{'&' if realm.query else '?'}{urllib.parse.urlencode(query)}"
    status, answered, body = _ask(address, "GET", {"Authorization": basic} if basic else {})
    if status != 200:
        raise DigestError(_refusal(registry, status, answered))
    given = json.loads(body)
    token = given.get("token") or given.get("access_token") if isinstance(given, dict) else None
    if not isinstance(token, str):
        raise ValueError("no token in the answer of its login")
    return f"Bearer {token}"


def _login(registry: str) -> tuple[str, str] | None:
    """Return name and password that ``docker login`` keeps for *registry*, None where there are none.

    They are in config.json itself, or with a program that it names
    (https://docs.docker.com/reference/cli/docker/login/#credential-stores).
    """
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        helper = config.get("credHelpers", {}).get(registry) or config.get("credsStore")
        if helper:
            return _from_helper(str(helper), registry)
        kept = config.get("auths", {}).get(registry, {}).get("auth", "")
        name, colon, password = base64.b64decode(kept).decode().partition(":")
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
        return None
    return (name, password) if colon else None


def _from_helper(helper: str, registry: str) -> tuple[str, str] | None:
    """Ask the program ``docker-credential-HELPER``; it answers with JSON, or with another status than 0."""
    done = subprocess.run(
        [f"docker-credential-{helper}", "get"],
        input=registry.encode(),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    name, password = found.get("Username"), found.get("Secret")
    # "<token>" is the name of an identity token, which is for another kind of login
    return (name, password) if name and password and name != "<token>" else None
