from __future__ import annotations

import time

import pytest

from dockfix.build.keyvalue import pairs_of
from dockfix.build.stages import build_of, copied_sources, stages_of
from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse


def test_a_global_argument_is_for_from_until_a_stage_declares_it() -> None:
    stage = stages_of(parse("ARG V=3.12\nFROM python:${V}-slim\nENV A=$V\nARG V\nENV B=$V\nRUN x\n"))[0]
    assert str(stage.image) == "python:3.12-slim"
    assert stage.steps[-1].env == {"A": None, "V": "3.12", "B": "3.12"}
    assert set(stage.steps[-1].env_only) == {"A", "B"}


def test_env_wins_over_arg_whichever_comes_first() -> None:
    stage = stages_of(parse("FROM a\nENV X=env\nARG X=arg\nARG Y=arg\nENV Y=env\nRUN x\n"))[0]
    assert stage.steps[-1].env == {"X": "env", "Y": "env"}


def test_the_values_of_one_env_do_not_see_each_other() -> None:
    stage = stages_of(parse("FROM a\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\nRUN x\n"))[0]
    assert stage.steps[-1].env == {"abc": "bye", "def": "hello", "ghi": "bye"}


def test_a_stage_goes_on_where_its_base_stage_ended() -> None:
    text = "FROM python:3 AS Base\nWORKDIR /app\nUSER app\nENV A=1\nFROM base\nENV A=2\nWORKDIR src\nRUN x\n"
    first, second = stages_of(parse(text))
    assert (first.name, second.base_stage, second.image) == ("base", 0, None)
    last = second.steps[-1]
    assert (last.workdir, last.user, dict(last.env)) == ("/app/src", "app", {"A": "2"})
    assert dict(first.steps[-1].env) == {}


@pytest.mark.parametrize(
    ("lines", "workdir"),
    [
        ("WORKDIR /a\nWORKDIR b/../c/", "/a/c"),
        ("ENV D=/srv\nWORKDIR $D/x", "/srv/x"),
        ('WORKDIR "/a b"', "/a b"),
        ("WORKDIR .", "/"),
        ("WORKDIR $NOWHERE\nWORKDIR x", None),
        ("WORKDIR $NOWHERE\nWORKDIR /x", "/x"),
        ("WORKDIR C:\\app", None),
    ],
)
def test_the_working_directory_is_resolved(lines: str, workdir: str | None) -> None:
    assert stages_of(parse(f"FROM a\n{lines}\nRUN x\n"))[0].steps[-1].workdir == workdir


def test_what_depends_on_the_machine_is_unknown() -> None:
    stages = stages_of(parse("FROM --platform=$BUILDPLATFORM a-$TARGETARCH\nARG TARGETARCH\nARG K\nRUN x\n"))
    assert stages[0].image is None
    assert stages[0].steps[-1].env == {"TARGETARCH": None, "K": None}


def test_shell_and_user_are_known_at_each_step() -> None:
    stage = stages_of(parse('FROM a\nSHELL ["/bin/bash", "-c"]\nARG U=app\nUSER $U\nRUN x\n'))[0]
    assert stage.steps[1].shell == ("/bin/sh", "-c")
    assert (stage.steps[-1].shell, stage.steps[-1].user) == (("/bin/bash", "-c"), "app")


@pytest.mark.parametrize(("text", "line"), [("# nothing\n", 1), ("ARG A\n\nRUN x\nFROM a\n", 3)])
def test_a_file_without_a_proper_start_is_refused(text: str, line: int) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        stages_of(parse(text))
    assert caught.value.line == line


def test_a_file_of_ten_thousand_variables_takes_no_quadratic_time() -> None:
    dockerfile = parse("FROM a\n" + "".join(f"ENV V{index}=$V0\n" for index in range(10_000)))
    start = time.process_time()
    stages_of(dockerfile)
    assert time.process_time() - start < 2


def test_pairs_are_found_with_their_places() -> None:
    text = "FROM a\nENV A=\"b c\" \\\n  # why\n  D='e f' G=h\\ i J=\n"
    (instruction,) = [node for node in parse(text).instructions if node.keyword == "ENV"]
    pairs = pairs_of(instruction)
    assert [(pair.name, pair.raw) for pair in pairs] == [("A", '"b c"'), ("D", "'e f'"), ("G", "h\\ i"), ("J", "")]
    assert [text[pair.start : pair.end] for pair in pairs] == ['A="b c"', "D='e f'", "G=h\\ i", "J="]
    assert [text[pair.value_start : pair.value_end] for pair in pairs] == ['"b c"', "'e f'", "h\\ i", ""]


def test_the_old_form_goes_to_the_end_of_the_line() -> None:
    text = "FROM a\nENV A b=c  d\n"
    (pair,) = pairs_of(parse(text).instructions[1])
    assert (pair.name, pair.raw, pair.old, text[pair.value_start : pair.value_end]) == ("A", "b=c  d", True, "b=c  d")


def test_the_sources_in_the_context_are_listed_once() -> None:
    build = build_of("Dockerfile", parse("FROM a\nCOPY x y /z/\nCOPY x /\nCOPY --from=b q /\nADD w $U /v/\n"))
    assert copied_sources(build.stages) == ("x", "y", "w")
    assert build.project.copied == ("x", "y", "w")


@pytest.mark.parametrize(
    ("before", "directory"),
    [
        ("", False),
        ("RUN mkdir /app\n", True),
        ("RUN set -e; mkdir -p /app/data && true\n", True),
        ("RUN mkdir $HOME/app\n", False),
        ("WORKDIR /app\nWORKDIR /\n", True),
        ("COPY a /app/\n", True),
        ("COPY a /app\n", False),
        ("RUN echo mkdir /app\n", False),
    ],
)
def test_what_is_a_directory_before_a_copy(before: str, directory: bool) -> None:
    steps = stages_of(parse(f"FROM python:3.12\n{before}COPY b /app\nRUN mkdir /app\n"))[0].steps
    copy = steps[-2].copy
    assert copy is not None
    assert copy.directory is directory
    assert copy.image_path("b") == ("/app/b" if directory else "/app")
