"""A campaign for tests: a small transform of our own, on repositories of the test forge."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from forge_server import TOKEN, Forge, Pull, Repo, commit

from dockfix.fleet.campaign import Campaign, Limits, load_campaign
from dockfix.fleet.journal import Journal, Standing
from dockfix.fleet.plan import plan
from dockfix.fleet.progress import Progress
from dockfix.fleet.publish import Wishes, publish
from dockfix.fleet.status import refresh

DOCKERFILE = "FROM python:3.11\nRUN pip install flask\nCOPY app.py /app/\n"
FILES = {"Dockerfile": DOCKERFILE, "app.py": "print('hello')\n"}


class Fleet:
    """A campaign file, a folder for its plan, and its stages in this process."""

    def __init__(self, tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = tmp_path
        self.forge = forge
        self.kind = "github"
        self.address = ""
        """Where requests to the forge go, if not straight to it."""
        self.names: list[str] = []
        self.table = ""
        self.chain = 'select = ["pip-no-cache-dir"]'
        self.top = ""
        self.limits = Limits(trial=0, pause=0, back_off=0.01)
        self.folder = str(tmp_path / "plan")
        self.said = ""
        monkeypatch.setenv("FLEET_TOKEN", TOKEN)

    def add(self, name: str, files: dict[str, str | bytes] | None = None) -> Repo:
        """Add a repository to the forge and to the campaign."""
        self.names.append(name)
        return self.forge.add(name, {**FILES, **(files or {})})

    @property
    def path(self) -> Path:
        """Write the campaign file."""
        path = self.root / "campaign.toml"
        version = {"github": "v3", "gitlab": "v4"}[self.kind]
        path.write_text(
            f"""name = "tidy"
title = "Keep pip's cache out of the image"
labels = ["docker"]
reviewers = ["ada"]
{self.top}
[forge]
kind = "{self.kind}"
url = "{self.address or f"{self.forge.address}/api/{version}"}"
token-env = "FLEET_TOKEN"
{self.table}
[repositories]
list = [{", ".join(f'"{name}"' for name in self.names)}]
[chain]
{self.chain}
"""
        )
        return path

    @property
    def campaign(self) -> Campaign:
        """Return the campaign, with limits that do not make tests wait."""
        return replace(load_campaign(str(self.path)), limits=self.limits)

    def plan(self) -> int:
        """Plan; return how many failed."""
        stream = io.StringIO()
        failed = plan(self.campaign, self.folder, jobs=2, progress=Progress("plan", len(self.names), stream))
        self.said = stream.getvalue()
        return failed

    def publish(self, *, go_on: bool = False, reopen_closed: bool = False) -> int:
        """Publish; return how many failed."""
        stream = io.StringIO()
        progress = Progress("publish", len(self.names), stream)
        failed = publish(self.campaign, self.folder, Wishes(go_on, reopen_closed), progress)
        self.said = stream.getvalue()
        return failed

    def refresh(self) -> int:
        """Ask the forge; return how many could not be asked."""
        return refresh(self.campaign, self.folder, Progress("status", len(self.names), io.StringIO()))

    def standing(self, name: str = "acme/one") -> Standing:
        """Return where a repository stands."""
        with closing(Journal(self.folder)) as journal:
            return next(one for one in journal.standings() if one.name == name)

    def pull(self, name: str = "acme/one") -> Pull:
        """Return a repository's newest pull request, as the forge has it."""
        return self.forge.repos[name].pulls[-1]

    def replan(self, name: str = "acme/one") -> None:
        """Change the repository, so that the plan for it becomes another."""
        path = self.forge.repos[name].path
        commit(path, {"Dockerfile": DOCKERFILE.replace("flask", "flask gunicorn")})
        assert self.plan() == 0
