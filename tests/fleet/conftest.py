"""A forge, a campaign on it, and ways to run its stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import Fleet
from forge_server import Forge, serving


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with serving(tmp_path / "forge") as served:
        yield served


@pytest.fixture(params=["github", "gitlab"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fleet(tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Return a campaign against the forge, GitHub-shaped."""
    return Fleet(tmp_path, forge, monkeypatch)
