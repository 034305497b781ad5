"""The tables are read as TOML: what reads them quickly says the same as what reads them by the book."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import dockfix_transforms
from dockfix_transforms._knowledge import read_table

TABLES = sorted(Path(str(dockfix_transforms.__file__)).with_name("knowledge").glob("*.toml"))


def plain(value: object) -> object:
    return {key: plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


@pytest.mark.parametrize("path", [path for path in TABLES if path.stem != "services"], ids=lambda path: path.stem)
def test_tables(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = tomllib.loads(text)
    assert plain(read_table(text)) == expected
    assert list(read_table(text)) == list(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = 1\n",
        '[a]\n[b.c]\nd = ["x"]\n',
        'a = [\n    "x", # an "x"\n    "y",  # and [more]\n]\n\nb = [1, 2]\n[c]\nd = [["x"], ["y",]]\n',
        '"a b" = { c = "d", "e" = [\'f\\g\'], h = true }\n\'i.j\' = "k \\" = l"\n',
    ],
)
def test_spellings(text: str) -> None:
    assert plain(read_table(text)) == tomllib.loads(text)
