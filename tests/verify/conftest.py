"""A real container engine for the tests marked `engine`: nothing is pretended.

Where none answers they are skipped, and say why; with DOCKFIX_REQUIRE_ENGINE=1, as in CI, they fail instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockfix.verify.engine import Engine, EngineError, find_engine
from dockfix.verify.process import Interrupts

BASES = ("python:3.11", "python:3.11-slim")


@pytest.fixture(autouse=True)
def needs_engine(request: pytest.FixtureRequest) -> None:
    """Bring the engine to every test that is marked."""
    if request.node.get_closest_marker("engine"):
        request.getfixturevalue("engine")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Return the engine; skip the test where there is none, or no base images."""
    try:
        found = find_engine(None, "tests", Interrupts())
        for image in BASES:
            if not found.has_image(image):
                found.tell("pull", "--quiet", image, timeout=300)
    except EngineError as error:
        if os.environ.get("DOCKFIX_REQUIRE_ENGINE"):
            pytest.fail(f"the tests that build and run images have to run here: {error}", pytrace=False)
        pytest.skip(str(error))
    return found


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder for temporary files of the programs that the test starts; it has to be empty in the end."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
