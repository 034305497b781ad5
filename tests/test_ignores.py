"""Comments that keep transforms away are obeyed, or it is said why they can not be."""

from __future__ import annotations

import pytest

from dockfix.ignores import Ignores
from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

KNOWN = ("pip-no-cache-dir", "multi-stage")


@pytest.mark.parametrize(
    "comment",
    [
        "# dockfix: ignore=pip-no-cache-dir",
        "#dockfix:ignore=multi-stage,pip-no-cache-dir",
        "# Dockfix: Ignore = pip-no-cache-dir  # for a reason",
        "# dockfix ignore=pip-no-cache-dir",
    ],
)
def test_a_comment_names_transforms_for_the_next_instruction(comment: str) -> None:
    ignores = Ignores.read(parse(f"FROM a\n{comment}\n\n# note\nRUN b\nRUN c\n"), KNOWN)
    assert [(first, last) for first, last, _, _ in ignores.spans["pip-no-cache-dir"]] == [(5, 5)]
    assert not ignores.file


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# dockfix: ignore", "names no transform"),
        ("# dockfix: ignore=", "names no transform"),
        ("# dockfix: ignore=pip_no_cache_dir", "did you mean pip-no-cache-dir"),
        ("# dockfix: ignore-file=multi-stage, all", "unknown transform: all"),
        ("# dockfix: ignore=multi-stage because", "did you mean multi-stage"),
        ("# dockfix: skip=multi-stage", "there are ignore=NAME and ignore-file=NAME"),
        ("RUN b \\\n  # dockfix: ignore=multi-stage\n  && c", "on a line of its own before it"),
        ("RUN b  # dockfix: ignore=multi-stage", "on a line of its own before it"),
    ],
)
def test_what_would_not_be_obeyed_is_an_error(comment: str, message: str) -> None:
    with pytest.raises(DockerfileSyntaxError, match=message) as caught:
        Ignores.read(parse(f"FROM a\n{comment}\nRUN d\n"), KNOWN)
    assert caught.value.line == (3 if comment.startswith("RUN b \\") else 2)


@pytest.mark.parametrize(
    "text", ["FROM a\n# dockfix ignored this\nRUN b\n", "FROM a\nRUN cat <<E\n# dockfix: ignore\nE\n"]
)
def test_what_is_no_such_comment(text: str) -> None:
    assert not Ignores.read(parse(text), KNOWN).spans
