"""The shell text of instructions."""

from __future__ import annotations

import pytest

from dockfix.build.model import Step
from dockfix.build.scripts import argv_of, inner_script, script_of
from dockfix.syntax.dockerfile import parse


def step(instruction: str, shell: tuple[str, ...] = ("/bin/sh", "-c")) -> Step:
    parsed = parse(f"FROM scratch\n{instruction}")
    return Step(parsed.instructions[1], 0, {}, frozenset(), "/", None, shell)


def names(instruction: str) -> list[str | None] | None:
    script = script_of(step(instruction))
    return None if script is None else [command.name for command in script.commands]


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("RUN a && b", ["a", "b"]),
        ("RUN --mount=type=cache,target=/c a", ["a"]),
        ("RUN <<EOF\na\nb\nEOF\n", ["a", "b"]),
        ("RUN <<-EOF\n\ta\n\tb\n\tEOF\n", ["a", "b"]),
        ("RUN <<EOF\n#!/bin/bash -e\na\nEOF\n", ["a"]),
        ("RUN <<EOF\n#!/usr/bin/env python3\nimport os\nEOF\n", None),
        ("RUN cat <<EOF > f && b\nnot a command\nEOF\n", ["cat", "b"]),
        ("CMD a b", ["a"]),
        ('CMD ["a", "b"]', None),
        ("ENTRYPOINT exec a", ["exec"]),
        ("HEALTHCHECK --interval=5s CMD a || exit 1", ["a", "exit"]),
        ("HEALTHCHECK NONE", None),
        ("ONBUILD RUN a", None),
        ("COPY a b", None),
        ("RUN a 'b", None),
    ],
)
def test_finds_the_commands(instruction: str, expected: list[str | None] | None) -> None:
    assert names(instruction) == expected


def test_leaves_other_shells_alone() -> None:
    assert script_of(step("RUN a", ("powershell", "-Command"))) is None
    assert script_of(step("RUN a", ("cmd", "/S", "/C"))) is None
    assert script_of(step("RUN a", ("/bin/bash", "-o", "pipefail", "-c"))) is not None


@pytest.mark.parametrize(
    "instruction", ["RUN <<EOF\na b\nEOF\n", "RUN x && \\\n  # why\n  a b\n", "RUN <<-EOF\n\tx\n\ta b\n\tEOF\n"]
)
def test_offsets_lead_to_the_file(instruction: str) -> None:
    script = script_of(step(instruction))
    assert script is not None
    start, end = script.span(script.commands[-1])
    assert f"FROM scratch\n{instruction}"[start:end] == "a b"


def test_argv_of_both_forms() -> None:
    assert argv_of(step('CMD ["a", "b c"]')) == ("a", "b c")
    assert argv_of(step("CMD a 'b c'")) == ("a", "b c")
    assert argv_of(step("HEALTHCHECK CMD a")) == ("a",)
    for instruction in ("CMD a $b", "CMD a && b", "CMD A=1 a", "CMD a > b", "CMD a &", "COPY a b"):
        assert argv_of(step(instruction)) is None


@pytest.mark.parametrize("command", ["sh -c 'x; a b'", 'bash -lc "x; a b"', "/bin/sh -e -c 'x; a b'"])
def test_inner_script_of_sh_c(command: str) -> None:
    text = f"RUN {command}"
    script = script_of(step(text))
    assert script is not None
    inner = inner_script(script, script.commands[0])
    assert inner is not None
    start, end = inner.span(inner.commands[1])
    assert f"FROM scratch\n{text}"[start:end] == "a b"


@pytest.mark.parametrize("command", ['sh -c "a $b"', "sh x.sh", "sh -c a", "python -c 'a'", "sh -c 'a'b", "sh -c"])
def test_no_inner_script_when_unsure(command: str) -> None:
    script = script_of(step(f"RUN {command}"))
    assert script is not None
    assert inner_script(script, script.commands[0]) is None
