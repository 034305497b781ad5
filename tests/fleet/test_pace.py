"""Limits of the forges: what is waited for, for how long, and what is not sent again."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from campaigns import Fleet
from forge_server import TOKEN, commit, serving

from dockfix.fleet.campaign import PAUSE, CampaignError, load_campaign
from dockfix.fleet.forge import ForgeError, Pace, Proposal, Repository, open_forge
from dockfix.fleet.secret import read_secret

ONE = Repository("acme/one", "main", id=1000)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record what is waited for before a request is sent again, and do not wait."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


def ask(fleet: Fleet, said: list[str] | None = None) -> None:
    """Send a request that reads."""
    campaign = fleet.campaign
    pace = Pace(say=said.append) if said is not None else Pace()
    with open_forge(campaign, read_secret(campaign.forge, required=True), pace) as forge:
        forge.repository("acme/one")


def say(fleet: Fleet) -> None:
    """Send a request that creates something."""
    campaign = fleet.campaign
    with open_forge(campaign, read_secret(campaign.forge, required=True)) as forge:
        forge.comment(ONE, forge.pulls(ONE, "topic")[0], "hello")


@pytest.fixture
def one(fleet: Fleet, kind: str) -> Fleet:
    fleet.kind = kind
    repo = fleet.add("acme/one")
    commit(repo.path, {"a": "b"}, "topic")
    fleet.forge.open(repo, "t", "b", "topic", "main", False)
    return fleet


def test_retry_after_in_seconds(one: Fleet, slept: list[float]) -> None:
    one.forge.fail("GET", 429, headers={"Retry-After": "17"})
    ask(one)
    assert slept == [17.0]


def test_retry_after_as_a_date(one: Fleet, slept: list[float]) -> None:
    one.forge.fail("GET", 429, headers={"Retry-After": formatdate(time.time() + 40, usegmt=True)})
    ask(one)
    assert 35 < slept[0] <= 40


@pytest.mark.parametrize("prefix", ["X-RateLimit", "RateLimit"])
def test_the_primary_limit_is_waited_out(one: Fleet, slept: list[float], prefix: str) -> None:
    said: list[str] = []
    headers = {f"{prefix}-Remaining": "0", f"{prefix}-Reset": str(int(time.time()) + 90)}
    one.forge.fail("GET", 429, headers=headers)
    ask(one, said)
    assert 85 < slept[0] <= 91
    assert said == [f"the forge asks to wait for {slept[0]:.0f} s"]


def test_retry_after_goes_before_the_reset(one: Fleet, slept: list[float]) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)}
    one.forge.fail("GET", 403, headers={"Retry-After": "5", **reset})
    ask(one)
    assert slept == [5.0]


def test_the_secondary_limit_backs_off_longer_each_time(one: Fleet, slept: list[float]) -> None:
    one.limits = replace(one.limits, back_off=60)
    text = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    one.forge.fail("POST", 403, text, times=3)
    say(one)
    assert len(slept) == 3
    assert slept[0] >= 60
    assert slept[1] >= 120
    assert slept[2] >= 240
    assert one.pull().comments == ["hello"]


def test_a_limit_that_does_not_end_ends_the_run(one: Fleet, slept: list[float]) -> None:
    one.forge.fail("GET", 429, headers={"Retry-After": "1"}, times=99)
    with pytest.raises(CampaignError, match="goes on refusing because of its limits"):
        ask(one)
    assert len(slept) < 10


def test_nobody_waits_for_days(one: Fleet, slept: list[float]) -> None:
    one.forge.fail("GET", 429, headers={"Retry-After": "90000"})
    with pytest.raises(CampaignError, match="try again later"):
        ask(one)
    assert slept == []


def test_a_server_that_is_away_is_asked_again_and_what_creates_is_not_sent_again(
    one: Fleet, slept: list[float]
) -> None:
    one.forge.fail("GET", 502, times=2)
    ask(one)
    assert len(slept) == 2
    one.forge.fail("POST", 502)
    with pytest.raises(Exception, match="502"):
        say(one)
    assert len([sent for sent in one.forge.sent if sent.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("answer", "headers", "said"),
    [
        ("<html>Please log in</html>", {}, "is it the address of one"),
        ([], {}, "is it the address of one"),
        (None, {"Location": "/api/v3/repos/acme/one"}, "sends in circles"),
    ],
)
def test_who_answers_as_no_forge_does_ends_the_run(
    fleet: Fleet, answer: object, headers: dict[str, str], said: str
) -> None:
    """A page that asks to log in, a proxy, an address without /api/v3."""
    fleet.add("acme/one")
    fleet.forge.fail("GET", 302 if headers else 200, answer, times=99, headers=headers)
    with pytest.raises(CampaignError, match=said):
        ask(fleet)


def test_an_answer_that_lacks_something_is_that_repositorys_failure(one: Fleet) -> None:
    one.forge.fail("GET", 200, {"message": "hello"})
    with pytest.raises(ForgeError, match=r"holds no (full_name|path_with_namespace)"):
        ask(one)


def test_why_there_was_no_answer_is_said(one: Fleet, slept: list[float]) -> None:
    one.forge.address = "http://127.0.0.1:9"
    with pytest.raises(CampaignError, match=r"no answer from http://127\.0\.0\.1:9.*refused; try again later"):
        ask(one)
    assert len(slept) < 10


def test_creating_requests_are_spaced_also_when_sent_again(one: Fleet) -> None:
    campaign = one.campaign
    asked: list[float] = []

    def before() -> None:
        asked.append(time.monotonic())

    one.forge.fail("POST", 429, headers={"Retry-After": "0"})
    with open_forge(campaign, read_secret(campaign.forge, required=True), Pace(before=before)) as forge:
        forge.comment(ONE, forge.pulls(ONE, "topic")[0], "hello")
    assert len(asked) == 2


def test_a_whole_publication_is_spaced(fleet: Fleet) -> None:
    fleet.add("acme/one")
    fleet.plan()
    fleet.limits = replace(fleet.limits, pause=0.3)
    fleet.publish()
    times = [one.at for one in fleet.forge.creating() if not one.path.endswith("git-receive-pack")]
    assert len(times) == 3
    assert all(later - earlier >= 0.29 for earlier, later in pairwise(times))


def test_public_forges_cannot_be_hurried(fleet: Fleet) -> None:
    path = fleet.path
    text = path.read_text().replace(f"{fleet.forge.address}/api/v3", "https://api.github.com")
    path.write_text(f"{text}[limits]\npause = 1\n")
    with pytest.raises(CampaignError, match=f"at least {PAUSE} s"):
        load_campaign(str(path))
    path.write_text(text)
    assert load_campaign(str(path)).limits.pause == PAUSE == 8


def test_the_token_follows_no_redirection_and_no_page_to_another_host(one: Fleet, tmp_path: Path) -> None:
    with serving(tmp_path / "other") as other:
        other.add("acme/one", {"a": "b"})
        seen: list[str] = []
        other.before = lambda method, path: seen.append(path)
        one.forge.fail("GET", 302, headers={"Location": f"{other.address}/api/v3/repos/acme/one"})
        with pytest.raises(Exception, match="token"):
            ask(one)
        assert all(sent.status == 401 for sent in other.sent), "it came without the token"
        link = {"Link": f'<{other.address}/api/v3/repos/acme/one/pulls?page=2>; rel="next"'}
        one.forge.fail("GET", 200, [], headers=link)
        count = len(seen)
        with pytest.raises(Exception, match="another address"):
            say(one)
        assert len(seen) == count


def test_a_proposal_is_sent_as_it_is(one: Fleet) -> None:
    campaign = one.campaign
    with open_forge(campaign, read_secret(campaign.forge, required=True)) as forge:
        one.pull().state = "closed"
        forge.open(ONE, Proposal("topic", "main", "Title", "Body\n", False))
    assert (one.pull().title, one.pull().body, one.pull().draft) == ("Title", "Body\n", False)
    assert TOKEN not in str([sent.body for sent in one.forge.sent])
