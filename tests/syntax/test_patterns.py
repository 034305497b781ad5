"""Patterns answer as compiled ones do, before they are compiled and behind it."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import from_regex

import dockfix
import dockfix_transforms
from dockfix.syntax.patterns import pattern


def test_words() -> None:
    expression = pattern(r"(?i)\bgit (\w+)", words=("git ",))
    assert expression.search("nothing of the kind") is None
    assert list(expression.finditer("nothing")) == []
    assert expression.findall("nothing") == []
    assert expression.match("nothing") is None
    assert expression.fullmatch("nothing") is None
    assert expression.findall("GIT log, git show") == ["log", "show"]
    assert expression.match("git log") is not None
    assert expression.fullmatch("git log -1") is None
    assert expression.search("nothing") is None
    assert expression.sub("", "git log") == ""


def _hinted() -> list[tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for package in (dockfix, dockfix_transforms):
        for item in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not item.name.startswith(("dockfix.fleet", "dockfix.verify")):
                for name, value in vars(import_module(item.name)).items():
                    if hasattr(value, "words") and hasattr(value, "options"):
                        found.setdefault(value.source, (f"{item.name}.{name}", value))
    return list(found.values())


HINTED = _hinted()


@pytest.mark.parametrize("value", [value for _, value in HINTED], ids=[name for name, _ in HINTED])
def test_every_match_holds_one_of_the_words(value: Any) -> None:
    compiled = re.compile(value.source, value.options)

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(from_regex(compiled))
    def holds(text: str) -> None:
        seen = text.lower() if value.folded else text
        assert not compiled.search(text) or any(word in seen for word in value.words)

    holds()
