"""The names and values of ENV, ARG and LABEL, and taking some of them out."""

from __future__ import annotations

import dockerfile as oracle
import pytest

from dockfix.build.keyvalue import pairs_of, without_names
from dockfix.syntax.dockerfile import parse
from dockfix.syntax.edit import apply_edits


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        ("ENV S=1\n", {"S"}, ""),
        ("ENV S 1 2\n", {"S"}, ""),
        ("ARG S\nRUN x\n", {"S"}, "RUN x\n"),
        ("ENV A=1 S='x y' T=3", {"S", "T"}, "ENV A=1"),
        ("ENV S=1 T=2 B=1 U=3\n", {"S", "T", "U"}, "ENV B=1\n"),
        ("ENV S=1 \\\n    B=2\n", {"S"}, "ENV B=2\n"),
        ("ENV A=1 \\\n    # of S\n    S=x \\\n    B=2\n", {"S"}, "ENV A=1 \\\n    B=2\n"),
        ("ENV S=1 \\\n    # of B\n    B=2\n", {"S"}, "ENV \\\n    # of B\n    B=2\n"),
        ("# of S\nENV S=1\n\nRUN x\n", {"S"}, "RUN x\n"),
        ("RUN x\nENV S=1\nENV S=2", {"S"}, "RUN x"),
        ("# of both\nENV S=1\nENV B=1\n", {"S"}, "# of both\nENV B=1\n"),
        ("# any key will do\nARG SECRET_KEY=1\nARG RELEASE\n", {"SECRET_KEY"}, "ARG RELEASE\n"),
        ("# of both\nENV S=1\nENV T=1\n\nRUN x\n", {"S", "T"}, "RUN x\n"),
    ],
)
def test_without_names(before: str, names: set[str], after: str) -> None:
    text = "FROM scratch\n\n" + before
    dockerfile = parse(text)
    edits = without_names(dockerfile, [one for one in dockerfile.instructions if one.keyword in ("ENV", "ARG")], names)
    assert apply_edits(text, edits).rstrip("\n") == ("FROM scratch\n\n" + after).rstrip("\n")
    parse(apply_edits(text, edits))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ENV A=b\xa0C=d\n", ["A", "C"]),
        ("ENV A=b\u2028C=d\u3000E=f\n", ["A", "C", "E"]),
        ('ENV A="b\xa0c"\n', ["A"]),
        ("ENV A b\xa0c\n", ["A"]),
        ("ENV A=b\xa0c\n", []),
    ],
)
def test_words_end_at_any_white_space_as_they_do_for_buildkit(text: str, names: list[str]) -> None:
    assert [pair.name for pair in pairs_of(parse(f"FROM a\n{text}").instructions[1])] == names
    if names:
        oracle.parse_string(f"FROM a\n{text}")
    else:
        with pytest.raises(oracle.GoParseError):
            oracle.parse_string(f"FROM a\n{text}")
