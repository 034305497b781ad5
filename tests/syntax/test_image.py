"""Image references."""

from __future__ import annotations

import pytest

from dockfix.syntax.image import parse_image


@pytest.mark.parametrize(
    ("text", "parts", "official"),
    [
        ("python", (None, "python", None, None), True),
        ("library/python:3.12", (None, "python", "3.12", None), True),
        ("docker.io/library/python:3", ("docker.io", "python", "3", None), True),
        ("localhost:5000/a/b:c", ("localhost:5000", "a/b", "c", None), False),
        ("a/b@sha256:" + "0" * 64, (None, "a/b", None, "sha256:" + "0" * 64), False),
    ],
)
def test_parts(text: str, parts: tuple[str | None, ...], official: bool) -> None:
    image = parse_image(text)
    assert image is not None
    assert (image.registry, image.repository, image.tag, image.digest) == parts
    assert image.official is official


@pytest.mark.parametrize("text", ["", "Python", "a:", "a@sha256:0", "$BASE", "a b"])
def test_no_reference(text: str) -> None:
    assert parse_image(text) is None
