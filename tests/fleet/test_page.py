"""The report page, in a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from campaigns import DOCKERFILE, Fleet
from forge_server import serving

from dockfix.fleet.journal import Journal, Pulled
from dockfix.fleet.page import write_page
from dockfix.fleet.worker import Planned

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the page of a campaign in which everything happened, and whose repositories do not mean well."""
    root = tmp_path_factory.mktemp("page")
    with serving(root / "forge") as forge, pytest.MonkeyPatch.context() as patch:
        yield written(Fleet(root, forge, patch))


def written(fleet: Fleet) -> Path:
    for number in range(3):
        fleet.add(f"acme/r{number}")
    fleet.add("acme/unchanged", {"Dockerfile": "FROM python:3.11\n"})
    fleet.add("acme/refused", {"Dockerfile": "FROM alpine\nRUN apk update && apk add curl\n"})
    fleet.add("acme/evil", {"Dockerfile": f"# {EVIL}\n{DOCKERFILE}# \u202egnippilf\n"})
    fleet.names.append("acme/gone")
    fleet.plan()
    with closing(Journal(fleet.folder)) as journal:
        for number, (state, url) in enumerate((("open", "https://example.com/0"), ("merged", "javascript:alert(1)"))):
            journal.set_pull(f"acme/r{number}", Pulled(number + 1, url, state, "", "", True))
        turned = Planned("acme/gone", "failed", "not found: reason \u202eturned", document='{"result": {}}')
        journal.add_result(turned, journal.get("chain"), 0, ())
        document = json.loads(journal.document("acme/r2"))
        row = {"what": "size", "before": "912 MB", "after": "131 MB", "verdict": "better", "details": []}
        verified = {"path": "Dockerfile", "outcome": "holds", "error": None, "rows": [row], "left_out": []}
        document["verify"] = [verified]
        digest = next(one.patch for one in journal.standings() if one.name == "acme/r2")
        patch = Path(journal.patch_path(digest)).read_bytes()
        planned = Planned("acme/r2", "changed", "", "c" * 40, "main", patch, json.dumps(document), 3.2)
        journal.add_result(planned, journal.get("chain"), 1, ("pip-no-cache-dir",))
    return Path(write_page(fleet.campaign, fleet.folder))


def chromium(page: Path, *arguments: str, fragment: str = "", tmp_path: Path) -> str:
    """Open the page in headless Chromium, from the file system; return what is printed."""
    assert CHROMIUM is not None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=2000"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *flags.split(), *more.split(), profile, *arguments, f"{page.as_uri()}{fragment}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Reader(HTMLParser):
    """What a reader sees: the rows that are shown, the texts by class, the title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.hidden: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if tag == "details":
            (self.hidden if "hidden" in found else self.shown).append(found["data-name"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_everything_is_on_it(page: Path) -> None:
    text = page.read_text()
    read = Reader(text)
    assert len(read.shown) == 7
    joined = " ".join("".join(read.texts).split())
    for wanted in ("Campaign tidy, 7 repositories", "merged 1", "failed 1", "912 MB", "not found", "apk update"):
        assert wanted in joined, wanted
    assert "+RUN pip install --no-cache-dir flask" in joined
    assert "https://example.com/0" in read.links


def test_nothing_of_a_repository_becomes_mark_up(page: Path) -> None:
    read = Reader(page.read_text())
    assert "img" not in read.tags
    assert read.tags.count("script") == 1
    assert "\u202e" not in page.read_text()
    assert not any(link.startswith("javascript") for link in read.links)


def test_nothing_turns_the_direction_of_a_line_or_hides_in_it(page: Path) -> None:
    """In names, reasons and titles as well as in diffs."""
    text = page.read_text()
    assert "\u202e" not in text
    assert "&lt;U+202E&gt;gnippilf" in text
    assert "reason &lt;U+202E&gt;turned" in text


def test_it_loads_nothing(page: Path) -> None:
    text = page.read_text()
    assert "default-src 'none'" in unescape(text)
    assert "@import" not in text
    assert "url(" not in text


@browser
@pytest.mark.parametrize(
    ("fragment", "names"),
    [
        ("", {"acme/r0", "acme/r1", "acme/r2", "acme/unchanged", "acme/refused", "acme/evil", "acme/gone"}),
        ("#state=merged", {"acme/r1"}),
        ("#state=changed&transform=pip-no-cache-dir&name=evil", {"acme/evil"}),
        ("#transform=pip-no-cache-dir", {"acme/r0", "acme/r1", "acme/r2", "acme/evil", "acme/refused"}),
        ("#state=refused&transform=pip-no-cache-dir", {"acme/refused"}),
        ("#state=open&name=nothing", set()),
    ],
)
def test_its_filters_in_a_browser(page: Path, fragment: str, names: set[str], tmp_path: Path) -> None:
    text = chromium(page, "--dump-dom", fragment=fragment, tmp_path=tmp_path)
    read = Reader(text)
    assert set(read.shown) == names
    assert f"{len(names)} shown" in text
    assert "taken" not in text.partition("<title>")[2].partition("</title>")[0]


@browser
def test_a_picture_of_it(page: Path, tmp_path: Path) -> None:
    picture = Path(os.environ.get("DOCKFIX_SCREENSHOT", tmp_path / "page.png"))
    chromium(page, f"--screenshot={picture}", "--window-size=1200,900", tmp_path=tmp_path)
    assert picture.stat().st_size > 20_000
