"""The documented example of a one-off migration: on one repository, and on many."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import Fleet
from forge_server import git

from dockfix.fleet.campaign import Containers, Limits, load_campaign
from dockfix.fleet.keys import _KEYS
from dockfix.registry import load_transforms
from dockfix.testing import examples, parse_example, try_transforms

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples" / "migration"
OLD = "registry.acme.example/base/python"


def migrated(dockerfile: str) -> tuple[str, list[str]]:
    (own,) = (one for one in load_transforms([str(FOLDER / "acme_base.py")]) if one.name == "acme-base")
    files, result = try_transforms([own], {"Dockerfile": dockerfile})
    return files["Dockerfile"], [skip.reason for skip in result.skips]


def test_its_own_example() -> None:
    (own,) = (one for one in load_transforms([str(FOLDER / "acme_base.py")]) if one.name == "acme-base")
    (block,) = examples(own.documentation)
    before, after = parse_example(block)
    assert try_transforms([own], before)[0] == after


def test_everywhere_in_the_file_or_nowhere() -> None:
    before = f"ARG BASE={OLD}:3.12\nFROM {OLD} AS a\nFROM $BASE\nCOPY --from={OLD}:3.11 /x /x\nRUN echo {OLD}:3.11\n"
    new = "images.acme.example/python"
    after = f"ARG BASE={new}:3.12-slim\nFROM {new}:3.12-slim AS a\nFROM $BASE\nCOPY --from={new}:3.11-slim /x /x\n"
    assert migrated(before) == (f"{after}RUN echo {OLD}:3.11\n", [])
    assert migrated(after) == (after, [])


@pytest.mark.parametrize("image", [f"{OLD}:2.7", f"{OLD}:$VERSION", f"{OLD}:3.12@sha256:{'a' * 64}"])
def test_it_holds_back(image: str) -> None:
    text = f"ARG VERSION=3.12\nFROM {OLD}:3.12 AS a\nFROM {image}\n"
    assert migrated(text) == (text, [f"there is no images.acme.example/python for {image}"])


def test_another_image_is_none_of_its_business() -> None:
    text = f"FROM {OLD}-slim:3.12\nFROM {OLD}/more:3.12\n"
    assert migrated(text) == (text, [])


def test_on_a_single_repository(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {OLD}:3.11\nRUN pip install flask\n")
    command = [sys.executable, "-c", "from dockfix.cli.main import main; main()"]
    options = ["--write", "--transform", str(FOLDER / "acme_base.py"), "--select", "acme-base", str(tmp_path)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    text = (tmp_path / "Dockerfile").read_text()
    assert text == "FROM images.acme.example/python:3.11-slim\nRUN pip install flask\n"


def test_on_many(fleet: Fleet) -> None:
    fleet.chain = f'transforms = ["{FOLDER / "acme_base.py"}"]\nselect = ["acme-base"]'
    for number in range(2):
        fleet.add(f"acme/r{number}", {"Dockerfile": f"FROM {OLD}:3.11\n"})
    fleet.add("acme/other")
    fleet.plan()
    assert fleet.publish() == 0
    assert [fleet.standing(name).state for name in fleet.names] == ["open", "open", "unchanged"]
    assert "The old registry is switched off on the first of May" in fleet.pull("acme/r0").body
    shown = git("--git-dir", fleet.forge.repos["acme/r1"].path, "show", "dockfix/tidy:Dockerfile")
    assert shown == "FROM images.acme.example/python:3.11-slim"


def test_its_campaign_and_what_the_documentation_shows() -> None:
    campaign = load_campaign(str(FOLDER / "campaign.toml"))
    assert (campaign.branch, campaign.sources.organisation) == ("dockfix/acme-base", "acme")
    text = (ROOT / "docs/fleet.md").read_text()
    for name in ("acme_base.py", "campaign.toml"):
        assert (FOLDER / name).read_text() in text
    assert len((FOLDER / "acme_base.py").read_text().splitlines()) <= 42


def test_the_campaign_file_of_the_documentation_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs/fleet.md").read_text().partition("## The campaign file")[2]
    block = text.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "my_migration.py").write_text("")
    (tmp_path / "campaign.toml").write_text(block)
    campaign = load_campaign(str(tmp_path / "campaign.toml"))
    assert campaign.limits == Limits()
    assert campaign.chain.containers.seconds == Containers().seconds
    assert set(re.findall(r"^([a-z-]+) = ", block, re.M)) >= {key for table in _KEYS.values() for key in table} - {
        *_KEYS,
        "options",
    }
