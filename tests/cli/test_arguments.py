"""The command lines that are read without click are read as click reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.cli import rewriting
from dockfix.cli.arguments import Arguments, plain_arguments
from dockfix.cli.commands import commands

WORDS = (
    *("--diff", "--write", "--check", "--safe-only", "--verify", "--help", "--", "-", "", "-h", "--version", "--dif"),
    *(
        "list",
        "explain",
        "verify",
        "fleet",
        "service",
        "./list",
        "Dockerfile",
        "--select",
        "a,b",
        "--jobs=2",
        "--format",
    ),
    *("text", "--diff=1", "é\udce9"),
)


@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_read_as_click_does(words: list[str]) -> None:
    plain = plain_arguments(words)
    if plain is None:
        return
    seen: list[Arguments] = []

    def run(arguments: Arguments) -> int:
        seen.append(arguments)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting, "run", run)
        commands.main(list(words), prog_name="dockfix", standalone_mode=False)
    assert seen == [plain]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--diff"], Arguments(mode="diff")),
        (["--write", "a", "b", "--safe-only"], Arguments(("a", "b"), "write", safe_only=True)),
        (["--check", "."], Arguments((".",), "check")),
        ([], None),
        (["."], None),
        (["list"], None),
        (["--diff", "--format", "json"], None),
        (["--diff", "--"], None),
        (["--check", "--write"], None),
        (["--diff", "a", "--diff"], Arguments(("a",), "diff")),
    ],
)
def test_plain(words: list[str], expected: Any) -> None:
    assert plain_arguments(words) == expected
