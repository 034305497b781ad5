"""The chain: order, overlaps, settling, and what it does when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dockerfile as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockfix.build.model import Build
from dockfix.build.stages import build_of
from dockfix.chain import ROUNDS, Settings, run
from dockfix.development import development, for_development
from dockfix.merge import move_lines, touches
from dockfix.project.disk import OverlayFiles
from dockfix.project.files import MemoryFiles
from dockfix.registry import load_transforms
from dockfix.syntax.dockerfile import parse
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.testing import try_transforms
from dockfix.transform import Fix, Function, Phase, Safety, Skip, Transform

TEXT = "FROM python:3.12\nRUN one\nRUN two\nCMD three\n"
Items = Iterator[Fix | Skip]


def named(name: str, function: Function, *, safety: Safety = Safety.SAFE, phase: Phase = Phase.CONTENT) -> Transform:
    return Transform(name, safety, phase, function, {})


def replacing(old: str, new: str, *, safety: Safety | None = None) -> Callable[[Build], Items]:
    """Return a transform's function that replaces every *old* in the Dockerfile."""

    def function(build: Build) -> Items:
        text = build.dockerfile.text
        at = text.find(old)
        while at >= 0:
            line = text.count("\n", 0, at) + 1
            yield Fix(f"{old} to {new}", {build.path: [Edit(at, at + len(old), new)]}, line, safety)
            at = text.find(old, at + len(old))

    return function


def after(*transforms: Transform, text: str = TEXT, safe_only: bool = False) -> str:
    files, result = try_transforms(transforms, {"Dockerfile": text}, safe_only=safe_only)
    assert not result.failures, result.failures
    return files["Dockerfile"]


def test_a_transform_sees_what_the_one_before_it_made() -> None:
    first, second = named("a", replacing("one", "1")), named("b", replacing("1\n", "uno\n"))
    assert "RUN uno\n" in after(first, second)


def test_the_files_that_are_given_stay_as_they_are() -> None:
    """Verification runs the chain over files that have changes laid over them already, again and again."""
    files = OverlayFiles(MemoryFiles({"Dockerfile": TEXT}), {"web/Dockerfile": TEXT})
    first, second = (run(files, ("Dockerfile",), Settings([named("a", replacing("one", "1"))])) for _ in range(2))
    assert first.after == second.after == {"Dockerfile": TEXT.replace("one", "1")}
    assert files.text("Dockerfile") == TEXT


def test_rounds_go_on_until_nothing_changes() -> None:
    later, earlier = named("a", replacing("two!", "done")), named("b", replacing("two\n", "two!\n"))
    assert "RUN done\n" in after(later, earlier)


def test_of_two_fixes_for_the_same_text_the_first_wins_and_the_other_comes_back() -> None:
    def both(build: Build) -> Items:
        at = build.dockerfile.text.find("one")
        if at >= 0:
            yield Fix("whole", {"Dockerfile": [Edit(at, at + 3, "1")]}, 2)
            yield Fix("half", {"Dockerfile": [Edit(at + 1, at + 2, "x")], "other": [insert(0, "never")]}, 2)

    files, result = try_transforms([named("both", both)], {"Dockerfile": TEXT})
    assert [done.title for done in result.fixes] == ["whole"]
    assert "other" not in files


def test_all_files_of_a_fix_change_together() -> None:
    def both(build: Build) -> Items:
        if build.project.files.text("app.py") is None:
            yield Fix("Add", {"Dockerfile": [insert(0, "# new\n")], "app.py": [insert(0, "print()\n")]}, 1)

    files, _ = try_transforms([named("both", both)], {"Dockerfile": TEXT})
    assert files == {"Dockerfile": f"# new\n{TEXT}", "app.py": "print()\n"}


