"""What may help an image that does not build as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from verifying import copied, verify

from dockfix.syntax.dockerfile import parse
from dockfix.verify.hints import arguments_without_value, hints


def test_arguments_without_a_value() -> None:
    text = "ARG BASE\nARG TAG=3.12\nFROM python:$TAG\nARG TAG\nARG TOKEN\nARG GIVEN\nARG TARGETARCH\nARG http_proxy\n"
    assert arguments_without_value(parse(text), {"GIVEN"}) == ("BASE", "TOKEN")


@pytest.mark.parametrize(
    "line",
    [
        "[internal] load metadata for registry.example/team/base:1.2",
        "Trying to pull: initializing source docker://registry.example/team/base:1.2: pinging registry",
        "pull access denied for registry.example/team/base:1.2, repository does not exist",
    ],
)
def test_a_base_image_that_cannot_be_had(line: str) -> None:
    (hint,) = hints(["some line", line], ())
    assert "the base image registry.example/team/base:1.2 is not here" in hint


def test_a_syntax_that_cannot_be_had() -> None:
    (hint,) = hints(["resolve image config for docker.io/docker/dockerfile:1", "failed to do request"], ())
    assert "the syntax docker.io/docker/dockerfile:1 that" in hint


def test_nothing_to_say() -> None:
    assert list(hints(["gcc: error: no input files"], ())) == []


@pytest.mark.engine
def test_the_user_is_told(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    dockerfile = folder / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(
        text.replace("FROM ", "ARG TOKEN\nFROM ").replace("COPY", 'ARG TOKEN\nRUN test -n "$TOKEN"\nCOPY', 1)
    )
    done = verify(folder)
    assert done.status == 3
    assert done.one["notes"] == ["build arguments without a value: TOKEN; --build-arg NAME=VALUE gives one"]
    assert verify(folder, "--build-arg", "TOKEN=x").status == 0

    dockerfile.write_text(text.replace("FROM ", "FROM registry.invalid/team/", 1))
    (note,) = verify(folder).one["notes"]
    assert "log in where it lies" in note
