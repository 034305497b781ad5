from __future__ import annotations

import pytest

from dockfix.build.expand import expand_word, split_words

ENV: dict[str, str | None] = {"X": "foo.bar.baz", "EMPTY": "", "SECRET": None, "Y": "y"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$X", "foo.bar.baz"),
        ("${X}/a", "foo.bar.baz/a"),
        ("$Xtra", None),
        ("$", "$"),
        ("a$/b", "a$/b"),
        ("${UNSET:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${UNSET-$Y}", "y"),
        ("${X:+set}", "set"),
        ("${UNSET:+set}", ""),
        ("${EMPTY:+set}", ""),
        ("${EMPTY+set}", "set"),
        ("${X:?no}", "foo.bar.baz"),
        ("${UNSET:?no}", None),
        ("${X:-$SECRET}", "foo.bar.baz"),
        ("${SECRET:-d}", None),
        ("$SECRET", None),
        ("$UNSET", None),
        ("${X#*.}", "bar.baz"),
        ("${X##*.}", "baz"),
        ("${X%.*}", "foo.bar"),
        ("${X%%.*}", "foo"),
        ("${X/./-}", "foo-bar.baz"),
        ("${X//./-}", "foo-bar-baz"),
        ("'$X'", "$X"),
        ('"$X b"', "foo.bar.baz b"),
        ("\\$X", "$X"),
        ('"\\$X \\n \\""', '$X \\n "'),
        ("a'b'\"c\"d", "abcd"),
        ("'open", None),
        ('"open', None),
        ("${X", None),
        ("${X:", None),
        ("${}", None),
        ("${X:=d}", None),
    ],
)
def test_words_are_expanded_as_buildkit_does(text: str, expected: str | None) -> None:
    assert expand_word(text, ENV) == expected


def test_the_escape_character_is_the_files() -> None:
    assert expand_word("`$X", ENV, "`") == "$X"
    assert expand_word("C:\\$Y", ENV, "`") == "C:\\y"


def test_in_a_complete_environment_a_missing_name_is_empty() -> None:
    assert expand_word("a$UNSET", ENV, complete=True) == "a"


def test_deep_nesting_and_many_wildcards_end() -> None:
    assert expand_word("${A:-" * 5000 + "}" * 5000, {}) is None
    assert expand_word("${X%" + "*a" * 50 + "}", {"X": "a" * 900}) is None


def test_quotes_do_not_keep_words_together() -> None:
    text = ' "a  b"\tc '
    assert [text[start:end] for start, end in split_words(text)] == ['"a', 'b"', "c"]
