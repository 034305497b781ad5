"""What happens between the plan and its publication, and after it: the world goes on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from campaigns import DOCKERFILE, Fleet
from forge_server import commit, git

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.journal import locked

BRANCH = "dockfix/tidy"
FIXED = DOCKERFILE.replace("install", "install --no-cache-dir")


@pytest.fixture
def one(fleet: Fleet, kind: str) -> Fleet:
    """Return a campaign on one repository, planned, on each kind of forge."""
    fleet.kind = kind
    fleet.add("acme/one")
    assert fleet.plan() == 0
    return fleet


def repository(fleet: Fleet) -> Path:
    return fleet.forge.repos["acme/one"].path


@pytest.mark.parametrize("dockerfile", [FIXED, "FROM scratch\n"])
def test_what_the_patch_changes_was_changed(one: Fleet, dockerfile: str) -> None:
    """Fixed by somebody, or rewritten: a pull request would change nothing, or be a conflict."""
    commit(repository(one), {"Dockerfile": dockerfile})
    assert one.publish() == 1
    assert one.forge.creating() == []
    assert "plan again" in one.standing().reason
    assert one.plan() == 0
    assert (one.standing().state, one.standing().reason) == ("unchanged", "")
    assert one.publish() == 0
    assert one.forge.creating() == []


def test_the_default_branch_went_on_elsewhere(one: Fleet) -> None:
    planned = one.standing().commit
    for number in range(3):
        commit(repository(one), {"other": str(number)})
    assert one.publish() == 0
    assert one.standing().state == "open"
    assert git("--git-dir", repository(one), "rev-parse", f"{BRANCH}^") == planned


def test_the_history_was_rewritten(one: Fleet) -> None:
    """What was taken out of the history does not come back by a pull request."""
    old = one.standing().commit
    git("--git-dir", repository(one), "update-ref", "refs/keep/it", old)
    git("--git-dir", repository(one), "update-ref", "-d", "refs/heads/main")
    commit(repository(one), {"Dockerfile": DOCKERFILE, "app.py": "print('hello')\n"}, message="anew")
    assert one.publish() == 1
    assert "history of main is another" in one.standing().reason
    assert one.forge.creating() == []
    assert one.plan() == 0
    assert one.publish() == 0
    assert git("--git-dir", repository(one), "rev-list", "--count", BRANCH) == "2"


def test_the_branch_is_the_default_branch(one: Fleet) -> None:
    """The campaign's commit was merged by moving the branch: its tip is ours, and no branch to push to."""
    one.publish()
    ours = one.pull().sha
    git("--git-dir", repository(one), "update-ref", "refs/heads/main", ours)
    one.pull().state = "merged"
    one.top = 'branch = "main"'
    one.chain = 'select = ["absolute-workdir", "pip-no-cache-dir", "python-env"]'
    assert one.plan() == 0
    assert one.standing().planned == "changed"
    assert one.publish() == 1
    assert "default branch" in one.standing().reason
    assert one.forge.tip(one.forge.repos["acme/one"], "main") == ours


def test_the_branch_of_an_open_pull_request_was_deleted(one: Fleet) -> None:
    one.publish()
    git("--git-dir", repository(one), "update-ref", "-d", f"refs/heads/{BRANCH}")
    one.replan()
    pushes = len(one.forge.pushes())
    assert one.publish() == 0
    assert one.standing().state == "refused"
    assert "deleted the branch" in one.standing().reason
    assert len(one.forge.pushes()) == pushes


@pytest.mark.parametrize(
    ("top", "repositories", "chain"),
    [
        ("", 'exclude = ["acme/one"]', ""),
        ("verify = true", "", ""),
        ("", "", "safe-only = true"),
        ("", 'file = "more.txt"', ""),
    ],
)
def test_the_campaign_file_asks_for_something_else(fleet: Fleet, top: str, repositories: str, chain: str) -> None:
    """What nobody planned, or what was excluded after a look at the report, is not published."""
    fleet.add("acme/one")
    (fleet.root / "more.txt").write_text("acme/one\n")
    fleet.plan()
    usual = fleet.path.read_text()

    def rewritten() -> Path:
        path = fleet.root / "campaign.toml"
        path.write_text(f"{top}\n{usual}".replace("[chain]", f"{repositories}\n[chain]\n{chain}"))
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "path", property(lambda self: rewritten()))
        with pytest.raises(CampaignError, match="plan again"):
            fleet.publish()
    assert fleet.forge.creating() == []
    assert fleet.publish() == 0


