"""What changed files of other formats have to hold."""

from __future__ import annotations

import warnings

import pytest

from dockfix.merge import syntax_error


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app.py", "pattern = '\\d'\n"),  # the warning about the escape is the author's affair, not the user's
        ("pyproject.toml", "a = 1\r\nb = 2\r\n"),
        ("compose.yaml", "services: {}\n"),
        ("package.json", "{}"),
        ("notes.txt", "({["),
    ],
)
def test_what_parses_is_silent(path: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert syntax_error(path, text) is None


@pytest.mark.parametrize(
    ("path", "text"), [("app.py", "def"), ("pyproject.toml", "a ="), ("compose.yaml", "a: ["), ("package.json", "{")]
)
def test_what_does_not_parse_is_told(path: str, text: str) -> None:
    assert syntax_error(path, text)
