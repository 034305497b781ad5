"""The campaign file: what it says, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import start

from dockfix.fleet.campaign import CampaignError, load_campaign
from dockfix.fleet.repositories import in_shard, repositories
from dockfix.fleet.worker import check_chain

TOP = 'name = "tidy"\ntitle = "Tidy up"\n'


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "campaign.toml"
    path.write_text(text)
    return load_campaign(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is no TOML"),
        ('title = "x"', "name must be made of"),
        ('name = "Big"\ntitle = "x"', "name must be made of"),
        ('name = "a..b"\ntitle = "x"', "name must be made of"),
        ('name = "a.lock"\ntitle = "x"', "name must be made of"),
        ('name = "a"', "title is missing"),
        (f'{TOP}branch = "a..b"', "branch is no good name"),
        (f'{TOP}branch = "-x"', "branch is no good name"),
        (f'{TOP}author = "me"', "author must be like"),
        (f"{TOP}draft = 1", "draft must be true or false"),
        (f"{TOP}labels = [1]", "labels must be a list of texts"),
        (f"{TOP}colour = 1", "unknown key: colour; there are: name, title"),
        (f"{TOP}[limits]\nruns = 1", "unknown key: limits.runs; there are: run, hour"),
        (f"{TOP}[limits]\nrun = -1", "limits.run must not be negative"),
        (f"{TOP}[limits]\nrun = true", "limits.run must be a number"),
        (f'{TOP}[forge]\nkind = "svn"', "forge.kind must be one of github, gitlab"),
        (f'{TOP}[forge]\nclone-url = "https://x/y"', "must hold {name}"),
        (f'{TOP}[chain]\ntransforms = ["none.py"]', "none.py: cannot be read"),
        (f"{TOP}forge = 3", "forge must be a table"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CampaignError) as error:
        load(tmp_path, text)
    assert message in str(error.value)
    assert "campaign.toml" in str(error.value) or "none.py" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ('select = ["nothing"]', "nothing"),
        ('transforms = ["own.py"]', "own.py"),
        ("[chain.options.nothing]\nx = 1", "unknown transform: nothing"),
    ],
)
def test_a_chain_that_cannot_run_is_the_campaigns_failure(tmp_path: Path, chain: str, message: str) -> None:
    (tmp_path / "own.py").write_text("raise ValueError\n")
    path = tmp_path / "campaign.toml"
    path.write_text(f"{TOP}[chain]\n{chain}\n")
    with pytest.raises(CampaignError, match=message):
        check_chain(load_campaign(str(path)).chain)


@pytest.mark.parametrize(
    ("forge", "clone"),
    [
        ('kind = "github"', "https://github.com/acme/one.git"),
        ('kind = "gitlab"', "https://gitlab.com/acme/one.git"),
        ('url = "https://git.acme.example/api/v3/"', "https://git.acme.example/acme/one.git"),
        ('kind = "gitlab"\nurl = "https://git.acme.example/api/v4"', "https://git.acme.example/acme/one.git"),
        ('clone-url = "https://mirror.example/{name}"', "https://mirror.example/acme/one"),
    ],
)
def test_where_repositories_are(tmp_path: Path, forge: str, clone: str) -> None:
    path = tmp_path / "campaign.toml"
    names = f'"acme/one", "{clone}", "{clone}/", "ACME/one", "acme/attic-1"'
    path.write_text(f'{TOP}[forge]\n{forge}\n[repositories]\nlist = [{names}]\nexclude = ["acme/attic-*"]\n')
    assert list(repositories(load_campaign(str(path)))) == [("acme/one", clone)]


def test_each_repository_is_in_one_shard_whatever_else_there_is() -> None:
    names = [f"acme/r{number}" for number in range(1000)]
    counts = [0, 0, 0]
    for name in names:
        (shard,) = (number for number in (1, 2, 3) if in_shard(name, (number, 3)))
        counts[shard - 1] += 1
    assert min(counts) > 250
    assert in_shard("Acme/R1", (1, 3)) == in_shard("acme/r1", (1, 3))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "a/b", "2"])
def test_a_shard_that_is_none(tmp_path: Path, shard: str) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(TOP)
    assert start("plan", str(path), "--shard", shard).wait() == 2


def test_no_repository_at_all(tmp_path: Path) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(TOP)
    said = tmp_path / "said.txt"
    assert start("plan", str(path), said=said).wait() == 2
    assert "names no repository; see [repositories]" in said.read_text()
    for stage in ("publish", "status", "report"):
        assert start(stage, str(path), "--folder", str(tmp_path / "none"), said=said).wait() == 2
    assert "there is no plan; run `dockfix fleet plan` first" in said.read_text()
    assert "Traceback" not in said.read_text()