@pytest.mark.parametrize(
    ("path", "before", "broken"),
    [
        ("app.py", "print()\n", "print(\n"),
        ("pyproject.toml", "[a]\n", "[a\n"),
        ("compose.yaml", "a: 1\n", "a: [1\n"),
        ("Dockerfile", TEXT, "NOT a Dockerfile\n"),
        ("../outside", "", "text"),
        (".git/hooks/pre-commit", "", "text"),
    ],
)
def test_a_fix_that_breaks_a_file_is_undone_and_its_neighbours_stay(path: str, before: str, broken: str) -> None:
    def breaking(build: Build) -> Items:
        old = build.project.files.text(path) or ""
        yield Fix("Break it", {path: [Edit(0, len(old), broken)], "new": [insert(0, "x")]}, 3)

    good = named("good", replacing("one", "1"))
    files, result = try_transforms([named("breaking", breaking), good], {"Dockerfile": TEXT, path: before})
    assert files == {"Dockerfile": TEXT, path: before} | {"Dockerfile": TEXT.replace("one", "1")}
    assert [(failure.transform, failure.line) for failure in result.failures] == [("breaking", 3)]
    assert "Break it" in result.failures[0].message


def test_a_fix_with_a_good_neighbour_in_the_same_transform_is_undone_alone() -> None:
    def mixed(build: Build) -> Items:
        text = build.dockerfile.text
        if "one" in text:
            at = text.find("one")
            yield Fix("good", {"Dockerfile": [Edit(at, at + 3, "1")]}, 2)
        at = text.find("CMD")
        yield Fix("bad", {"Dockerfile": [Edit(at, at + 3, "DMC")]}, 4)

    files, result = try_transforms([named("mixed", mixed)], {"Dockerfile": TEXT})
    assert files["Dockerfile"] == TEXT.replace("one", "1")
    assert [failure.message.split(":")[1].strip() for failure in result.failures] == ["bad"]


def test_a_transform_that_raises_is_reported_and_the_others_run() -> None:
    def raising(build: Build) -> Items:
        yield Fix("half", {"Dockerfile": [insert(0, "# half\n")]}, 1)
        raise ZeroDivisionError("oops")

    files, result = try_transforms([named("raising", raising), named("b", replacing("one", "1"))], {"Dockerfile": TEXT})
    assert files["Dockerfile"] == TEXT.replace("one", "1")
    assert [(failure.transform, "ZeroDivisionError" in failure.message) for failure in result.failures] == [
        ("raising", True)
    ]


def test_what_never_settles_is_an_error_that_names_the_transforms_and_changes_nothing() -> None:
    ping, pong = named("ping", replacing("one", "uno")), named("pong", replacing("uno", "one"))
    growing = named("growing", lambda build: [Fix("Grow", {"Dockerfile": [insert(0, "# x\n")]}, 1)])
    for transforms in ([growing], [ping, pong]):
        files, result = try_transforms(transforms, {"Dockerfile": TEXT})
        assert files["Dockerfile"] == TEXT
        assert not result.fixes
        assert str(ROUNDS) in result.failures[0].message
        assert all(item.name in result.failures[0].message for item in transforms)


def test_a_suggestion_is_shown_and_not_applied() -> None:
    files, result = try_transforms([named("a", replacing("one", "1"), safety=Safety.SUGGESTION)], {"Dockerfile": TEXT})
    assert files["Dockerfile"] == TEXT
    assert [done.line for done in result.suggestions] == [2]


def test_safe_only_keeps_to_safe_fixes_whatever_the_transform_says() -> None:
    review = named("a", replacing("one", "1"), safety=Safety.REVIEW)
    safe_this_time = named("b", replacing("two", "2", safety=Safety.SAFE), safety=Safety.REVIEW)
    assert after(review, safe_this_time, safe_only=True) == TEXT.replace("two", "2")
    assert after(review, safe_this_time) == TEXT.replace("two", "2").replace("one", "1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Dockerfile.dev", True),
        ("docker/dev/Dockerfile", True),
        ("api/Dockerfile-local", True),
        ("test.Dockerfile", True),
        (".devcontainer/Dockerfile", True),
        ("Dockerfile", False),
        ("Dockerfile.prod", False),
        ("device/Dockerfile", False),
        ("tests/Dockerfile", False),
    ],
)
def test_what_is_for_production_leaves_a_dockerfile_for_development(path: str, expected: bool) -> None:
    assert for_development(path) is expected
    production = Transform("a", Safety.SAFE, Phase.CONTENT, replacing("one", "1"), {}, production=True)
    anywhere = named("b", replacing("two", "2"))
    files = MemoryFiles({path: TEXT})
    result = run(files, [path], Settings((production, anywhere)))
    assert ("RUN 1\n" in result.after[path]) is not expected
    assert "RUN 2\n" in result.after[path]
    assert [skip.reason for skip in result.skips] == ["the Dockerfile is for development, by its name"] * expected


