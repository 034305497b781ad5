"""A registry of one image, as far as a question for its digest goes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from dockfix.syntax.image import ImageReference, parse_image

DIGEST = "sha256:" + "1f" * 32
MANIFEST = b'{"schemaVersion": 2}'


@dataclass
class Registry:
    """What a registry of one image does, and what it was asked."""

    address: str = ""
    image: str = "team/python:3.12-slim"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Docker-Content-Digest": DIGEST})
    auth: str = ""
    """"", "bearer" or "basic"."""
    realm: str = ""
    login: str = ""
    """The name:password that it wants; an empty one gives tokens to everybody."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Authorization of each request."""

    def reference(self, image: str = "") -> ImageReference:
        found = parse_image(f"{self.address}/{image or self.image}")
        assert found is not None
        return found

    def basic(self) -> str:
        return f"Basic {base64.b64encode(self.login.encode()).decode()}"


@contextmanager
def serving() -> Iterator[Registry]:
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            given = self.headers.get("Authorization", "")
            registry.asked.append((self.command, self.path, given))
            path = urlsplit(self.path)
            if path.path == "/token":
                query = parse_qs(path.query)
                name = registry.image.partition(":")[0]
                right = query == {"service": ["here"], "scope": [f"repository:{name}:pull"]}
                if not right or (registry.login and given != registry.basic()):
                    return self.end(401 if right else 400)
                return self.end(200, {}, json.dumps({"token": "t0ken"}).encode())
            wanted = {"": "", "bearer": "Bearer t0ken", "basic": registry.basic()}[registry.auth]
            if given != wanted:
                realm = registry.realm or f"http://{registry.address}/token"
                challenge = f'Bearer realm="{realm}",service="here",scope="x"' if registry.auth == "bearer" else "Basic"
                return self.end(401, {"WWW-Authenticate": challenge})
            name, _, tag = registry.image.rpartition(":")
            if path.path != f"/v2/{name}/manifests/{tag}":
                return self.end(404)
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            return self.end(registry.status, registry.headers, MANIFEST)

        do_GET = do_HEAD = answer

        def end(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
