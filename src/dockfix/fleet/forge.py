"""What publishing needs of a forge. Everything else about GitHub and GitLab is behind this."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.secret import Secret


class ForgeError(Exception):
    """The forge refuses something for one repository, and will refuse it again. The message is for the user."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Unsure(ForgeError):
    """Something was sent and no answer came: it may have been done or not. Look before sending it again."""


class Exists(ForgeError):
    """There is one already."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the forge has it. ``closed`` says why nothing can be published there, or is empty."""

    name: str
    branch: str
    """The default branch."""
    closed: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request (GitLab: merge request). ``state`` is open, merged or closed."""

    number: int
    url: str
    state: str
    title: str
    body: str
    head: str
    """The commit at the tip of its branch."""
    draft: bool
    labels: frozenset[str] = frozenset()
    reviewers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pull request to be."""

    branch: str
    base: str
    title: str
    body: str
    draft: bool


class Forge(Protocol):
    """The calls. All raise ``ForgeError`` for what is final for a repository, ``CampaignError`` for what is for all."""

    def repositories(self, organisation: str) -> Iterator[str]:
        """Yield the names of an organisation's repositories: no forks, nothing archived."""
        ...

    def repository(self, name: str) -> Repository:
        """Look a repository up."""
        ...

    def pulls(self, repository: Repository, branch: str) -> list[PullRequest]:
        """Return the pull requests from that branch of the repository itself, the newest first."""
        ...

    def count_open(self, repository: Repository, prefix: str, most: int) -> int:
        """Count the open pull requests from branches of that prefix, up to *most*."""
        ...

    def open(self, repository: Repository, proposal: Proposal) -> PullRequest:
        """Open a pull request. Raises ``Exists`` where the branch has one, ``Unsure`` where no answer came."""
        ...

    def update(self, repository: Repository, pull: PullRequest, proposal: Proposal) -> None:
        """Give an open pull request this body; the title may be someone's own by now."""
        ...

    def finish(self, repository: Repository, pull: PullRequest, labels: set[str], reviewers: set[str]) -> None:
        """Add labels and ask for reviews."""
        ...

    def comments(self, repository: Repository, pull: PullRequest) -> Iterator[str]:
        """Yield the texts of its comments."""
        ...

    def comment(self, repository: Repository, pull: PullRequest, text: str) -> None:
        """Say something there."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How a forge's requests that create something are spaced: asked before each, told after each."""

    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda text: None
    sleep: Callable[[float], None] = time.sleep


def open_forge(campaign: Campaign, secret: Secret, pace: Pace | None = None) -> AbstractContextManager[Forge]:
    """Return the campaign's forge, as a context that closes its connections. Raises ``CampaignError``."""
    try:
        import httpx  # noqa: F401
        import stamina  # noqa: F401
    except ImportError as error:
        raise CampaignError(f"{error.name} is missing: pip install 'dockfix[fleet]'") from error
    if campaign.forge.kind == "gitlab":
        from dockfix.fleet.gitlab import GitLab

        return GitLab(campaign, secret, pace or Pace())
    from dockfix.fleet.github import GitHub

    return GitHub(campaign, secret, pace or Pace())