def test_what_a_transform_holds_was_changed(fleet: Fleet) -> None:
    source = Path(__file__).parents[2].joinpath("examples/migration/acme_base.py").read_text()
    (fleet.root / "own.py").write_text(source)
    fleet.chain = 'transforms = ["own.py"]\nselect = ["acme-base"]'
    fleet.add("acme/one", {"Dockerfile": "FROM registry.acme.example/base/python:3.11\n"})
    fleet.plan()
    (fleet.root / "own.py").write_text(source.replace("images.acme.example", "other.acme.example"))
    with pytest.raises(CampaignError, match="plan again"):
        fleet.publish()
    fleet.plan()
    assert fleet.publish() == 0
    assert "other.acme.example" in git("--git-dir", repository(fleet), "show", f"{BRANCH}:Dockerfile")


@pytest.mark.parametrize("harm", ["gone", "changed", "cut"])
def test_a_patch_that_is_not_as_it_was_planned_is_not_published(one: Fleet, harm: str) -> None:
    (path,) = Path(one.folder, "patches").iterdir()
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(whole.replace(b"no-cache", b"no-such") if harm == "changed" else whole[:50])
    with pytest.raises(CampaignError, match="gone or was changed: plan again"):
        one.publish()
    assert one.forge.creating() == []
    assert one.plan() == 0
    assert path.read_bytes() == whole
    assert one.publish() == 0


def test_an_open_pull_request_that_is_needed_no_more_is_said(one: Fleet) -> None:
    one.publish()
    commit(repository(one), {"Dockerfile": FIXED})
    assert one.plan() == 0
    assert (one.standing().state, one.standing().reason) == ("open", "a newer plan finds nothing left to change")


def test_merged_stays_merged_where_something_is_left_that_is_refused(one: Fleet) -> None:
    one.publish()
    one.pull().state = "merged"
    one.refresh()
    commit(repository(one), {"Dockerfile": "FROM alpine\nRUN apk update && apk add curl\n"})
    one.plan()
    assert one.standing().planned == "refused"
    assert (one.standing().state, one.standing().reason) == ("merged", "")


def test_a_chain_that_changed_renews_the_branch(one: Fleet) -> None:
    one.publish()
    one.chain = 'select = ["pip-no-cache-dir", "python-env"]'
    one.plan()
    assert one.publish() == 0
    assert len(one.forge.repos["acme/one"].pulls) == 1
    assert "### python-env" in one.pull().body
    assert "PYTHONUNBUFFERED" in git("--git-dir", repository(one), "show", f"{BRANCH}:Dockerfile")


def test_renamed_since_the_plan(fleet: Fleet) -> None:
    """The forge answers under the new name; git is told the new one as well."""
    fleet.add("acme/one")
    fleet.plan()
    repo = fleet.forge.repos.pop("acme/one")
    os.rename(repo.path, repo.path.with_name("two.git"))
    fleet.forge.repos["acme/two"] = repo
    repo.name, repo.path = "acme/two", repo.path.with_name("two.git")
    address = {"Location": f"{fleet.forge.address}/api/v3/repos/acme/two"}
    fleet.forge.fail("GET /api/v3/repos/acme/one$", 301, {}, times=9, headers=address)
    assert fleet.publish() == 0
    assert fleet.standing().state == "open"
    repo.pulls[0].state = "merged"
    assert fleet.refresh() == 0
    assert fleet.standing().state == "merged"


def test_what_was_refused_for_now_is_asked_again(one: Fleet) -> None:
    one.forge.repos["acme/one"].archived = True
    assert one.publish() == 0
    assert one.standing().state == "refused"
    one.forge.repos["acme/one"].archived = False
    assert one.publish() == 0
    assert one.standing().state == "open"


def test_the_token_is_taken_back_in_the_middle(fleet: Fleet) -> None:
    for number in range(3):
        fleet.add(f"acme/r{number}")
    fleet.plan()
    fleet.limits = replace(fleet.limits, pause=0)
    fleet.forge.fail("GET .*/r1$", 401, {"message": "Bad credentials"})
    with pytest.raises(CampaignError, match="does not take the token: Bad credentials"):
        fleet.publish()
    assert [fleet.standing(f"acme/r{number}").state for number in range(3)] == ["open", "changed", "changed"]
    assert fleet.publish() == 0
    assert [len(fleet.forge.repos[f"acme/r{number}"].pulls) for number in range(3)] == [1, 1, 1]


def test_status_while_a_publisher_is_at_work(one: Fleet) -> None:
    with locked(one.folder, "publish"), pytest.raises(CampaignError, match=r"at work here; .*--offline` shows"):
        one.refresh()


def test_a_commit_of_the_same_author_for_something_else_stays(one: Fleet) -> None:
    """A bot has more to do than this campaign."""
    names = {"NAME": "dockfix", "EMAIL": "dockfix@noreply.invalid"}
    same = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in names.items()}
    theirs = commit(repository(one), {"note": "x"}, BRANCH, same, "Another change\n\nDockfix-Campaign: tidy-more")
    assert one.publish() == 0
    assert one.forge.tip(one.forge.repos["acme/one"], BRANCH) == theirs
    assert one.standing().state == "refused"
