"""Kill it anywhere and start it again: nothing is done twice, nothing is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from campaigns import Fleet
from forge_server import Answer, Sent, is_creating
from killing import kill, killed_again_and_again, repeated, start

SLOW = '''import time
from dockfix.transform import Phase, Safety, transform


@transform(safety=Safety.SAFE, phase=Phase.BASE)
def slow(build):
    """Take a while.

    Why: so that it is stopped in the middle.
    """
    time.sleep(60)
    yield from ()
'''
LIMITS = "\n[limits]\ntrial = 0\npause = 0\nback-off = 0.01\n"


def file_of(fleet: Fleet) -> str:
    path = fleet.path
    path.write_text(path.read_text() + LIMITS)
    return str(path)


@pytest.fixture
def three(fleet: Fleet, kind: str) -> Fleet:
    fleet.kind = kind
    for number in range(3):
        fleet.add(f"acme/r{number}")
    assert fleet.plan() == 0
    return fleet


def test_publish_killed_at_random_moments(three: Fleet) -> None:
    path = file_of(three)
    moments = [0.15 + random.Random(number).random() * 0.5 for number in range(6)]
    left = Path(three.folder, ".dockfix-pushes", "of-a-killed-run")
    left.mkdir(parents=True)
    _, status = killed_again_and_again(lambda: start("publish", path, "--folder", three.folder), moments)
    assert status == 0
    assert not left.parent.exists()
    assert repeated(three.forge.creating()) == {}
    for number in range(3):
        repo = three.forge.repos[f"acme/r{number}"]
        assert [pull.state for pull in repo.pulls] == ["open"]
        assert (repo.pulls[0].labels, repo.pulls[0].reviewers) == (["docker"], ["ada"])
        assert three.standing(repo.name).state == "open"


def test_publish_killed_whenever_something_was_done(fleet: Fleet) -> None:
    """Push, pull request, labels, reviewers: each is done, and its answer never heard."""
    fleet.add("acme/one")
    fleet.plan()
    path = file_of(fleet)
    process: list[subprocess.Popen[bytes]] = []

    class Killer(list[Sent]):
        """What was sent; whoever sent something that creates is dead by then."""

        def append(self, one: Sent) -> None:
            super().append(one)
            if is_creating(one):
                kill(process[-1])

    fleet.forge.sent = Killer()
    for number in range(1, 5):
        process.append(start("publish", path, "--folder", fleet.folder))
        assert process[-1].wait() < 0
        assert len(fleet.forge.creating()) == number
    process.append(start("publish", path, "--folder", fleet.folder))
    assert process[-1].wait() == 0
    assert repeated(fleet.forge.creating()) == {}
    assert (fleet.pull().labels, fleet.pull().reviewers) == (["docker"], ["ada"])


def test_publish_killed_whenever_something_is_about_to_be_done(fleet: Fleet) -> None:
    fleet.add("acme/one")
    fleet.plan()
    path = file_of(fleet)
    process: list[subprocess.Popen[bytes]] = []
    asked: set[str] = set()

    def before(method: str, path: str) -> None:
        if method != "GET" and path not in asked:
            asked.add(path)
            kill(process[-1])
            raise Answer(0)

    fleet.forge.before = before
    for _ in range(3):
        process.append(start("publish", path, "--folder", fleet.folder))
        assert process[-1].wait() < 0
    assert fleet.publish() == 0
    assert repeated(fleet.forge.creating()) == {}
    assert (fleet.pull().labels, fleet.pull().reviewers) == (["docker"], ["ada"])


def test_a_killed_run_keeps_the_pace(three: Fleet) -> None:
    path = three.path
    path.write_text(path.read_text() + LIMITS.replace("pause = 0", "pause = 0.6"))
    moments = [1.3, 1.1, 0.9]
    killed_again_and_again(lambda: start("publish", str(path), "--folder", three.folder), moments)
    times = [one.at for one in three.forge.creating() if not one.path.endswith("git-receive-pack")]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.55


def test_what_is_opened_is_counted_once(three: Fleet) -> None:
    """Killed between the request and the journal: the trial still ends after two."""
    path = three.path
    path.write_text(path.read_text() + LIMITS.replace("trial = 0", "trial = 2"))
    process: list[subprocess.Popen[bytes]] = []

    class Killer(list[Sent]):
        """Kills the publisher when the first pull request was opened."""

        def append(self, one: Sent) -> None:
            super().append(one)
            if one.method == "POST" and one.path.endswith(("/pulls", "/merge_requests")) and len(process) == 1:
                kill(process[0])

    three.forge.sent = Killer()
    for _ in range(3):
        process.insert(0, start("publish", str(path), "--folder", three.folder))
        process[0].wait()
    assert sum(len(repo.pulls) for repo in three.forge.repos.values()) == 2


def test_plan_goes_on_where_it_was(fleet: Fleet, tmp_path: Path) -> None:
    for number in range(8):
        fleet.add(f"acme/r{number}")
    path, said = file_of(fleet), tmp_path / "said.txt"
    process = start("plan", path, "--folder", fleet.folder, "--jobs", "2", said=said)
    while not said.exists() or said.read_text().count("changed") < 2:
        time.sleep(0.02)
        assert process.poll() is None
    kill(process)
    done = said.read_text().count("changed")
    assert fleet.plan() == 0
    assert fleet.said.count("cached") >= done
    assert {fleet.standing(name).state for name in fleet.names} == {"changed"}
    assert not (Path(fleet.folder) / ".dockfix-clones").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_plan_is_stopped_at_once_and_leaves_nothing(fleet: Fleet, tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C, by a job that is cancelled, by a terminal that is closed."""
    (fleet.root / "slow.py").write_text(SLOW)
    fleet.chain = 'transforms = ["slow.py"]\nselect = ["slow"]'
    fleet.add("acme/one")
    scratch, said = tmp_path / "scratch", tmp_path / "said.txt"
    process = start("plan", file_of(fleet), "--folder", fleet.folder, "--scratch", str(scratch), said=said)
    while not any(scratch.glob(".dockfix-clones/*/*/clone/Dockerfile")):
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(10) == 130
    assert said.read_text().strip() == "dockfix: stopped"
    assert list(scratch.iterdir()) == []


def test_publish_is_stopped_at_once_and_goes_on(three: Fleet) -> None:
    path = three.path
    path.write_text(path.read_text() + LIMITS.replace("pause = 0", "pause = 5"))
    process = start("publish", str(path), "--folder", three.folder)
    while not three.forge.creating():
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(4) == 130
    assert three.publish() == 0
    assert repeated(three.forge.creating()) == {}
    assert {three.standing(name).state for name in three.names} == {"open"}
