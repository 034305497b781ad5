"""Patterns answer as compiled ones do, before they are compiled and behind it."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import dockfix_transforms
from dockfix.syntax.patterns import pattern

GOLDEN = Path(__file__).parents[2] / "golden"


def test_words() -> None:
    expression = pattern(r"(?i)\bgit (\w+)", words=("git ",))
    assert expression.search("nothing of the kind") is None
    assert list(expression.finditer("nothing")) == []
    assert expression.findall("nothing") == []
    assert expression.match("nothing") is None
    assert expression.findall("GIT log, git show") == ["log", "show"]
    assert expression.match("git log") is not None
    assert expression.search("nothing") is None
    assert expression.sub("", "git log") == ""


def test_every_match_holds_one_of_the_words() -> None:
    modules = [
        import_module(f"dockfix_transforms.{item.name}") for item in pkgutil.iter_modules(dockfix_transforms.__path__)
    ]
    values = [value for module in modules for value in vars(module).values() if hasattr(value, "words")]
    assert values
    lines = {
        line
        for path in GOLDEN.glob("*/*/before/**/*")
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    }
    for value in values:
        compiled, folded = re.compile(value.source, value.options), value.folded
        for line in lines:
            if compiled.search(line):
                assert any(word in (line.lower() if folded else line) for word in value.words), (value.source, line)
