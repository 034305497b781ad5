"""Programs whose answers depend on the clock, on chance, or on a slow start are neither worse nor better for it."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from verifying import copied, verify

CLOCK = """
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"%d quarters of a minute" % (time.time() // 15)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
SLOW = """
import time
from http.server import HTTPServer, SimpleHTTPRequestHandler

time.sleep(9)
HTTPServer(("0.0.0.0", 9100), SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.mark.engine
def test_an_answer_that_changes_with_the_time(tmp_path: Path) -> None:
    """The first image is asked again at last; it is still there, though the second build gave the very same one."""
    folder = copied("plain", tmp_path)
    (folder / "Dockerfile").write_text(
        "FROM python:3.11-slim AS builder\nCOPY build.py .\nRUN pip --version > /version\n"
        "FROM python:3.11-slim\nWORKDIR /app\nCOPY --from=builder /version .\nCOPY server.py .\nEXPOSE 8000\n"
        "CMD python server.py\n"
    )
    (folder / "build.py").write_text("")
    (folder / "server.py").write_text(CLOCK)
    done = verify(folder)
    assert done.status == 0, done.table
    assert done.one["before"]["touched"] == "build.py"


@pytest.mark.engine
def test_a_slow_server_of_which_the_files_say_nothing(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    (folder / "Dockerfile").write_text("FROM python:3.11-slim\nWORKDIR /app\nCOPY server.py .\nCMD python server.py\n")
    (folder / "server.py").write_text(SLOW)
    done = verify(folder)
    assert done.status == 0, done.table
    assert done.row("starts")["after"] == "listens on 9100"
    assert done.row("answers")["verdict"] == "same"


class Answering:
    """Stands for the connection to a server, and notes how long each answer may take."""

    patience: list[float] = []  # noqa: RUF012
    status = 200

    hosts: list[str] = []  # noqa: RUF012
    known = ""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.patience.append(timeout)

    def request(self, method: str, route: str, headers: dict[str, str]) -> None:
        """Take the question; where there is a known host, only those that name it get an answer."""
        self.hosts.append(headers.get("Host", ""))
        self.status = 200 if headers.get("Host", "") == self.known else 400

    def getresponse(self) -> Answering:
        """Return the answer."""
        return self

    def getheader(self, name: str) -> str:
        """Return a header."""
        return "text/plain"

    def read(self, most: int) -> bytes:
        """Return the body."""
        return b"x"

    def close(self) -> None:
        """Be done."""


def test_the_first_answer_may_take_as_long_as_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gunicorn listens at once, and its workers load the application afterwards."""
    assert len(looked(monkeypatch, capsys, [])["rounds"]) == 2
    first, *others = Answering.patience
    assert first > 40
    assert others == [15, 15, 15]


def test_a_host_that_django_knows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Answering, "known", "shop.example")
    seen = looked(monkeypatch, capsys, ["other.example", "shop.example"])
    assert [one["status"] for answers in seen["rounds"] for one in answers.values()] == [200] * 4
    assert Answering.hosts == ["", "other.example", *["shop.example"] * 4]


def looked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hosts: list[str]) -> Any:
    """Return what the script saw that runs inside containers."""
    source = files("dockfix.verify.inside").joinpath("look.py").read_text("utf-8")
    script: dict[str, Any] = {}
    exec(source.removesuffix("main()\n"), script)
    script["HTTPConnection"] = Answering
    script["listening"] = lambda only: {8000: False}
    job = {"wait": 45, "ports": [8000], "routes": ["/", "/items"], "hosts": hosts, "only": []}
    monkeypatch.setattr(sys, "argv", ["look.py", json.dumps(job)])
    Answering.patience.clear()
    Answering.hosts.clear()
    script["main"]()
    return json.loads(capsys.readouterr().out)
