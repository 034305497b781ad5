"""The tables: what is kept of them is what they say."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import dockfix_transforms
from dockfix_transforms import _knowledge

TABLES = sorted(Path(str(dockfix_transforms.__file__)).with_name("knowledge").glob("*.toml"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(_knowledge, "_FOLDER", str(tmp_path))
    monkeypatch.setattr(_knowledge, "_READ", str(tmp_path / "__pycache__"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield tmp_path
    _knowledge.table.cache_clear()


def read(name: str) -> object:
    _knowledge.table.cache_clear()
    return _knowledge.table(name)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_what_is_kept_is_what_the_table_says(path: Path, folder: Path) -> None:
    (folder / path.name).write_bytes(path.read_bytes())
    expected = tomllib.loads(path.read_text(encoding="utf-8"))
    assert read(path.stem) == expected
    assert len(list((folder / "__pycache__").iterdir())) == 1
    assert read(path.stem) == expected


def test_a_table_that_changed_is_read_again(folder: Path) -> None:
    (folder / "a.toml").write_text("b = 1\n")
    assert read("a") == {"b": 1}
    (folder / "a.toml").write_text("b = 10\n")
    assert read("a") == {"b": 10}


def test_what_is_kept_and_damaged_is_read_again(folder: Path) -> None:
    (folder / "a.toml").write_text("b = 1\n")
    read("a")
    for kept in (folder / "__pycache__").iterdir():
        kept.write_bytes(kept.read_bytes()[:-3])
    assert read("a") == {"b": 1}


def test_nothing_is_kept_where_no_bytecode_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (folder / "a.toml").write_text("b = 1\n")
    assert read("a") == {"b": 1}
    assert not (folder / "__pycache__").exists()
