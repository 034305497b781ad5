"""The plan on a Dask cluster: two real workers, of which one is killed in the middle."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from campaigns import Fleet
from forge_server import TOKEN

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.journal import Journal, Standing
from dockfix.fleet.plan import plan
from dockfix.fleet.progress import Progress
from dockfix.fleet.worker import Job, chain_key, plan_repository

pytest.importorskip("distributed", reason="no Dask here: pip install 'dockfix[dask]'")
SLOW = '''
import time
from dockfix.transform import Phase, Safety, Skip, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def slow(build):
    """Take a while.

    Why: to be killed in the middle.
    """
    time.sleep(0.25)
    yield Skip("looked long enough", 1)
'''


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "FLEET_TOKEN": TOKEN}
    command = [sys.executable, "-m", "dask", *arguments]
    with open(log, "wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two workers; give the address, the workers and the scheduler."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    place = ["--local-directory", str(folder)]
    own = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", *place]
    port = address.rpartition(":")[2]
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    with (
        running(*scheduler, log=folder / "scheduler") as first,
        running("worker", address, *own, log=folder / "one") as one,
        running("worker", address, *own, log=folder / "two") as two,
    ):
        from distributed import Client

        with Client(address, timeout="30s", set_as_default=False) as client:
            client.wait_for_workers(2, timeout=30)
        yield address, [one, two, first]


class Counting(io.StringIO):
    """Counts the repositories that are done; at the third, it kills."""

    def __init__(self, victim: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.victim = victim

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.getvalue().count("\n") == 3:
            self.victim.send_signal(signal.SIGKILL)
        return count


def standings(folder: str) -> list[Standing]:
    with closing(Journal(folder)) as journal:
        return [replace(one, seconds=0) for one in journal.standings()]


def test_the_same_result_with_a_worker_killed_in_the_middle(fleet: Fleet, tmp_path: Path) -> None:
    (fleet.root / "slow.py").write_text(SLOW)
    fleet.chain = 'transforms = ["slow.py"]\nselect = ["slow", "pip-no-cache-dir"]'
    for number in range(10):
        fleet.add(f"acme/r{number}").private = number % 2 == 0
    fleet.names.append("acme/gone")
    campaign, folder = fleet.campaign, str(tmp_path / "on-cluster")
    (tmp_path / "dask").mkdir()
    with cluster(tmp_path / "dask") as (address, workers):
        stream = Counting(workers[0])
        assert plan(campaign, folder, cluster=address, progress=Progress("plan", 11, stream)) == 1
        assert workers[0].wait(10) < 0
        assert workers[1].poll() is None
    fleet.plan()
    assert standings(folder) == standings(fleet.folder)
    assert [one.state for one in standings(folder)] == ["changed"] * 10 + ["failed"]
    assert TOKEN.encode() not in (tmp_path / "dask" / "scheduler").read_bytes()


@pytest.mark.parametrize(("victim", "said"), [("workers", "has no workers any more"), ("scheduler", "cluster")])
def test_a_cluster_that_goes_away_ends_the_run_and_spoils_nothing(
    fleet: Fleet, tmp_path: Path, victim: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockfix.fleet.executors._PATIENCE", 1.0)
    monkeypatch.setattr("dockfix.fleet.plan._QUIET", 0.5)
    (fleet.root / "slow.py").write_text(SLOW)
    fleet.chain = 'transforms = ["slow.py"]\nselect = ["slow", "pip-no-cache-dir"]'
    for number in range(40):
        fleet.add(f"acme/r{number}")
    campaign, folder = fleet.campaign, str(tmp_path / "on-cluster")
    (tmp_path / "dask").mkdir()
    with cluster(tmp_path / "dask") as (address, processes):

        class Ending(io.StringIO):
            def write(self, text: str) -> int:
                if self.getvalue().count("\n") == 3:
                    for process in processes[:2] if victim == "workers" else processes[2:]:
                        process.send_signal(signal.SIGKILL)
                return super().write(text)

        with pytest.raises(CampaignError, match=said):
            plan(campaign, folder, cluster=address, progress=Progress("plan", 40, Ending()))
    states = Counter(one.state for one in standings(folder))
    assert set(states) == {"changed", "pending"}


def test_a_cluster_without_workers_is_said(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("acme/one")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments = ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    with running(*arguments, log=tmp_path / "log"), pytest.raises(CampaignError, match="has no workers"):
        plan(fleet.campaign, fleet.folder, cluster=f"tcp://127.0.0.1:{port}", progress=Progress("", 1, io.StringIO()))


def test_a_worker_with_another_version_is_said(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.add("acme/one")
    campaign = fleet.campaign
    job = Job("acme/one", campaign.clone_url("acme/one"), campaign.chain, campaign.forge, campaign.limits)
    assert plan_repository(replace(job, key=chain_key(campaign.chain))).state == "changed"
    monkeypatch.setattr("dockfix.fleet.worker._installed_code", lambda: "of another version")
    assert plan_repository(job).state == "changed"
    with pytest.raises(CampaignError, match="has another version of dockfix"):
        plan_repository(replace(job, key=chain_key(campaign.chain)))
