from __future__ import annotations

import pytest

from dockfix.syntax.edit import apply_edits
from dockfix.syntax.requirements import add_requirement_edit, parse_requirements, reachable_manifests


@pytest.mark.parametrize(
    ("text", "kind", "name", "pinned"),
    [
        ("Flask==3.0.0\n", "requirement", "flask", True),
        ("zope.interface >= 5, < 6", "requirement", "zope-interface", False),
        ("django==4.*", "requirement", "django", False),
        ('uvicorn[standard]==0.30.0 ; python_version >= "3.8"', "requirement", "uvicorn", True),
        ("requests  # a comment with == in it", "requirement", "requests", False),
        ("name @ https://example.org/name-1.0.tar.gz", "url", "name", False),
        ("git+https://example.org/x.git@" + "a" * 40 + "#egg=Some_Thing", "url", "some-thing", True),
        ("./packages/core", "path", None, False),
        ("wheels/x-1.0-py3-none-any.whl", "path", None, False),
        ("-e .", "editable", None, False),
        ("-r base.txt", "include", None, False),
        ("--requirement=base.txt", "include", None, False),
        ("-c constraints.txt", "constraint", None, False),
        ("--index-url https://example.org/simple", "option", None, False),
        ("# only a comment", "comment", None, False),
        ("   ", "blank", None, False),
        ("=== what", "unknown", None, False),
    ],
)
def test_kinds_of_lines(text: str, kind: str, name: str | None, pinned: bool) -> None:
    lines = parse_requirements(text)
    assert lines is not None
    assert [(line.kind, line.name, line.pinned) for line in lines] == [(kind, name, pinned)]


def test_lines_tile_the_text_and_hashes_belong_to_their_requirement() -> None:
    text = "\ufeff# head\r\nflask==3.0.0 \\\r\n    --hash=sha256:aa \\\r\n    --hash=sha256:bb\r\n\r\nredis"
    lines = parse_requirements(text)
    assert lines is not None
    assert "".join(text[line.start : line.end] for line in lines) == text[1:]
    assert [line.kind for line in lines] == ["comment", "requirement", "blank", "requirement"]
    assert (lines[1].has_hash, lines[1].pinned, lines[1].number) == (True, True, 2)
    assert lines[3].number == 6


@pytest.mark.parametrize("data", [b"\xff\xfef\0l\0", b"flask\0"])
def test_text_that_is_not_utf8_is_not_read(data: bytes) -> None:
    assert parse_requirements(data.decode("utf-8", "surrogateescape")) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("flask\n", "flask\ngunicorn\n"),
        ("flask", "flask\ngunicorn\n"),
        ("flask\r\nredis\r\n", "flask\r\nredis\r\ngunicorn\r\n"),
        ("flask\n\n\n", "flask\ngunicorn\n\n\n"),
        ("", "gunicorn\n"),
        ("flask \\\n", "flask \\\n\ngunicorn\n"),
    ],
)
def test_a_requirement_is_added_at_the_end(before: str, after: str) -> None:
    assert apply_edits(before, [add_requirement_edit(before, "gunicorn")]) == after


def test_nested_manifests_are_relative_to_the_file_that_names_them() -> None:
    files = {
        "requirements/prod.txt": "-r base.txt\n-c ../constraints.txt\ngunicorn\n",
        "requirements/base.txt": "flask\n-r prod.txt\n",
        "constraints.txt": "flask==3\n",
    }
    assert reachable_manifests(files.get, "requirements/prod.txt") == (
        ("requirements/prod.txt", "requirements/base.txt", "constraints.txt"),
        (),
    )


def test_what_the_list_of_manifests_cannot_hold_is_said() -> None:
    files = {"requirements.txt": "-r missing.txt\n-e .\n./lib\n--find-links ./wheels\ngit+https://example.org/x.git\n"}
    found, reasons = reachable_manifests(files.get, "./requirements.txt")
    assert found == ("requirements.txt",)
    assert [reason.split(" ")[0] for reason in reasons] == [
        "requirements.txt:2",
        "requirements.txt:3",
        "requirements.txt:4",
        "missing.txt",
    ]
