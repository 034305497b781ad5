"""GitHub: github.com and GitHub Enterprise Server. https://docs.github.com/en/rest"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from dockfix.fleet.api import Api
from dockfix.fleet.campaign import Campaign
from dockfix.fleet.forge import Exists, ForgeError, Pace, Proposal, PullRequest, Repository
from dockfix.fleet.secret import Secret

_HEADERS: Final = {
    "Accept": "application/vnd.github+json, application/json;q=0.9",
    "X-GitHub-Api-Version": "2022-11-28",
}


class GitHub:
    """A ``Forge``. A reviewer that begins with ``team:`` is a team of the organisation."""

    def __init__(self, campaign: Campaign, secret: Secret, pace: Pace) -> None:
        headers = {**_HEADERS, **({"Authorization": f"Bearer {secret.token}"} if secret.token else {})}
        self._api = Api(campaign.forge.url, headers, secret, pace, campaign.limits.back_off)

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._api.close()

    def repositories(self, organisation: str) -> Iterator[str]:
        """As in ``Forge``; a user's repositories where there is no such organisation."""
        try:
            first = self._api.pages(f"/orgs/{quote(organisation, safe='')}/repos", type="all")
            yield from _usable(first)
        except ForgeError as error:
            if error.status != 404:
                raise
            yield from _usable(self._api.pages(f"/users/{quote(organisation, safe='')}/repos", type="owner"))

    def repository(self, name: str) -> Repository:
        """As in ``Forge``."""
        found = self._api.get(f"/repos/{_path(name)}")
        closed = ""
        if found.get("archived"):
            closed = "archived: nothing can be published there"
        elif found.get("disabled"):
            closed = "disabled by the forge"
        elif not (found.get("permissions") or {}).get("push", True):
            closed = "the token may not push there"
        return Repository(found["full_name"], found["default_branch"], closed, found["id"])

    def pulls(self, repository: Repository, branch: str) -> list[PullRequest]:
        """As in ``Forge``."""
        owner = repository.name.partition("/")[0]
        found = self._api.pages(f"/repos/{_path(repository.name)}/pulls", state="all", head=f"{owner}:{branch}")
        return sorted((_pull(item) for item in found if item["head"]["ref"] == branch), key=lambda pull: -pull.number)

    def count_open(self, repository: Repository, prefix: str, most: int) -> int:
        """As in ``Forge``."""
        count = 0
        for item in self._api.pages(f"/repos/{_path(repository.name)}/pulls", state="open"):
            own = (item["head"].get("repo") or {}).get("id") == repository.id
            count += own and item["head"]["ref"].startswith(prefix)
            if count >= most:
                break
        return count

    def open(self, repository: Repository, proposal: Proposal) -> PullRequest:
        """As in ``Forge``."""
        body = {
            "title": proposal.title,
            "body": proposal.body,
            "head": proposal.branch,
            "base": proposal.base,
            "draft": proposal.draft,
            "maintainer_can_modify": True,
        }
        try:
            return _pull(self._api.send("POST", f"/repos/{_path(repository.name)}/pulls", body))
        except ForgeError as error:
            if error.status == 422 and "already exists" in str(error):
                raise Exists(str(error), 422) from error
            if error.status == 422 and "draft" in str(error).lower():
                raise ForgeError("this repository takes no drafts; a campaign with draft = false would", 422) from error
            raise

    def update(self, repository: Repository, pull: PullRequest, proposal: Proposal) -> None:
        """As in ``Forge``."""
        path = f"/repos/{_path(repository.name)}/pulls/{pull.number}"
        self._api.send("PATCH", path, {"body": proposal.body})

    def finish(self, repository: Repository, pull: PullRequest, labels: set[str], reviewers: set[str]) -> None:
        """As in ``Forge``."""
        path = _path(repository.name)
        if missing := sorted(labels - pull.labels):
            self._api.send("POST", f"/repos/{path}/issues/{pull.number}/labels", {"labels": missing})
        if asked := sorted(reviewers - pull.reviewers):
            teams = [name.removeprefix("team:") for name in asked if name.startswith("team:")]
            body = {"reviewers": [name for name in asked if not name.startswith("team:")], "team_reviewers": teams}
            self._api.send("POST", f"/repos/{path}/pulls/{pull.number}/requested_reviewers", body)

    def comments(self, repository: Repository, pull: PullRequest) -> Iterator[str]:
        """As in ``Forge``."""
        for item in self._api.pages(f"/repos/{_path(repository.name)}/issues/{pull.number}/comments"):
            yield item.get("body") or ""

    def comment(self, repository: Repository, pull: PullRequest, text: str) -> None:
        """As in ``Forge``."""
        self._api.send("POST", f"/repos/{_path(repository.name)}/issues/{pull.number}/comments", {"body": text})


def _path(name: str) -> str:
    owner, _, rest = name.partition("/")
    return f"{quote(owner, safe='')}/{quote(rest, safe='')}"


def _usable(items: Iterator[Any]) -> Iterator[str]:
    for item in items:
        if not (item.get("archived") or item.get("disabled") or item.get("fork")):
            yield item["full_name"]


def _pull(item: Any) -> PullRequest:
    state = "merged" if item.get("merged_at") else item["state"]
    reviewers = {one["login"] for one in item.get("requested_reviewers") or ()}
    with suppress(TypeError):
        reviewers |= {f"team:{one['slug']}" for one in item.get("requested_teams") or ()}
    return PullRequest(
        item["number"],
        item["html_url"],
        state,
        item["title"],
        item.get("body") or "",
        item["head"]["sha"],
        bool(item.get("draft")),
        frozenset(one["name"] for one in item.get("labels") or ()),
        frozenset(reviewers),
    )
