"""The campaign file: what it says, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import start

from dockfix.fleet.campaign import Campaign, CampaignError, load_campaign
from dockfix.fleet.repositories import in_shard, repositories
from dockfix.fleet.worker import check_chain

TOP = 'name = "tidy"\ntitle = "Tidy up"\n'


def load(tmp_path: Path, text: str) -> Campaign:
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
        (f"{TOP}[limits]\nruns = 1", "limits.runs (did you mean run?); there are: run, hour"),
        (f"{TOP}[limits]\nrun = -1", "limits.run must not be negative"),
        (f"{TOP}[limits]\nrun = true", "limits.run must be a whole number"),
        (f'{TOP}[forge]\nkind = "svn"', "forge.kind must be one of github, gitlab"),
        (f'{TOP}[forge]\nclone-url = "https://x/y"', "must hold {name}"),
        (f'{TOP}[chain]\ntransforms = ["none.py"]', "none.py: cannot be read"),
        (f"{TOP}forge = 3", "forge must be a table"),
        (f'{TOP}titel = "x"', "campaign.toml:3: unknown key: titel (did you mean title?)"),
        (f"{TOP}[limits]\nrun = 3\nhuor = 1", "campaign.toml:5: unknown key: limits.huor (did you mean hour?)"),
        (f"{TOP}limits.huor = 1", "campaign.toml:3: unknown key: limits.huor"),
        (f"{TOP}[repository]\nx = 1", "campaign.toml:3: unknown key: repository (did you mean repositories?)"),
        (f'{TOP}\n[forge]\nurl = "api.github.com"', "campaign.toml:5: forge.url must begin with https://"),
        (f'{TOP}[forge]\nclone-url = "ssh://x/{{name}}"', "forge.clone-url must begin with https://"),
        (f'{TOP}[forge]\ntoken-env = "NO-NAME"', "forge.token-env is no name of a variable"),
        (f"{TOP}[limits]\nrun = 1.5", "limits.run must be a whole number"),
        (f"{TOP}[limits]\npause = nan", "limits.pause must be a number with an end"),
        (f"{TOP}[limits]\nseconds = inf", "limits.seconds must be a number with an end"),
        (f"{TOP}[limits]\nseconds = 0", "limits.seconds must be more than 0"),
        (f'{TOP}[containers]\nengine = "dokcer"', "containers.engine must be one of docker, podman"),
        (f'{TOP}[containers]\nmemory = "much"', "containers.memory must be like 2g"),
        (f'{TOP}labels = [" "]', "labels holds an empty text"),
        (f'{TOP}author = "a\\u0000 <b@c>"', "author must be like"),
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
        ('transforms = ["own.py"]', "^own.py: "),
        ("[chain.options.nothing]\nx = 1", "unknown transform: nothing"),
        ("[chain.options.multi-stage]\nstyl = 'venv'", r"\[chain.options\]: unknown option: multi-stage.styl"),
        ("[chain.options.multi-stage]\nstyle = 3", "multi-stage.style must be one of 'venv'"),
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
        ('url = "https://api.acme.ghe.com"', "https://acme.ghe.com/acme/one.git"),
    ],
)
def test_where_repositories_are(tmp_path: Path, forge: str, clone: str) -> None:
    path = tmp_path / "campaign.toml"
    other_case = clone.replace("https://g", "https://G").replace("https://m", "https://M")
    names = f'"acme/one", "{clone}", "{clone}/", "{other_case}", "ACME/one", "acme/attic-1", "Acme/Attic-2"'
    path.write_text(f'{TOP}[forge]\n{forge}\n[repositories]\nlist = [{names}]\nexclude = ["acme/attic-*"]\n')
    assert list(repositories(load_campaign(str(path)))) == [("acme/one", clone)]


@pytest.mark.parametrize(
    "entry", ["acme", "acme/..", "acme/x y", "https://[x/y", "ssh://git@x/y", "https://me:secret@x/y"]
)
def test_what_is_no_repository_is_named_with_its_line(tmp_path: Path, entry: str) -> None:
    (tmp_path / "names.txt").write_text(f"# ours\nacme/a..b\n{entry}\n")
    campaign = load(tmp_path, f'{TOP}[repositories]\nfile = "names.txt"\n')
    with pytest.raises(CampaignError, match=r"names.txt:3: repository ") as error:
        list(repositories(campaign))
    assert "secret" not in str(error.value)


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
