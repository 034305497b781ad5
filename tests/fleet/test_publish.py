"""Publishing: what reaches the forge, once, and what does not."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from campaigns import DOCKERFILE, Fleet
from forge_server import TOKEN, commit, git, is_creating
from killing import repeated

from dockfix.fleet.body import read_marker
from dockfix.fleet.campaign import CampaignError, load_campaign
from dockfix.fleet.journal import locked
from dockfix.fleet.plan import plan
from dockfix.fleet.progress import Progress
from dockfix.fleet.publish import Wishes, publish
from dockfix.fleet.push import Branch

BRANCH = "dockfix/tidy"
SOMEONE = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Grace"), ("EMAIL", "grace@example.com"))
}


@pytest.fixture
def one(fleet: Fleet, kind: str) -> Fleet:
    """Return a campaign on one repository, planned, on each kind of forge."""
    fleet.kind = kind
    fleet.add("acme/one")
    assert fleet.plan() == 0
    return fleet


def shown(fleet: Fleet, what: str, name: str = "acme/one") -> str:
    return git("--git-dir", fleet.forge.repos[name].path, "show", what)


def test_a_draft_with_labels_reviewers_and_a_body_for_its_reader(one: Fleet) -> None:
    assert one.publish() == 0
    pull = one.pull()
    assert pull.title.removeprefix("Draft: ") == "Keep pip's cache out of the image"
    assert (pull.draft, pull.head, pull.base) == (True, BRANCH, "main")
    assert (pull.labels, pull.reviewers) == (["docker"], ["ada"])
    assert "### pip-no-cache-dir" in pull.body
    assert "If you do not want this" in pull.body
    marker = read_marker(pull.body)
    assert marker is not None
    assert marker.head == pull.sha
    assert marker.patch == one.standing().patch
    assert one.standing().state == "open"
    assert shown(one, f"{BRANCH}:Dockerfile") == DOCKERFILE.replace("install", "install --no-cache-dir").strip()


def test_only_the_patch_is_in_the_commit(one: Fleet) -> None:
    one.publish()
    names = git("--git-dir", one.forge.repos["acme/one"].path, "diff", "--name-only", "main", BRANCH)
    assert names == "Dockerfile"


def test_a_new_file_is_in_the_commit_and_nothing_else_is(fleet: Fleet) -> None:
    fleet.chain = 'select = ["dockerignore"]'
    fleet.add(
        "acme/one", {"Dockerfile": "FROM python:3.12\nCOPY . /app\nCMD python /app/app.py\n", ".gitignore": "x\n"}
    )
    fleet.plan()
    assert fleet.publish() == 0
    path = fleet.forge.repos["acme/one"].path
    assert git("--git-dir", path, "diff", "--name-status", "main", BRANCH) == "A\t.dockerignore"


def test_again_sends_nothing(one: Fleet) -> None:
    one.publish()
    before = len(one.forge.sent)
    assert one.publish() == 0
    assert len(one.forge.sent) == before


def test_with_the_journal_lost_the_forge_is_believed(one: Fleet) -> None:
    one.publish()
    before = len(one.forge.creating())
    one.folder += "-another"
    one.plan()
    assert one.publish() == 0
    assert len(one.forge.creating()) == before
    assert one.standing().state == "open"


def test_another_patch_renews_branch_and_body_and_leaves_the_title_alone(one: Fleet) -> None:
    one.publish()
    one.pull().title = "Mine now"
    first = one.pull().sha
    one.replan()
    assert one.publish() == 0
    assert len(one.forge.repos["acme/one"].pulls) == 1
    pull = one.pull()
    assert pull.title == "Mine now"
    assert pull.sha != first
    marker = read_marker(pull.body)
    assert marker is not None
    assert marker.head == pull.sha
    assert "flask gunicorn" in shown(one, f"{BRANCH}:Dockerfile")


@pytest.mark.parametrize("role", ["AUTHOR", "COMMITTER"])
def test_a_commit_of_someone_else_stays_and_is_said_once(one: Fleet, role: str) -> None:
    one.publish()
    names = {key: "dockfix" if key.endswith("NAME") else "dockfix@noreply.invalid" for key in SOMEONE}
    names |= {key: value for key, value in SOMEONE.items() if role in key}
    theirs = commit(one.forge.repos["acme/one"].path, {"note": "mine\n"}, BRANCH, names, "x\n\nDockfix-Campaign: tidy")
    for _ in range(2):
        one.replan()
        assert one.publish() == 0
    assert one.forge.tip(one.forge.repos["acme/one"], BRANCH) == theirs
    assert len(one.pull().comments) == 1
    assert "will not push" in one.pull().comments[0]
    assert one.standing().state == "refused"
    assert "someone else" in one.standing().reason


def test_a_commit_of_someone_else_stays_when_the_patch_was_the_same_in_between(one: Fleet) -> None:
    one.publish()
    theirs = commit(one.forge.repos["acme/one"].path, {"note": "mine\n"}, BRANCH, SOMEONE)
    one.folder += "-another"
    one.plan()
    one.publish()
    one.replan()
    one.publish()
    assert one.forge.tip(one.forge.repos["acme/one"], BRANCH) == theirs


def test_a_branch_of_someone_else_without_a_pull_request_is_not_taken(one: Fleet) -> None:
    theirs = commit(one.forge.repos["acme/one"].path, {"note": "mine\n"}, BRANCH, SOMEONE)
    assert one.publish() == 0
    assert one.forge.tip(one.forge.repos["acme/one"], BRANCH) == theirs
    assert one.standing().state == "refused"
    assert not one.forge.creating()


def test_who_commits_between_look_and_push_is_not_overwritten(one: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    one.publish()
    one.replan()
    theirs: list[str] = []
    look = Branch.tip

    def tip(self: Branch) -> str:
        found = look(self)
        if not theirs:
            theirs.append(commit(one.forge.repos["acme/one"].path, {"note": "mine\n"}, BRANCH, SOMEONE))
        return found

    monkeypatch.setattr(Branch, "tip", tip)
    assert one.publish() == 0
    assert one.forge.tip(one.forge.repos["acme/one"], BRANCH) == theirs[0]
    assert len(one.pull().comments) == 1


def test_closed_means_no(one: Fleet) -> None:
    one.publish()
    one.pull().state = "closed"
    assert one.publish() == 0
    assert one.publish(reopen_closed=True) == 0, "the patch is the same: no is no"
    one.replan()
    assert one.publish() == 0
    assert len(one.forge.repos["acme/one"].pulls) == 1
    assert one.standing().state == "closed"
    assert one.publish(reopen_closed=True) == 0
    assert [pull.state for pull in one.forge.repos["acme/one"].pulls] == ["closed", "open"]


def test_closed_means_no_where_the_journal_is_lost(one: Fleet) -> None:
    one.publish()
    one.pull().state = "closed"
    one.folder += "-another"
    one.plan()
    one.publish(reopen_closed=True)
    assert len(one.forge.repos["acme/one"].pulls) == 1


def test_one_that_exists_is_adopted(one: Fleet) -> None:
    """Another publisher opened it between the look and the request: the forge says 422 or 409."""
    repo = one.forge.repos["acme/one"]

    def meanwhile(method: str, path: str) -> None:
        if method == "POST" and path.endswith(("/pulls", "/merge_requests")) and not repo.pulls:
            one.forge.open(repo, "the same", "by another publisher", BRANCH, "main", True)

    one.forge.before = meanwhile
    assert one.publish() == 0
    assert len(repo.pulls) == 1
    assert one.standing().state == "open"


def test_two_publishers_at_once_in_one_folder(one: Fleet) -> None:
    with locked(one.folder, "publish"), pytest.raises(CampaignError, match="another `dockfix fleet publish`"):
        one.publish()


def test_two_publishers_at_once_on_two_machines(one: Fleet) -> None:
    """Both look, both push, both open: one branch, one pull request."""
    folders = (one.folder, f"{one.folder}-another")
    one.folder = folders[1]
    one.plan()
    campaign = one.campaign
    barrier = threading.Barrier(2, timeout=5)

    def together(method: str, path: str) -> None:
        if (method == "GET" and "/pulls?" in path) or (method == "GET" and "/merge_requests?" in path):
            with suppress(threading.BrokenBarrierError):
                barrier.wait()

    def run(folder: str) -> None:
        publish(campaign, folder, Wishes(), Progress("publish", 1, io.StringIO()))

    one.forge.before = together
    threads = [threading.Thread(target=run, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repo = one.forge.repos["acme/one"]
    assert len(repo.pulls) == 1
    assert len({one.forge.tip(repo, BRANCH), repo.pulls[0].sha}) == 1


@pytest.mark.parametrize("match", ["POST .*/(pulls|merge_requests)$", "(POST .*/labels|PUT .*/1)$"])
@pytest.mark.parametrize("status", [0, 502])
def test_an_answer_that_never_came(one: Fleet, match: str, status: int) -> None:
    """It was done, or not: look, and do not send it again blindly."""
    one.forge.fail(match, status, done=True)
    one.publish()
    one.publish()
    pulls = one.forge.repos["acme/one"].pulls
    assert len(pulls) == 1
    assert pulls[0].labels == ["docker"]
    assert repeated(sent for sent in one.forge.sent if is_creating(sent)) == {}
    assert one.standing().state == "open"


def test_a_push_whose_answer_never_came(one: Fleet) -> None:
    one.forge.fail("GIT POST .*receive-pack", 0, done=True)
    assert one.publish() == 0
    assert one.pull().sha == one.forge.tip(one.forge.repos["acme/one"], BRANCH)
    assert one.standing().state == "open"


def test_repositories_that_cannot_take_it_do_not_stop_the_others(fleet: Fleet, kind: str) -> None:
    fleet.kind = kind
    for name in ("gone", "archived", "forbidden", "moved", "fine"):
        fleet.add(f"acme/{name}")
    fleet.plan()
    del fleet.forge.repos["acme/gone"]
    fleet.forge.repos["acme/archived"].archived = True
    fleet.forge.repos["acme/forbidden"].may_push = False
    fleet.forge.repos["acme/moved"].default_branch = "trunk"
    assert fleet.publish() == 2
    states = {name: fleet.standing(f"acme/{name}") for name in ("gone", "archived", "forbidden", "moved", "fine")}
    assert {name: one.state for name, one in states.items()} == {
        "gone": "failed",
        "archived": "refused",
        "forbidden": "refused",
        "moved": "failed",
        "fine": "open",
    }
    assert "not found" in states["gone"].reason
    assert "archived" in states["archived"].reason
    assert "may not push" in states["forbidden"].reason
    assert "plan again" in states["moved"].reason


def test_a_403_that_is_no_limit_is_final(one: Fleet) -> None:
    one.forge.fail("POST .*/(pulls|merge_requests)$", 403, {"message": "Resource not accessible"}, times=9)
    assert one.publish() == 1
    assert len([sent for sent in one.forge.sent if sent.status == 403]) == 1
    assert "Resource not accessible" in one.standing().reason


def test_a_token_that_is_not_taken_stops_the_campaign(one: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TOKEN", "another")
    with pytest.raises(CampaignError, match="does not take the token"):
        one.publish()


def test_a_reviewer_that_is_not_there_is_a_note(one: Fleet) -> None:
    one.forge.users.remove("ada")
    assert one.publish() == 0
    assert one.standing().state == "open"
    assert "reviewers" in one.standing().reason


def test_a_repository_without_drafts_says_what_to_do(fleet: Fleet) -> None:
    fleet.add("acme/one").drafts = False
    fleet.plan()
    assert fleet.publish() == 1
    assert "draft = false" in fleet.standing().reason
    fleet.top = "draft = false"
    assert fleet.publish() == 0
    assert fleet.pull().draft is False


def test_a_private_repository_is_read_and_written_with_the_token(one: Fleet) -> None:
    one.forge.repos["acme/one"].private = True
    one.folder += "-another"
    assert one.plan() == 0
    assert one.publish() == 0
    assert one.standing().state == "open"


def test_the_trial_the_run_and_the_hour(fleet: Fleet) -> None:
    for number in range(7):
        fleet.add(f"acme/r{number}")
    fleet.plan()

    def opened() -> int:
        return sum(len(repo.pulls) for repo in fleet.forge.repos.values())

    fleet.limits = replace(fleet.limits, trial=2, run=3, hour=6)
    fleet.publish()
    assert opened() == 2
    assert "--continue" in fleet.said
    fleet.publish()
    assert opened() == 2, "only a person goes on"
    fleet.publish(go_on=True)
    assert opened() == 5
    assert "limits.run" in fleet.said
    fleet.publish()
    assert opened() == 6
    assert "limits.hour" in fleet.said


def test_one_campaign_at_a_time_in_a_repository(one: Fleet) -> None:
    repo = one.forge.repos["acme/one"]
    commit(repo.path, {"other": "x"}, "dockfix/other")
    one.forge.open(repo, "another campaign", "", "dockfix/other", "main", True)
    assert one.publish() == 0
    assert len(repo.pulls) == 1
    assert one.standing().state == "waiting"
    repo.pulls[0].state = "merged"
    assert one.publish() == 0
    assert len(repo.pulls) == 2


def test_the_pull_request_is_found_on_the_second_page(one: Fleet) -> None:
    repo = one.forge.repos["acme/one"]
    one.publish()
    for number in range(5):
        commit(repo.path, {"other": str(number)}, f"dockfix-{number}")
        one.forge.open(repo, "other", "", BRANCH, "main", True).state = "closed"
    one.forge.page_size = 2
    one.folder += "-another"
    one.plan()
    before = len(one.forge.creating())
    assert one.publish() == 0
    assert len(one.forge.creating()) == before
    assert one.standing().number == 1


def test_status_follows_the_forge(one: Fleet) -> None:
    one.publish()
    one.pull().state = "merged"
    assert one.refresh() == 0
    assert one.standing().state == "merged"
    assert one.publish() == 0
    del one.forge.repos["acme/one"]
    assert one.refresh() == 1
    assert one.standing().state == "merged"


def test_an_organisation_is_a_source(fleet: Fleet, kind: str) -> None:
    fleet.kind = kind
    fleet.add("acme/one")
    fleet.add("acme/two")
    fleet.add("other/three")
    fleet.forge.page_size = 1
    fleet.names = []
    path = fleet.path
    path.write_text(path.read_text().replace("list = []", 'organisation = "acme"'))
    with open(fleet.root / "said.txt", "w") as stream:
        plan(load_campaign(str(path)), fleet.folder, progress=Progress("plan", 2, stream))
    assert [fleet.standing(name).state for name in ("acme/one", "acme/two")] == ["changed", "changed"]
    assert TOKEN not in (fleet.root / "said.txt").read_text()
    path.write_text(path.read_text().replace('"acme"', '"amce"'))
    with pytest.raises(CampaignError, match="organisation amce: not found"):
        plan(load_campaign(str(path)), fleet.folder, progress=Progress("plan", 2, io.StringIO()))
    assert fleet.standing("acme/one").state == "changed", "the plan is as it was"
