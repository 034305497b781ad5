"""Transforms are found in installed packages, in the order in which they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockfix.registry import RegistryError, choose, load_transforms

MODULE = """
from dockfix.transform import Phase, Safety, transform


@transform(safety=Safety.SAFE, phase=Phase.{phase})
def {name}(build):
    '''Do nothing.'''
    return []
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Install a package of two transforms, the way an installer does it; return its name."""
    name = f"transforms_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "_private.py").write_text("raise RuntimeError")
    (tmp_path / name / "zebra.py").write_text(MODULE.format(phase="SYNTAX", name="zebra"))
    (tmp_path / name / "aardvark.py").write_text(MODULE.format(phase="COMPOSE", name="aardvark"))
    (tmp_path / "ours-1.0.dist-info").mkdir()
    (tmp_path / "ours-1.0.dist-info/entry_points.txt").write_text(
        f"[console_scripts]\nx = y:z\n\n[dockfix.transforms]\nours = {name}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_an_installed_package_is_found_and_phases_give_the_order(package: str) -> None:
    names = [item.name for item in load_transforms()]
    assert names.index("zebra") < names.index("multi-stage")
    assert names.index("aardvark") > names.index("multi-stage")


def test_a_module_that_cannot_be_imported_is_named(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "broken.py").write_text("import nothing_of_that_name")
    with pytest.raises(RegistryError, match=rf"{package}\.broken: ModuleNotFoundError"):
        load_transforms()


def test_two_transforms_of_one_name_are_an_error(package: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODULE.format(phase="USER", name="zebra"))
    with pytest.raises(RegistryError, match="two transforms have the name zebra"):
        load_transforms([str(tmp_path / "own.py")])


def test_choosing(package: str) -> None:
    transforms = load_transforms(packages=[package])
    assert [item.name for item in choose(transforms, select=["aardvark"])] == ["aardvark"]
    assert [item.name for item in choose(transforms, ignore=["aardvark"])] == ["zebra"]
    with pytest.raises(RegistryError, match=r"unknown transform: zebro \(did you mean zebra\?\)"):
        choose(transforms, select=["zebro"])
