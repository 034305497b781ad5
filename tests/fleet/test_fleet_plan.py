"""Planning: what becomes of each repository, and what is kept of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from campaigns import DOCKERFILE, Fleet
from forge_server import commit, git
from killing import start

from dockfix.fleet import plan as plans
from dockfix.fleet import processes
from dockfix.fleet.campaign import CampaignError, load_campaign
from dockfix.fleet.git import NO_SPACE
from dockfix.fleet.join import join
from dockfix.fleet.journal import Journal
from dockfix.fleet.plan import plan
from dockfix.fleet.progress import Progress, table

BASE = '''
from dockfix.transform import Fix, Phase, Safety, Skip, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def bad(build):
    """Do harm.

    Why: somebody has to.
    """
    {body}
    yield Skip("never", 1)
'''


def states(fleet: Fleet) -> dict[str, tuple[str, str]]:
    with closing(Journal(fleet.folder)) as journal:
        return {one.name: (one.state, one.reason) for one in journal.standings()}


def test_every_kind_of_repository(fleet: Fleet) -> None:
    fleet.add("acme/changed")
    fleet.add("acme/unchanged", {"Dockerfile": "FROM python:3.11\n"})
    fleet.add("acme/refused", {"Dockerfile": "FROM alpine\nRUN apk update && apk add curl\n"})
    fleet.add("acme/broken", {"Dockerfile": "RUN nothing before\n"})
    fleet.forge.add("acme/bare", {"README": "no Dockerfile here\n"})
    fleet.forge.add("acme/empty")
    fleet.names += ["acme/bare", "acme/empty", "acme/gone"]
    assert fleet.plan() == 2
    found = states(fleet)
    assert {name.removeprefix("acme/"): state for name, (state, _) in found.items()} == {
        "changed": "changed",
        "unchanged": "unchanged",
        "refused": "refused",
        "broken": "failed",
        "bare": "unchanged",
        "empty": "unchanged",
        "gone": "failed",
    }
    assert found["acme/bare"][1] == "holds no Dockerfile"
    assert found["acme/empty"][1] == "empty: it holds no commit"
    assert "not found" in found["acme/gone"][1]
    assert found["acme/broken"][1].startswith("Dockerfile: ")
    assert found["acme/refused"][1]


def test_the_patch_is_what_the_command_shows(fleet: Fleet, tmp_path: Path) -> None:
    repo = fleet.add("acme/one", {"Dockerfile": DOCKERFILE.replace("\n", "\r\n"), "app.py": b"\xff\r\n"})
    fleet.plan()
    git("clone", "--quiet", repo.path, tmp_path / "clone")
    command = [sys.executable, "-c", "from dockfix.cli.main import main; main()", "--format", "patch"]
    options = ["--select", "pip-no-cache-dir", str(tmp_path / "clone")]
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    with closing(Journal(fleet.folder)) as journal:
        one = next(journal.standings())
        assert Path(journal.patch_path(one.patch)).read_bytes() == done.stdout
        assert json.loads(journal.document(one.name))["about"]["pip-no-cache-dir"]["why"].startswith("pip keeps")


def test_the_second_plan_is_from_the_cache_and_a_new_commit_is_not(fleet: Fleet) -> None:
    for number in range(3):
        fleet.add(f"acme/r{number}")
    fleet.plan()
    commit(fleet.forge.repos["acme/r1"].path, {"Dockerfile": "FROM python:3.11\n"})
    fleet.plan()
    assert fleet.said.count(": cached") == 2
    assert states(fleet)["acme/r1"][0] == "unchanged"
    fleet.chain = 'select = ["pip-no-cache-dir"]\n[chain.options.pip-no-cache-dir]\nstyle = "cache-mount"'
    fleet.plan()
    assert fleet.said.count(": cached") == 0, "another option is another chain"


def test_a_failure_is_tried_again_at_the_same_commit(fleet: Fleet) -> None:
    fleet.add("acme/one", {"data": os.urandom(2_000_000)})
    usual = fleet.limits
    fleet.limits = replace(usual, megabytes=1)
    assert fleet.plan() == 1
    fleet.limits = usual
    assert fleet.plan() == 0
    assert states(fleet)["acme/one"] == ("changed", "")


def test_a_repository_that_was_gone_is_tried_again(fleet: Fleet) -> None:
    fleet.add("acme/one")
    path = fleet.forge.repos["acme/one"].path
    path.rename(f"{path}.away")
    assert fleet.plan() == 1
    Path(f"{path}.away").rename(path)
    assert fleet.plan() == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True: pass", "took longer than limits.seconds"),
        ("x = bytearray(4 * 10**9)", "MemoryError"),
        ("import signal, time; signal.signal(14, signal.SIG_IGN); time.sleep(900)", "took longer than limits.seconds"),
        ("import os; os._exit(3)", "the chain stopped: exit status 3"),
        ("import os; os.kill(os.getpid(), 11)", "the chain was stopped by SIGSEGV"),
        ("open('written', 'w').write('x' * 10**6)", "File too large"),
        ("raise ValueError('broken')", "broken"),
    ],
    ids=["endless", "memory", "deaf", "exit", "crash", "writes", "raises"],
)
def test_what_goes_wrong_in_the_chain_is_that_repositorys_result(
    fleet: Fleet, body: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_GRACE", 6.0)
    own = fleet.root / "bad.py"
    own.write_text(BASE.replace("{body}", body))
    fleet.chain = 'transforms = ["bad.py"]\nselect = ["bad"]'
    fleet.add("acme/one")
    fleet.limits = replace(fleet.limits, seconds=2 if "while" in body or "sleep" in body else 60)
    assert fleet.plan() == 1
    state, why = states(fleet)["acme/one"]
    assert state == "failed"
    assert reason in why


def test_a_transform_that_prints_spoils_nothing(fleet: Fleet) -> None:
    (fleet.root / "bad.py").write_text(BASE.replace("{body}", "print('hello' * 10**5, flush=True)"))
    fleet.chain = 'transforms = ["bad.py"]\nselect = ["bad"]'
    fleet.add("acme/one")
    assert fleet.plan() == 0
    assert states(fleet)["acme/one"] == ("refused", "never")


def test_a_huge_repository(fleet: Fleet) -> None:
    fleet.add("acme/huge", {"data": os.urandom(2_000_000)})
    fleet.add("acme/inflated", {"data": b"\0" * 5_000_000})
    fleet.add("acme/fine")
    fleet.limits = replace(fleet.limits, megabytes=1)
    assert fleet.plan() == 2
    assert states(fleet) == {
        "acme/huge": ("failed", "larger than 1 MB (limits.megabytes)"),
        "acme/inflated": ("failed", "larger than 1 MB (limits.megabytes)"),
        "acme/fine": ("changed", ""),
    }


def test_a_forge_that_is_away_is_the_campaigns_failure(fleet: Fleet) -> None:
    for number in range(30):
        fleet.add(f"acme/r{number}")
    path = fleet.path
    path.write_text(path.read_text().replace(fleet.forge.address, "http://127.0.0.1:9"))
    said = fleet.root / "said.txt"
    assert start("plan", str(path), "--folder", fleet.folder, said=said).wait() == 2
    lines = said.read_text().splitlines()
    assert lines[-1].startswith("dockfix: http://127.0.0.1:9 does not answer: git ls-remote: fatal: ")
    assert lines[-1].endswith("; try again later, it goes on where it was")
    assert len(lines) == 11
    fleet.names = fleet.names[:1]
    path = fleet.path
    path.write_text(path.read_text().replace(fleet.forge.address, "http://127.0.0.1:9"))
    assert start("plan", str(path), "--folder", fleet.folder).wait() == 2, "also where there is but one"


@pytest.mark.parametrize("status", [429, 503])
def test_a_forge_that_is_busy_is_asked_again_by_git(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("dockfix.fleet.git._WAITS", (0.01, 0.01))
    fleet.add("acme/one")
    fleet.forge.fail("GIT ", status, "slow down", times=2)
    assert fleet.plan() == 0
    fleet.forge.fail("GIT POST .*receive-pack", status, "slow down", times=2)
    assert fleet.publish() == 0
    assert len(fleet.forge.pushes()) == 1
    fleet.forge.fail("GIT ", status, "slow down", times=99)
    with pytest.raises(CampaignError, match="does not answer"):
        fleet.plan()


def test_a_server_that_never_answers(fleet: Fleet) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        fleet.names.append(f"http://127.0.0.1:{server.getsockname()[1]}/acme/one.git")
        fleet.limits = replace(fleet.limits, seconds=1)
        assert fleet.plan() == 1
    assert next(iter(states(fleet).values())) == ("failed", "took longer than limits.seconds allows")


@pytest.mark.parametrize("kilobytes", [580, 660, 740, 1024, 1440])
def test_a_full_disk_stops_the_campaign_and_says_so(fleet: Fleet, tmp_path: Path, kilobytes: int) -> None:
    for number in range(4):
        fleet.add(f"acme/r{number}", {"data": os.urandom(400_000)})
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    script = f"mount -t tmpfs -o size={kilobytes}k none {folder} && mount -t tmpfs -o size=64k none /dev/shm"
    if subprocess.run([*mount, script], capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    command = [sys.executable, "-c", "from dockfix.cli.main import main; main()", "fleet", "plan", str(fleet.path)]
    done = subprocess.run(
        [*mount, f'{script} && exec "$@"', "sh", *command, "--folder", str(folder / "plan")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("dockfix: ")
    assert "space" in last or "full" in last


def test_a_full_disk_stops_every_stage_and_says_so(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("acme/one")
    fleet.plan()
    small = tmp_path / "small"
    small.mkdir()
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    script = f"mount -t tmpfs -o size=300k none {small} && cp -r {fleet.folder} {small}/plan"
    if subprocess.run([*mount, script], capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    script += f"; dd if=/dev/zero of={small}/fill bs=1k count=300 2>/dev/null"
    for stage in ("publish", "status"):
        command = [sys.executable, "-c", "from dockfix.cli.main import main; main()", "fleet", stage, str(fleet.path)]
        done = subprocess.run(
            [*mount, f'{script}; exec "$@"', "sh", *command, "--folder", str(small / "plan")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == f"dockfix: {small}/plan: {NO_SPACE}\n"
    assert fleet.forge.creating() == []


def test_clones_are_made_in_memory_where_there_is_plenty_and_go(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fleet.root / "memory"
    memory.mkdir()
    monkeypatch.setattr(plans, "_MEMORY", str(memory))
    fleet.limits = replace(fleet.limits, megabytes=1)
    place = Path(plans._place(fleet.folder, "", 1e6))
    assert place.parent == memory
    assert place.stat().st_mode & 0o077 == 0
    (place / "of-a-killed-run").mkdir()
    fleet.add("acme/one")
    assert fleet.plan() == 0
    assert list(memory.iterdir()) == []
    place.mkdir(mode=0o755)
    assert plans._place(fleet.folder, "", 1e6) == f"{fleet.folder}/.dockfix-clones", "somebody else made it"
    assert plans._place(fleet.folder, "", 1e15) == f"{fleet.folder}/.dockfix-clones", "that much there is not"


@pytest.mark.parametrize("option", [[], ["--scratch", "."]])
def test_what_lies_in_the_folder_stays(fleet: Fleet, option: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.add("acme/one")
    path = str(fleet.path)
    monkeypatch.chdir(fleet.root)
    (fleet.root / "work").mkdir()
    (fleet.root / "work/mine").write_text("mine\n")
    assert start("plan", path, "--folder", ".", *option, said=fleet.root / "said.txt").wait() == 0, (
        fleet.root / "said.txt"
    ).read_text()
    assert (fleet.root / "work/mine").exists()
    assert not (fleet.root / ".dockfix-clones").exists()


def test_another_campaign_does_not_take_the_folder(fleet: Fleet) -> None:
    fleet.add("acme/one")
    fleet.plan()
    path = fleet.path
    path.write_text(path.read_text().replace('"tidy"', '"other"'))
    with pytest.raises(CampaignError, match="belongs to the campaign tidy"):
        plan(load_campaign(str(path)), fleet.folder, progress=Progress("plan", 1, io.StringIO()))


def test_local_repositories_and_files_of_names(fleet: Fleet) -> None:
    repo = fleet.forge.add("acme/one", {"Dockerfile": DOCKERFILE})
    (fleet.root / "names.txt").write_text(f"# the first\n{repo.path}   # by its path\n./forge/acme/one.git\n")
    path = fleet.path
    path.write_text(path.read_text().replace("list = []", 'file = "names.txt"'))
    assert plan(load_campaign(str(path)), fleet.folder, progress=Progress("plan", 1, io.StringIO())) == 0
    assert list(states(fleet).values()) == [("changed", "")], "the same repository twice is one"


def test_shards_together_are_the_whole(fleet: Fleet) -> None:
    for number in range(7):
        fleet.add(f"acme/r{number}")
    campaign = str(fleet.path)
    folders = [str(fleet.root / f"shard-{number}") for number in (1, 2, 3)]
    for number, folder in enumerate(folders, 1):
        assert start("plan", campaign, "--folder", folder, "--shard", f"{number}/3").wait() == 0
    joined = str(fleet.root / "joined")
    assert start("join", campaign, "--folder", joined, *folders).wait() == 0
    fleet.plan()
    with closing(Journal(joined)) as parts, closing(Journal(fleet.folder)) as whole:
        one, other = ([replace(item, seconds=0) for item in journal.standings()] for journal in (parts, whole))
        assert one == other
        assert all(Path(parts.patch_path(item.patch)).is_file() for item in one)
    counts = [len(list(Path(folder, "patches").iterdir())) for folder in folders]
    assert max(counts) == 1, "the same patch is kept once"
    fleet.folder = joined
    assert fleet.publish() == 0
    assert all(repo.pulls for repo in fleet.forge.repos.values())


def test_parts_that_are_no_whole(fleet: Fleet) -> None:
    for number in range(7):
        fleet.add(f"acme/r{number}")
    folders = [str(fleet.root / f"shard-{number}") for number in (1, 2, 3)]
    campaign = fleet.campaign
    for number, folder in enumerate(folders, 1):
        plan(campaign, folder, jobs=2, shard=(number, 3), progress=Progress("plan", 1, io.StringIO()))
    joined = str(fleet.root / "joined")
    with pytest.raises(CampaignError, match=r"of 3 parts these are missing: 2$"):
        join(campaign, joined, (folders[0], folders[2]))
    with pytest.raises(CampaignError, match="is one of the parts"):
        join(campaign, folders[0], folders)
    plan(campaign, folders[1], jobs=2, shard=(2, 4), progress=Progress("plan", 1, io.StringIO()))
    with pytest.raises(CampaignError, match="3 and 4 parts"):
        join(campaign, joined, folders)
    plan(campaign, folders[1], jobs=2, shard=(2, 3), progress=Progress("plan", 1, io.StringIO()))
    join(campaign, joined, folders)


def test_exit_status_and_final_table(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("acme/one")
    path, said = str(fleet.path), tmp_path / "said.txt"
    assert start("plan", path, "--folder", fleet.folder, said=said).wait() == 0
    fleet.names.append("acme/gone")
    path = str(fleet.path)
    assert start("plan", path, "--folder", fleet.folder, said=said).wait() == 1
    text = said.read_text()
    assert "acme/gone: failed: not found" in text
    assert "changed         1" in text
    assert "total           2   1 fix\n" in text
    Path(path).write_text("name = 3\n")
    assert start("plan", path, "--folder", fleet.folder, said=said).wait() == 2
    assert said.read_text().splitlines()[-1].startswith("dockfix: ")


def test_progress_on_a_terminal_counts_and_estimates() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = Progress("plan", 4, stream)
    for number in range(3):
        progress._drawn = 0
        progress.done(f"r{number}", "changed" if number else "failed")
    assert "plan 3/4: 2 changed, 1 failed; about 1 s left" in stream.getvalue()
    progress.close()
    progress = Progress("publish", 8, stream)
    for number in range(7):
        progress._drawn, progress._start = 0, time.monotonic() - 100
        progress.done(f"r{number}", "open", before=number < 5)
    assert "publish 6/8: 6 open\r" in stream.getvalue(), "what was open before says nothing of the time that is left"
    assert "publish 7/8: 7 open; about 50 s left" in stream.getvalue()
    assert list(table([])) == ["total           0   0 fixes\n"]
