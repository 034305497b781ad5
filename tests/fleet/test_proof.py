"""A campaign that builds and runs what it publishes, on a real container engine."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from campaigns import Fleet

from dockfix.fleet.journal import Journal
from dockfix.fleet.page import write_page
from dockfix.verify.engine import EngineError, find_engine
from dockfix.verify.process import Interrupts

GOOD = 'FROM python:3.11-slim\nRUN pip --version\nCOPY app.py /app/\nCMD ["python", "-u", "/app/app.py"]\n'
APP = """import http.server
http.server.HTTPServer(("0.0.0.0", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
OWN = '''
from dockfix.syntax.edit import Edit
from dockfix.transform import Fix, Phase, Safety, transform


def replaced(build, old, new):
    at = build.dockerfile.text.find(old)
    if at >= 0:
        yield Fix(f"{new} for {old}", {build.path: [Edit(at, at + len(old), new)]}, 1)


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def quiet(build):
    """Say the version quietly.

    Why: it is known.
    """
    yield from replaced(build, "pip --version", "pip -q --version")


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def break_it(build):
    """Copy what is not there.

    Why: to break the build.
    """
    yield from replaced(build, "COPY app.py /app/", "COPY nothing.py /app/")
'''


@pytest.fixture
def proving(fleet: Fleet) -> Fleet:
    """Return a campaign that verifies, where an engine answers."""
    try:
        engine = find_engine(None, "tests", Interrupts())
        if not engine.has_image("python:3.11-slim"):
            engine.tell("pull", "--quiet", "python:3.11-slim", timeout=300)
        engine.tell("run", "--rm", "--network", "none", "python:3.11-slim", "true", timeout=120)
    except EngineError as error:
        if os.environ.get("DOCKFIX_REQUIRE_ENGINE"):
            pytest.fail(f"the tests that build and run images have to run here: {error}", pytrace=False)
        pytest.skip(str(error))
    (fleet.root / "own.py").write_text(OWN)
    fleet.top = "verify = true"
    fleet.table = f'[containers]\nbuild-network = "{os.environ.get("DOCKFIX_BUILD_NETWORK", "")}"\nwait = 10\n'
    return fleet


@pytest.mark.engine
def test_what_breaks_the_image_is_left_out_and_what_cannot_be_proved_is_not_published(proving: Fleet) -> None:
    proving.chain = 'transforms = ["own.py"]\nselect = ["quiet", "break-it"]'
    proving.add("acme/good", {"Dockerfile": GOOD, "app.py": APP})
    proving.add("acme/broken", {"Dockerfile": GOOD.replace("pip --version", "pip --version && false")})
    assert proving.plan() == 0
    good, broken = proving.standing("acme/good"), proving.standing("acme/broken")
    assert (good.state, good.transforms) == ("changed", ("quiet",)), good.reason
    assert (broken.state, broken.reason) == ("refused", "Dockerfile: not proved")
    assert proving.publish() == 0
    body = proving.pull("acme/good").body
    assert "built and run before and after" in body
    assert "| starts |" in body
    assert "left out: **break-it**" in body
    assert "Nobody has built it yet" not in body
    page = Path(write_page(proving.campaign, proving.folder)).read_text()
    assert "Built and run, before and after: Dockerfile" in page
    with closing(Journal(proving.folder)) as journal:
        assert "nothing.py" not in Path(journal.patch_path(good.patch)).read_text()


def test_without_an_engine_it_is_said(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none")
    fleet.top = "verify = true"
    fleet.table = '[containers]\nengine = "docker"\n'
    fleet.add("acme/one")
    assert fleet.plan() == 1
    assert "no container engine answers" in fleet.standing().reason