@pytest.mark.parametrize(("stage", "expected"), [("dev-envs", True), ("runtime", False)])
def test_what_is_for_production_leaves_a_last_stage_for_development(stage: str, expected: bool) -> None:
    production = Transform("a", Safety.SAFE, Phase.CONTENT, replacing("one", "1"), {}, production=True)
    text = f"FROM python:3.12 AS base\nRUN one\nFROM base AS {stage}\n"
    result = run(MemoryFiles({"Dockerfile": text}), ["Dockerfile"], Settings((production,)))
    assert bool(result.fixes) is not expected
    assert bool(result.skips) is expected


def test_a_fix_is_found_in_the_file_that_it_edits() -> None:
    def pin(build: Build) -> Items:
        text = build.project.files.text("requirements.txt") or ""
        if "flask\n" in text:
            at = text.index("flask\n") + 5
            yield Fix("pin flask", {"requirements.txt": [insert(at, "==3.1.0")]}, 2)

    _, result = try_transforms((named("a", pin),), {"Dockerfile": TEXT, "requirements.txt": "redis\nflask\n"})
    assert [(done.path, done.line, done.dockerfile) for done in result.fixes] == [("requirements.txt", 2, "Dockerfile")]


@pytest.mark.parametrize(("before", "lines"), [(None, [0, 0]), ("x\ny\n", [1, 2])])
def test_lines_of_other_files_are_those_before_any_change(before: str | None, lines: list[int]) -> None:
    def adding(word: str, mark: str) -> Function:
        def function(build: Build) -> Items:
            text = build.project.files.text("notes") or ""
            if word not in text:
                at = text.find(mark) if mark in text else 0
                yield Fix(f"add {word}", {"notes": [insert(at, f"{word}\n{word}\n")]}, 1)

        return function

    files = {"Dockerfile": TEXT} if before is None else {"Dockerfile": TEXT, "notes": before}
    _, result = try_transforms([named("a", adding("1", "x")), named("b", adding("2", "y"))], files)
    assert [(done.path, done.line) for done in result.fixes] == [("notes", line) for line in lines]


@pytest.mark.parametrize("escape", ["\\", "`"])
@pytest.mark.parametrize(
    "end",
    [
        *(
            "ENV G=1 @",
            "ENV G=1 @\n",
            "ENV G=1 @\n@",
            "ENV G=1 @\n  @\n",
            "ENV G=1 @\n# note\n@\n# more\n",
            "RUN x @ \n",
        ),
        *("RUN x @\n# note", "RUN x @\n# note @\n", "RUN x @\r\n@\r\n", "RUN x@@\n", "RUN <<E\n@\nE\n", "RUN x @\n\n"),
    ],
)
def test_what_is_added_behind_a_continuation_into_nothing_is_an_instruction_of_its_own(end: str, escape: str) -> None:
    text = ("# escape=`\n" if escape == "`" else "") + "FROM a\n" + end.replace("@", escape)

    def add(build: Build) -> Items:
        size = len(build.dockerfile.text)
        if "USER" not in build.dockerfile.text:
            newline = "" if build.dockerfile.text.endswith("\n") else "\n"
            yield Fix("a user", {build.path: [insert(size, f"{newline}USER x\n")]}, 1)

    files, result = try_transforms([named("add", add)], {"Dockerfile": text})
    commands = [command.cmd for command in oracle.parse_string(files["Dockerfile"]) if command.cmd]
    assert [command.upper() for command in commands[-2:]] == [end[:3], "USER"]
    assert len(commands) == 3
    assert not result.failures


@pytest.mark.parametrize("end", [" \\", " \\ \n", " \\\n# note\n", " \\\n\\\n"])
def test_an_instruction_that_continues_into_nothing_is_not_moved_in_front_of_another(end: str) -> None:
    text = f"FROM a\nUSER b\nRUN one two three{end}"

    def move(build: Build) -> Items:
        user, last = build.dockerfile.instructions[1:]
        if last.keyword == "RUN":
            raw = build.dockerfile.raw(last).rstrip("\n") + "\n"
            edits = [insert(user.start, raw), Edit(last.start, last.end, "")]
            yield Fix("move", {build.path: edits}, last.line)

    files, result = try_transforms([named("move", move)], {"Dockerfile": text})
    assert files["Dockerfile"] == text
    assert [(skip.line, skip.reason[:19]) for skip in result.skips] == [(3, "RUN would move, and")]
    assert not result.failures


