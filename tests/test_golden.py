"""Every case under golden/: the files before, what the transforms must make of them, and what they must say.

A case without ``after/`` must not change. ``pytest tests/test_golden.py --update-golden`` writes ``after/``.
"""

from __future__ import annotations

import difflib
import shutil
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import dockerfile as buildkit
import pytest

from dockfix.project.disk import is_dockerfile_name
from dockfix.registry import find, load_transforms
from dockfix.syntax.edit import decode, encode
from dockfix.testing import try_transforms
from dockfix.transform import Transform

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/case.toml"))
KEYS = {"description", "skips", "notes", "options", "select"}

load = cache(load_transforms)


def tree(folder: Path) -> dict[str, str]:
    """Return the texts of all files below *folder*."""
    return {
        path.relative_to(folder).as_posix(): decode(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def difference(expected: Mapping[str, str], actual: Mapping[str, str]) -> str:
    """Return a readable diff from *expected* to *actual*."""
    lines: list[str] = []
    for path in sorted({*expected, *actual}):
        old, new = expected.get(path), actual.get(path)
        if old != new:
            lines += difflib.unified_diff(
                (old or "").splitlines(keepends=True),
                (new or "").splitlines(keepends=True),
                f"expected/{path}" + (" (absent)" if old is None else ""),
                f"actual/{path}" + (" (absent)" if new is None else ""),
            )
    return "".join(line if line.endswith("\n") else line + "\n\\ no newline at end of file\n" for line in lines)


def transforms_for(case: Path) -> tuple[Transform, ...]:
    return load() if case.parent.name == "chain" else (find(load(), case.parent.name),)


def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_golden(case: Path, update_golden: bool) -> None:
    settings = tomllib.loads((case / "case.toml").read_text(encoding="utf-8"))
    assert settings.get("description"), "case.toml needs a description"
    assert set(settings) <= KEYS, f"unknown keys in case.toml: {sorted(set(settings) - KEYS)}"
    before = tree(case / "before")
    transforms = transforms_for(case)
    options = settings.get("options", {})

    actual, result = try_transforms(transforms, before, options=options)
    assert not result.failures, "\n".join(map(str, result.failures))
    if update_golden:
        shutil.rmtree(case / "after", ignore_errors=True)
        for path, text in actual.items() if actual != before else ():
            (case / "after" / path).parent.mkdir(parents=True, exist_ok=True)
            (case / "after" / path).write_bytes(encode(text))
    expected = tree(case / "after") if (case / "after").is_dir() else before
    said = "\n".join(f"  {skip.transform}: {skip.path}:{skip.line}: {skip.reason}" for skip in result.skips)
    assert actual == expected, f"{difference(expected, actual)}\nrefused:\n{said or '  nothing'}"

    for reason in settings.get("skips", []):
        assert any(reason in skip.reason for skip in result.skips), f"not refused: {reason!r}; refused:\n{said}"
    notes = [note for done in (*result.fixes, *result.suggestions) for note in done.notes]
    for note in settings.get("notes", []):
        assert any(note in text for text in notes), f"no such note: {note!r} in {notes}"

    again, second = try_transforms(transforms, actual, options=options)
    assert again == actual, f"a second run changes more:\n{difference(actual, again)}"
    assert not second.failures

    for path in result.after:
        if is_dockerfile_name(path.rpartition("/")[2]) and path in before:
            accept(before[path], actual[path])


def accept(before: str, after: str) -> None:
    """Fail where BuildKit's own parser takes the text before but not the text after."""
    try:
        buildkit.parse_string(before)
    except (buildkit.GoParseError, UnicodeEncodeError):
        return
    buildkit.parse_string(after)
