"""Run `dockfix verify` as a user does, on copies of the applications beside this file.

DOCKFIX_BUILD_NETWORK is the network for the steps of a build, where the engine's usual one leads nowhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dockfix.verify.engine import Engine

APPLICATIONS = Path(__file__).parent / "applications"
LONG = 900.0
"""Seconds after which a run is stuck."""


class Run(NamedTuple):
    """What the program did. ``document`` is the JSON result, empty where there is none."""

    status: int
    out: str
    err: str
    document: Mapping[str, Any] = {}

    @property
    def one(self) -> Mapping[str, Any]:
        """The result of the only Dockerfile."""
        (found,) = self.document["dockerfiles"]
        assert isinstance(found, dict)
        return found

    def row(self, what: str) -> Mapping[str, Any]:
        """The row of the table that is about *what*."""
        rows: list[Mapping[str, Any]] = self.one["rows"]
        return next(row for row in rows if row["what"] == what)

    @property
    def table(self) -> str:
        """The rows, one a line, for the message of a test that fails."""
        if not self.document:
            return self.err
        return "\n".join(
            f"{row['what']}: {row['before']} → {row['after']} ({row['verdict']}) {row['details']}"
            for one in self.document["dockerfiles"]
            for row in one["rows"]
        )


def copied(name: str, folder: Path) -> Path:
    """Copy an application to *folder* and return where it is."""
    return Path(shutil.copytree(APPLICATIONS / name, folder / name))


def verify_command(*options: str) -> list[str]:
    """Return the command line of `dockfix verify`, with the network that builds need here."""
    network = os.environ.get("DOCKFIX_BUILD_NETWORK")
    return [sys.executable, "-m", "dockfix", "verify", *(["--build-network", network] if network else []), *options]


def verify(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run `dockfix verify` in *folder* and return what it did, with the JSON result."""
    output = folder.parent / "result.json"
    command = verify_command("--format", "json", "--output", str(output), *options)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, json.loads(output.read_text()) if output.exists() else {})


def verify_and_write(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Run:
    """Verify and write; everything has to hold, and a second look has nothing to change."""
    done = verify(folder, "--write", *options, environment=environment)
    assert done.status == 0, done.table
    assert done.one["outcome"] == "holds", done.table
    assert done.one["left_out"] == [], f"{done.one['left_out']}\n{done.table}"
    assert done.one["written"]
    assert [done.row(what)["verdict"] for what in ("builds", "starts", "answers")] == ["same"] * 3, done.table
    check = subprocess.run([sys.executable, "-m", "dockfix", "--check", "."], cwd=folder, check=False)
    assert check.returncode == 0, "a second run changes something"
    return done


def left_behind(engine: Engine, mark: str, seconds: float = 5.0) -> list[str]:
    """Return what the engine still has, after so many seconds, of an image that has the label *mark*."""
    end = time.monotonic() + seconds
    while True:
        found: list[str] = []
        for listing in (("ps", "--all"), ("image", "ls", "--all"), ("network", "ls")):
            found += engine.tell(*listing, "--quiet", "--filter", f"label={mark}").split()
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.5)
