"""docs/rules.md names transforms that there are."""

from __future__ import annotations

import re
from pathlib import Path

from dockfix.registry import load_transforms

RULES = Path(__file__).parent.parent / "docs" / "rules.md"


def test_the_rules_name_transforms_that_there_are() -> None:
    names = {item.name for item in load_transforms()}
    rows = [line for line in RULES.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split(" | ")[-1])}
    assert len(named) > 10
    assert named <= names, f"no such transform: {sorted(named - names)}"
