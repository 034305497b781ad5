"""GitLab: gitlab.com and servers of one's own. https://docs.gitlab.com/api/merge_requests/"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from dockfix.fleet.api import Api
from dockfix.fleet.campaign import Campaign
from dockfix.fleet.forge import Exists, ForgeError, Pace, Proposal, PullRequest, Repository
from dockfix.fleet.secret import Secret

_DEVELOPER: Final = 30
_DRAFT: Final = "Draft: "
_STATES: Final = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}


class GitLab:
    """A ``Forge``. A repository's name is the project's path, with all its groups."""

    def __init__(self, campaign: Campaign, secret: Secret, pace: Pace) -> None:
        headers = {"Authorization": f"Bearer {secret.token}"} if secret.token else {}
        self._api = Api(campaign.forge.url, headers, secret, pace, campaign.limits.back_off)

    def __enter__(self) -> GitLab:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._api.close()

    def repositories(self, organisation: str) -> Iterator[str]:
        """As in ``Forge``: a group with its subgroups."""
        path = f"/groups/{quote(organisation, safe='')}/projects"
        for item in self._api.pages(path, include_subgroups="true", archived="false", with_shared="false"):
            if not (item.get("forked_from_project") or item.get("empty_repo")):
                yield item["path_with_namespace"]

    def repository(self, name: str) -> Repository:
        """As in ``Forge``."""
        found = self._api.get(f"/projects/{quote(name, safe='')}")
        access = [one["access_level"] for one in (found.get("permissions") or {}).values() if one]
        closed = ""
        if found.get("archived"):
            closed = "archived: nothing can be published there"
        elif found.get("merge_requests_access_level") == "disabled":
            closed = "takes no merge requests"
        elif found.get("permissions") is not None and max(access, default=0) < _DEVELOPER:
            closed = "the token may not push there"
        return Repository(found["path_with_namespace"], found.get("default_branch") or "", closed, found["id"])

    def pulls(self, repository: Repository, branch: str) -> list[PullRequest]:
        """As in ``Forge``."""
        found = self._api.pages(_requests(repository), state="all", source_branch=branch)
        own = (_pull(item) for item in found if item["source_project_id"] == repository.id)
        return sorted(own, key=lambda pull: -pull.number)

    def count_open(self, repository: Repository, prefix: str, most: int) -> int:
        """As in ``Forge``."""
        count = 0
        for item in self._api.pages(_requests(repository), state="opened"):
            count += item["source_project_id"] == repository.id and item["source_branch"].startswith(prefix)
            if count >= most:
                break
        return count

    def open(self, repository: Repository, proposal: Proposal) -> PullRequest:
        """As in ``Forge``."""
        body = {
            "source_branch": proposal.branch,
            "target_branch": proposal.base,
            "title": (_DRAFT if proposal.draft else "") + proposal.title,
            "description": proposal.body,
            "remove_source_branch": True,
        }
        try:
            return _pull(self._api.send("POST", _requests(repository), body))
        except ForgeError as error:
            if error.status == 409:
                raise Exists(str(error), 409) from error
            raise

    def update(self, repository: Repository, pull: PullRequest, proposal: Proposal) -> None:
        """As in ``Forge``."""
        self._api.send("PUT", f"{_requests(repository)}/{pull.number}", {"description": proposal.body})

    def finish(self, repository: Repository, pull: PullRequest, labels: set[str], reviewers: set[str]) -> None:
        """As in ``Forge``. GitLab replaces the reviewers, so those that are there already are sent as well."""
        body: dict[str, object] = {}
        if missing := sorted(labels - pull.labels):
            body["add_labels"] = ",".join(missing)
        if reviewers - pull.reviewers:
            body["reviewer_ids"] = [self._user(name) for name in sorted(reviewers | pull.reviewers)]
        if body:
            self._api.send("PUT", f"{_requests(repository)}/{pull.number}", body)

    def _user(self, name: str) -> int:
        for user in self._api.listed("/users", username=name):
            return int(user["id"])
        raise ForgeError(f"there is no user {name}")

    def comments(self, repository: Repository, pull: PullRequest) -> Iterator[str]:
        """As in ``Forge``."""
        for item in self._api.pages(f"{_requests(repository)}/{pull.number}/notes"):
            yield item.get("body") or ""

    def comment(self, repository: Repository, pull: PullRequest, text: str) -> None:
        """As in ``Forge``."""
        self._api.send("POST", f"{_requests(repository)}/{pull.number}/notes", {"body": text})


def _requests(repository: Repository) -> str:
    return f"/projects/{repository.id}/merge_requests"


def _pull(item: Any) -> PullRequest:
    return PullRequest(
        item["iid"],
        item["web_url"],
        _STATES.get(item["state"], "open"),
        item["title"],
        item.get("description") or "",
        item.get("sha") or "",
        bool(item.get("draft")),
        frozenset(item.get("labels") or ()),
        frozenset(one["username"] for one in item.get("reviewers") or ()),
    )
