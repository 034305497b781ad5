"""Publish a plan: push branches, open and renew pull requests. One process, one repository after the other.

The forge is the truth and the journal a cache: before something is created, the forge is asked whether it is there.
What is about to be sent is written down first, so that a run that was killed goes on, and sends nothing twice.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from dockfix.fleet.body import Marker, body_of, read_marker, stop_marker
from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.forge import Exists, Forge, ForgeError, Pace, Proposal, PullRequest, Repository, Unsure, open_forge
from dockfix.fleet.git import Git, GitError
from dockfix.fleet.journal import OPENING, Journal, Pulled, Standing, locked
from dockfix.fleet.progress import Progress
from dockfix.fleet.push import Branch, LeaseLost
from dockfix.fleet.secret import Secret, origin_of, read_secret

_HOUR: Final = 3600
_TRIES: Final = 3
_SOMEONE: Final = "someone else committed to the branch; nothing is pushed to it any more"
_DELETED: Final = "someone deleted the branch; it is not made again"


class Enough(Exception):
    """A limit of the campaign is reached. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line."""

    go_on: bool = False
    """The first pull requests were looked at."""
    reopen_closed: bool = False


def publish(campaign: Campaign, folder: str, wishes: Wishes, progress: Progress | None = None) -> int:
    """Publish what is planned; return how many repositories failed. Raises ``CampaignError``."""
    secret = read_secret(campaign.forge, required=True)
    with locked(folder, "publish"):
        journal = Journal(folder)
        progress = progress or Progress("publish", sum(one.planned == "changed" for one in journal.standings()))
        try:
            _check_plan(journal, campaign)
            if wishes.go_on:
                journal.remember("continued", "yes")
            with (
                open_forge(campaign, secret, _pace(campaign, journal, progress.say)) as forge,
                _scratch(folder) as place,
            ):
                return _Publisher(campaign, journal, forge, secret, wishes, place).run(progress)
        finally:
            progress.close()
            journal.close()


@contextmanager
def _scratch(folder: str) -> Iterator[str]:
    """Give the place for what is fetched and pushed; what a run that was killed left there goes first."""
    place = os.path.join(folder, ".dockfix-pushes")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place, mode=0o700, exist_ok=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check_plan(journal: Journal, campaign: Campaign) -> None:
    """Raise ``CampaignError`` where the plan is not one of what the campaign file asks for now."""
    if journal.get("campaign") != campaign.name:
        raise CampaignError(f"{journal.folder} belongs to the campaign {journal.get('campaign')}")
    if journal.get("asked", campaign.asked) != campaign.asked:
        raise CampaignError(
            f"{campaign.path} asks for other repositories or another chain than was planned: plan again; what did not"
            " change comes from the cache"
        )


def _pace(campaign: Campaign, journal: Journal, say: Callable[[str], None]) -> Pace:
    """Space what creates something; the journal knows when that was last, so that a new run keeps the pace."""

    def before() -> None:
        since = time.time() - float(journal.get("requested", "0"))
        if 0 <= since < campaign.limits.pause:
            time.sleep(campaign.limits.pause - since)
        now()

    def now() -> None:
        journal.remember("requested", repr(time.time()))

    return Pace(before, now, say)


class _Publisher:
    def __init__(
        self, campaign: Campaign, journal: Journal, forge: Forge, secret: Secret, wishes: Wishes, place: str
    ) -> None:
        self._campaign = campaign
        self._journal = journal
        self._forge = forge
        self._secret = secret
        self._wishes = wishes
        self._place = place
        self._sent = 0
        """Pull requests that this run opened or renewed."""

    def run(self, progress: Progress) -> int:
        failed = 0
        try:
            for one in self._journal.standings():
                if one.planned != "changed":
                    continue
                known = self._journal.pull(one.name)
                if (
                    known
                    and known.finished
                    and known.patch == one.patch
                    and known.state in ("open", "merged", "closed")
                ):
                    progress.done(one.name, known.state, before=True)
                    continue
                try:
                    pulled = self._publish(one, known)
                except (ForgeError, GitError) as error:
                    known = self._journal.pull(one.name) or Pulled(0, "", "", "", "", False)
                    state = OPENING if isinstance(error, Unsure) and known.state == OPENING else "failed"
                    pulled = replace(known, state=state, note=str(error), finished=False)
                    failed += 1
                self._journal.set_pull(one.name, pulled)
                progress.done(one.name, pulled.state, pulled.note)
        except Enough as enough:
            progress.say(f"dockfix: stopped: {enough}")
        return failed

    def _publish(self, one: Standing, known: Pulled | None) -> Pulled:
        if origin_of(one.url) != origin_of(self._campaign.clone_url(one.name)) or not origin_of(one.url):
            raise ForgeError(f"is not on the campaign's forge, {self._campaign.forge.url}")
        repository = self._forge.repository(one.name)
        if repository.closed:
            return _pulled(None, known, one, "refused", repository.closed)
        if repository.branch == self._campaign.branch:
            raise ForgeError(f"{self._campaign.branch} is its default branch: nothing is pushed there")
        if one.branch and repository.branch != one.branch:
            raise ForgeError(f"its default branch is {repository.branch} now, no longer {one.branch}; plan again")
        pulls = self._forge.pulls(repository, self._campaign.branch)
        current = next((pull for pull in pulls if pull.state == "open"), None)
        with tempfile.TemporaryDirectory(dir=self._place, ignore_cleanup_errors=True) as scratch:
            if current is not None:
                return self._renew(one, repository, current, known, scratch)
            if pulls:
                before = _patch_of(pulls[0], known)
                no = pulls[0].state == "closed" and not self._wishes.reopen_closed
                if no or not before or before == one.patch:
                    return _pulled(pulls[0], known, one, pulls[0].state, patch=before or one.patch)
            return self._open(one, repository, known, scratch)

    def _open(self, one: Standing, repository: Repository, known: Pulled | None, scratch: str) -> Pulled:
        if (wait := self._too_many_here(repository)) is not None:
            return _pulled(None, known, one, "waiting", wait)
        self._count()
        branch, commit = self._commit(one, repository, scratch)
        tip = branch.tip()
        if tip not in ("", commit) and not (known and known.head == tip) and not branch.is_ours(tip):
            return _pulled(None, known, one, "refused", _SOMEONE)
        self._journal.set_pull(one.name, Pulled(0, "", OPENING, one.patch, commit, False))
        if tip != commit:
            self._push(one, branch, commit, tip)
        pull = self._created(repository, self._proposal(one, repository, commit))
        return self._opened(repository, pull, _pulled(pull, None, one, "open", head=commit), one.name)

    def _opened(self, repository: Repository, pull: PullRequest, pulled: Pulled, name: str) -> Pulled:
        self._sent += 1
        self._journal.opened(name, replace(pulled, finished=False))
        return self._finish(repository, pull, pulled)

    def _created(self, repository: Repository, proposal: Proposal) -> PullRequest:
        """Open it; where no answer came, or there is one already, look."""
        for _ in range(_TRIES):
            try:
                return self._forge.open(repository, proposal)
            except (Exists, Unsure) as error:
                found = self._forge.pulls(repository, self._campaign.branch)
                adopted = next((pull for pull in found if pull.state == "open"), None)
                if adopted is not None:
                    return adopted
                if isinstance(error, Exists):
                    raise
        raise Unsure("the forge gives no answer; the next run will look again")

    def _renew(
        self, one: Standing, repository: Repository, pull: PullRequest, known: Pulled | None, scratch: str
    ) -> Pulled:
        """Do what is left to do for a pull request that is open."""
        marker = read_marker(pull.body)
        if _patch_of(pull, known) == one.patch:
            same = _pulled(pull, known, one, "open", head=marker.head if marker else known.head if known else "")
            if known is None or known.finished:
                return same
            return self._opened(repository, pull, same, one.name)
        self._count(opens=False)
        branch, commit = self._commit(one, repository, scratch)
        tip = branch.tip()
        if not tip:
            return _pulled(pull, known, one, "refused", _DELETED, patch=known.patch if known else "")
        if tip != commit:
            pushed = {known.head if known else "", marker.head if marker else ""} - {""}
            if tip not in pushed and not branch.is_ours(tip):
                return self._stop(one, repository, pull, known)
            try:
                self._push(one, branch, commit, tip)
            except LeaseLost:
                return self._stop(one, repository, pull, known)
        self._forge.update(repository, pull, self._proposal(one, repository, commit))
        self._sent += 1
        self._journal.add_event(one.name, "updated")
        return _pulled(pull, known, one, "open", head=commit)

    def _stop(self, one: Standing, repository: Repository, pull: PullRequest, known: Pulled | None) -> Pulled:
        """Say once that the branch is someone else's now."""
        mark = stop_marker(self._campaign.name)
        if not any(mark in text for text in self._forge.comments(repository, pull)):
            text = (
                "There is a commit on this branch that this campaign did not make, so it will not push to it any more."
                " It would have a newer version of its change; who runs the campaign can offer it anew once this pull"
                f" request is closed and the branch deleted (`publish --reopen-closed`).\n\n{mark}\n"
            )
            self._forge.comment(repository, pull, text)
        return _pulled(pull, known, one, "refused", _SOMEONE, patch=known.patch if known else "")

    def _finish(self, repository: Repository, pull: PullRequest, pulled: Pulled) -> Pulled:
        try:
            labels, reviewers = set(self._campaign.labels), set(self._campaign.reviewers)
            self._forge.finish(repository, pull, labels, reviewers)
        except Unsure:
            return replace(pulled, finished=False, note="labels and reviewers: no answer; the next run will look again")
        except ForgeError as error:
            return replace(pulled, finished=True, note=f"labels or reviewers: {error}")
        return replace(pulled, finished=True)

    def _commit(self, one: Standing, repository: Repository, scratch: str) -> tuple[Branch, str]:
        home = os.path.join(scratch, "home")
        os.mkdir(home)
        limits = self._campaign.limits
        git = Git(home, self._secret, time.monotonic() + limits.seconds, limits.megabytes)
        branch = Branch(git, self._campaign.clone_url(repository.name), self._campaign, scratch)
        commit = branch.commit(one.commit, os.path.abspath(self._journal.checked_patch(one.patch)))
        branch.check_base(one.commit, commit, repository.branch)
        return branch, commit

    def _push(self, one: Standing, branch: Branch, commit: str, tip: str) -> None:
        branch.push(commit, tip)
        self._journal.add_event(one.name, "pushed")

    def _proposal(self, one: Standing, repository: Repository, commit: str) -> Proposal:
        marker = Marker(self._campaign.name, one.commit, one.patch, commit)
        text = body_of(self._campaign, json.loads(self._journal.document(one.name)), marker)
        return Proposal(self._campaign.branch, repository.branch, self._campaign.title, text, self._campaign.draft)

    def _too_many_here(self, repository: Repository) -> str | None:
        most = self._campaign.limits.repository
        prefix = self._campaign.branch.rpartition("/")[0] or self._campaign.branch
        if most and self._forge.count_open(repository, f"{prefix}/", most) >= most:
            return f"{most} open already from other campaigns (limits.repository)"
        return None

    def _count(self, *, opens: bool = True) -> None:
        """Raise ``Enough`` where one more pull request, opened or renewed, would be too many."""
        limits, journal = self._campaign.limits, self._journal
        if self._sent >= limits.run:
            raise Enough(f"{limits.run} pull requests in this run (limits.run); run it again for more")
        if journal.count_events("opened", "updated", since=time.time() - _HOUR) >= limits.hour:
            raise Enough(f"{limits.hour} pull requests within an hour (limits.hour); run it again later")
        if opens and limits.trial and journal.count_events("opened") >= limits.trial and not journal.get("continued"):
            raise Enough(f"the first {limits.trial} are open: look at them, then go on with --continue")


def _patch_of(pull: PullRequest, known: Pulled | None) -> str:
    """Return the hash of the patch that a pull request carries, "" where nothing tells."""
    marker = read_marker(pull.body)
    if marker is not None:
        return marker.patch
    return known.patch if known is not None and known.number == pull.number else ""


def _pulled(
    pull: PullRequest | None,
    known: Pulled | None,
    one: Standing,
    state: str,
    note: str = "",
    *,
    head: str | None = None,
    patch: str | None = None,
) -> Pulled:
    return Pulled(
        pull.number if pull else 0,
        pull.url if pull else "",
        state,
        one.patch if patch is None else patch,
        head if head is not None else known.head if known else "",
        state not in ("waiting", "refused"),
        note,
    )