def test_a_fix_with_what_is_no_text_is_undone() -> None:
    files, result = try_transforms([named("odd", replacing("one", "\ud800"))], {"Dockerfile": TEXT})
    assert files["Dockerfile"] == TEXT
    assert ["no text" in failure.message for failure in result.failures] == [True]


def test_a_fix_that_makes_pairs_malformed_is_undone() -> None:
    breaking = named("breaking", replacing("A=b", "A=b c"))
    files, result = try_transforms([breaking], {"Dockerfile": "FROM a\nENV A=b\n"})
    assert files["Dockerfile"] == "FROM a\nENV A=b\n"
    assert not result.fixes
    assert ["ENV needs NAME=value" in failure.message for failure in result.failures] == [True]


def test_a_dockerfile_that_cannot_be_understood_any_more_gets_its_text_back() -> None:
    first, second = named("a", replacing("one", "1")), named("b", replacing("FROM python:3.12\n", "ARG x\n"))
    files, result = try_transforms([first, second, named("c", replacing("two", "2"))], {"Dockerfile": TEXT})
    assert files["Dockerfile"] == TEXT
    assert not result.fixes
    assert result.failures


def test_a_line_that_was_only_moved_keeps_its_number() -> None:
    def move(build: Build) -> Items:
        text = build.dockerfile.text
        if text.index("RUN one\n") < text.index("RUN two\n"):
            start, end = text.index("RUN one\n"), text.index("CMD")
            yield Fix("move it", {build.path: [Edit(start, end, "RUN two\nRUN one\n")]}, 2)

    _, result = try_transforms((named("a", move), named("b", replacing("one", "1"))), {"Dockerfile": TEXT})
    assert [(done.transform, done.line) for done in result.fixes] == [("a", 2), ("b", 2)]


def test_lines_are_those_of_the_file_as_it_was() -> None:
    header = named("a", lambda build: [Fix("Head", {"Dockerfile": [insert(0, "# a\n# b\n")]}, 1)])
    once = named("a", lambda build: [] if build.dockerfile.text.startswith("#") else header.function(build))
    refusing = named("c", lambda build: [Skip("no", build.dockerfile.instructions[2].line)])
    _, result = try_transforms([once, named("b", replacing("two", "2")), refusing], {"Dockerfile": TEXT})
    assert [(done.transform, done.line) for done in result.fixes] == [("a", 1), ("b", 3)]
    assert [skip.line for skip in result.skips] == [3]


def test_a_refusal_that_no_longer_holds_is_not_reported() -> None:
    def refusing(build: Build) -> Items:
        if "one" in build.dockerfile.text:
            yield Skip("there is one", 2)

    _, result = try_transforms([named("a", refusing), named("b", replacing("one", "1"))], {"Dockerfile": TEXT})
    assert not result.skips


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# dockfix: ignore=a\n", "RUN one\n"),
        ("# dockfix: ignore=b, a\n# another comment\n", "RUN one\n"),
        ("#dockfix:ignore=a # it is meant so\n", "RUN one\n"),
        ("# dockfix: ignore=b\n", "RUN 1\n"),
    ],
)
def test_a_comment_keeps_a_transform_off_one_instruction(comment: str, expected: str) -> None:
    text = f"FROM x\n{comment}RUN one\nRUN one\n"
    assert after(named("a", replacing("one", "1")), text=text) == f"FROM x\n{comment}{expected}RUN 1\n"


def test_a_comment_keeps_a_transform_off_a_file() -> None:
    text = f"# dockfix: ignore-file=a\n{TEXT}"
    assert after(named("a", replacing("one", "1")), text=text) == text


