"""Every request to GitHub, held against GitHub's own description of its interface, by Prism.

Description and Prism are npm packages; they are installed once into a cache folder, and are no part of the project.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from campaigns import Fleet
from cut_description import cut
from forge_server import TOKEN, commit

from dockfix.fleet.forge import Forge, Proposal, PullRequest, Repository, open_forge
from dockfix.fleet.secret import Secret

PRISM = "@stoplight/prism-cli@5.16.0"
DESCRIPTION = "@octokit/openapi@23.0.2"
PATHS = [
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/orgs/{org}/repos",
    "/users/{username}/repos",
]


@pytest.fixture(scope="module")
def installed() -> Path:
    """Return the folder with Prism and the part of the description that is needed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, so no Prism and no description of GitHub's interface")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "dockfix-tests", "contract-1")
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "github.json").exists():
            quiet = ["--silent", "--no-audit", "--no-fund"]
            for command in (["install", *quiet, "--prefix", str(cache), PRISM], ["pack", *quiet, DESCRIPTION]):
                done = subprocess.run([npm, *command], cwd=cache, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"npm {command[0]} does not work here: {done.stderr.strip()[-200:]}")
            (packed,) = cache.glob("*.tgz")
            with tarfile.open(packed) as archive:
                member = archive.extractfile("package/generated/api.github.com.json")
                assert member is not None
                description = cut(json.load(member), PATHS)
            packed.unlink()
            (cache / "new.json").write_text(json.dumps(description))
            (cache / "new.json").rename(cache / "github.json")
    return cache


class Prism:
    """A running Prism, and what it said."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self._log = log

    def violations(self, where: str) -> list[str]:
        """Return how requests, or responses, differ from the description."""
        time.sleep(0.3)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self._log.read_text())
        return [line for line in plain.splitlines() if f"Violation: {where}" in line]

    def seen(self) -> int:
        """Return how many requests were valid or not: how many came."""
        return len(re.findall(r"\[HTTP SERVER\]", self._log.read_text()))


@contextmanager
def prism(installed: Path, log: Path, *arguments: str) -> Iterator[Prism]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = installed / "node_modules/.bin/prism"
    with open(log, "wb") as stream:
        command = [str(program), arguments[0], "--port", str(port), str(installed / "github.json"), *arguments[1:]]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while "Prism is listening" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield Prism(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait()


def through(fleet: Fleet, address: str) -> None:
    """Send the campaign's requests to *address*; git goes on talking to the forge itself."""
    fleet.table = f'clone-url = "{fleet.forge.address}/{{name}}.git"'
    fleet.address = address


def test_a_whole_campaign_keeps_to_the_contract(fleet: Fleet, installed: Path, tmp_path: Path) -> None:
    repo = fleet.add("acme/one")
    with prism(installed, tmp_path / "log", "proxy", f"{fleet.forge.address}/api/v3") as front:
        through(fleet, front.address)
        fleet.plan()
        assert fleet.publish() == 0
        fleet.replan()
        assert fleet.publish() == 0
        commit(repo.path, {"note": "mine"}, "dockfix/tidy")
        commit(repo.path, {"Dockerfile": "FROM python:3.12\nRUN pip install django\n"})
        fleet.plan()
        assert fleet.publish() == 0
        assert fleet.refresh() == 0
        with open_forge(fleet.campaign, Secret(TOKEN)) as forge:
            assert list(forge.repositories("acme")) == ["acme/one"]
        pull = fleet.pull()
        assert (len(repo.pulls), pull.labels, pull.reviewers, len(pull.comments)) == (1, ["docker"], ["ada"], 1)
        assert front.seen() > 10
        assert front.violations("request") == []
        # our own forge is smaller than GitHub, and what it has is as GitHub has it
        assert [line for line in front.violations("response") if "must have required property" not in line] == []
        # and a wrong request would be seen
        wrong = {"title": 3, "head": "dockfix/tidy", "base": "main", "draft": "yes"}
        httpx.post(f"{front.address}/repos/acme/one/pulls", json=wrong, headers={"Authorization": f"Bearer {TOKEN}"})
        assert front.violations("request") != []


def test_answers_as_github_describes_them_are_understood(fleet: Fleet, installed: Path, tmp_path: Path) -> None:
    fleet.add("acme/one")
    repository = Repository("acme/one", "main", id=1296269)
    with prism(installed, tmp_path / "log", "mock") as front:
        through(fleet, front.address)
        with open_forge(fleet.campaign, Secret(TOKEN)) as forge:
            answered = answers(forge, repository)
        assert front.violations("request") == []
    pull: PullRequest = answered["open"]
    assert (pull.number, pull.title) == (1347, "Amazing new feature")
    assert re.fullmatch("[0-9a-f]{40}", pull.head)
    assert answered["repository"].branch == "master"
    assert answered["repositories"] == "octocat/Hello-World"
    assert (answered["count"], answered["comment"]) == (1, "Me too")


def answers(forge: Forge, repository: Repository) -> dict[str, Any]:
    """Call everything once."""
    opened = forge.open(repository, Proposal("new-topic", "main", "Title", "Body", True))
    forge.update(repository, opened, Proposal("new-topic", "main", "Title", "Body", True))
    forge.finish(repository, replace(opened, labels=frozenset(), reviewers=frozenset()), {"a"}, {"ada", "team:core"})
    forge.comment(repository, opened, "hello")
    return {
        "open": opened,
        "repository": forge.repository("acme/one"),
        "repositories": next(iter(forge.repositories("acme"))),  # its next page is at GitHub
        "count": forge.count_open(repository, "new-", 1),
        "comment": next(iter(forge.comments(repository, opened))),
    }
