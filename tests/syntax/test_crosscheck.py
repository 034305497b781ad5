"""The second parser: silent where both agree or where it is known to misread, loud where they differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.records import replace
from dockfix.syntax.crosscheck import crosscheck
from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN b \\\n# note\n  c\nUSER d\n",
        "FROM a\nRUN b \\\n\n  c\n",
        "FROM a\nRUN b \\\n",
        "FROM a\nENV b=c\\\\\nUSER d\n",
        "FROM a\nRUN <<EOF\nUSER b\nEOF\n",
        "\ufeffFROM a\n",
        "# escape=`\nFROM a\nRUN b `\n c\n",
        "FROM a\nRUN \udcff\n",
        "FROM a\r\nRUN b \\\r\n  c\r\n",
        "",
    ],
)
def test_silent(text: str) -> None:
    assert crosscheck(parse(text)) is None


def test_names_the_disagreement() -> None:
    tree = parse("FROM a\nUSER b\n")
    assert "FROM on lines 1-1" in (crosscheck(replace(tree, nodes=tree.nodes[1:])) or "")
    assert "1 instructions, or 2" in (crosscheck(replace(tree, nodes=tree.nodes[:1])) or "")


LINES = st.sampled_from(["RUN b", "RUN b \\", "  c \\", "# n", "", "  ", "USER d", "RUN <<E", "E", "ENV a=b\\\\", "\\"])


@given(st.lists(LINES, max_size=10), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_no_false_alarm(lines: list[str], newline: str, final: bool) -> None:
    try:
        tree = parse(newline.join(["FROM a", *lines]) + (newline if final else ""))
    except DockerfileSyntaxError:
        return
    assert crosscheck(tree) is None