@pytest.mark.parametrize("comment", ["# dockfix: ignore", "# dockfix: ignore=", "# dockfix: skip=a"])
def test_a_comment_without_a_name_is_an_error(comment: str) -> None:
    files, result = try_transforms(
        [named("a", replacing("one", "1"))], {"Dockerfile": TEXT.replace("RUN two", f"{comment}\nRUN two")}
    )
    assert [failure.line for failure in result.failures] == [3]
    assert "RUN one" in files["Dockerfile"]


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment\n", "RUN a\n", "FROM\n", "FROM a\nBOGUS b\n", "FROM a\nRUN <<EOF\n", "\0\1\2"]
)
def test_what_is_no_dockerfile_is_an_error_and_the_next_file_is_done(text: str) -> None:
    files = {"Dockerfile": text, "Dockerfile.good": TEXT}
    changed, result = try_transforms([named("a", replacing("one", "1"))], files)
    assert changed["Dockerfile"] == text
    assert "RUN 1\n" in changed["Dockerfile.good"]
    assert {failure.path for failure in result.failures} == {"Dockerfile"}


def test_dockerfiles_of_one_repository_share_their_files() -> None:
    def listing(build: Build) -> Items:
        text = build.project.files.text("list.txt") or ""
        if build.path not in text.splitlines():
            yield Fix("List it", {"list.txt": [insert(len(text), f"{build.path}\n")]}, 1)

    files, result = try_transforms([named("a", listing)], {"a/Dockerfile": TEXT, "b/Dockerfile": TEXT})
    assert files["list.txt"] == "a/Dockerfile\nb/Dockerfile\n"
    assert not result.failures


def test_a_missing_file_is_an_error() -> None:
    result = run(MemoryFiles({}), ["Dockerfile"], Settings([]))
    assert [failure.message.split(":")[0] for failure in result.failures] == ["cannot be read"]


SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=6)


@given(SPANS, st.integers(0, 12), st.integers(0, 3))
def test_touching_is_what_edits_call_overlapping(spans: list[tuple[int, int]], start: int, length: int) -> None:
    taken: list[tuple[int, int]] = []
    for begin, size in spans:
        if not touches(taken, begin, begin + size):
            taken = sorted([*taken, (begin, begin + size)])
    if not touches(taken, start, start + length):
        apply_edits("x" * 20, [Edit(begin, end, "") for begin, end in taken] + [Edit(start, start + length, "")])


@given(st.text(alphabet="a\n", max_size=20), st.data())
def test_every_line_after_edits_has_its_origin(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    edit = Edit(start, end, data.draw(st.text(alphabet="b\n", max_size=5)))
    origin = list(range(1, text.count("\n") + 2))
    moved = move_lines(origin, text, [edit])
    assert len(moved) == apply_edits(text, [edit]).count("\n") + 1
    assert moved == sorted(moved)


LINES = st.sampled_from(
    [
        "FROM python:3.12",
        "FROM a AS b",
        "RUN pip install flask",
        "RUN apt-get update && \\",
        "  apt-get install -y gcc",
        "# comment",
        "# dockfix: ignore=multi-stage",
        "",
        "COPY . .",
        "COPY --from=b /x /y",
        "RUN <<EOF",
        "EOF",
        'CMD ["python", "app.py"]',
        "CMD python app.py",
        "USER app",
        "WORKDIR $X",
        "ENV A=1 B",
        "ONBUILD RUN x",
        "RUN echo 'open",
        "\udcff\ufeff\x85",
    ]
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_no_text_makes_the_chain_raise_and_a_second_run_changes_nothing(lines: list[str], newline: str) -> None:
    transforms = load_transforms()
    first, result = try_transforms(transforms, {"Dockerfile": newline.join(lines)})
    assert not [failure for failure in result.failures if failure.transform or "report" in failure.message]
    second, again = try_transforms(transforms, first)
    assert second == first
    assert not [failure for failure in again.failures if failure not in result.failures]


def test_the_example_has_something_to_change() -> None:
    folder = Path(__file__).parent.parent / "examples/flask-naive"
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    changed, result = try_transforms(load_transforms(), files)
    assert not result.failures
    assert changed["Dockerfile"] != files["Dockerfile"]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# Dockerfile for development", True),
        ("# This image is for local development only.", True),
        ("# Development Dockerfile", True),
        ("## for dev", True),
        ("# for development and production", False),
        ("# not for development", False),
        ("# builds the development tools of the shop", False),
    ],
)
def test_a_comment_on_top_says_that_it_is_for_development(comment: str, expected: bool) -> None:
    build = build_of("Dockerfile", parse(f"{comment}\nFROM python:3.12-slim\n# for development\nCMD python app.py\n"))
    assert (development(build) is not None) is expected
