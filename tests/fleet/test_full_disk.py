"""A full disk is a trouble of the machine, and ends the campaign, however git words it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.git import Git, GitError
from dockfix.fleet.secret import Secret


def git_that_says(folder: Path, complaint: str, monkeypatch: pytest.MonkeyPatch) -> Git:
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return Git(str(folder), Secret(""), time.monotonic() + 30)


@pytest.mark.parametrize(
    "complaint",
    [
        "fatal: cannot create directory at a: No space left on device",
        "fatal: index.lock: write error. Out of diskspace",
        "error: unable to write file a: Disk quota exceeded",
    ],
)
def test_every_wording_of_a_full_disk_ends_the_campaign(
    complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CampaignError, match="no space left on the disk"):
        git_that_says(tmp_path, complaint, monkeypatch).run("checkout")


def test_a_full_disk_of_the_server_is_the_repositorys_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = git_that_says(tmp_path, "remote: fatal: write error. Out of diskspace", monkeypatch)
    with pytest.raises(GitError, match="git fetch: remote: fatal"):
        git.run("fetch")
