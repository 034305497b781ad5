from __future__ import annotations

import pytest

from dockfix.build.copies import Copy, go_match
from dockfix.build.stages import stages_of
from dockfix.syntax.dockerfile import parse


def copy(line: str, before: str = "WORKDIR /app") -> Copy:
    step = stages_of(parse(f"FROM a\n{before}\n{line}\n"))[0].steps[-1]
    assert step.copy is not None
    return step.copy


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("COPY . .", "src/main.py", "/app/src/main.py"),
        ("COPY ./ /srv", "main.py", "/srv/main.py"),
        ("COPY src lib", "src/a/b.py", "/app/lib/a/b.py"),
        ("COPY ./src/ ./", "src/b.py", "/app/b.py"),
        ("COPY main.py run.py", "main.py", "/app/run.py"),
        ("COPY main.py sub/", "main.py", "/app/sub/main.py"),
        ("COPY main.py /app", "main.py", "/app/main.py"),
        ("COPY a.txt b.txt /data", "b.txt", "/data/b.txt"),
        ("COPY requirements*.txt ./", "requirements-dev.txt", "/app/requirements-dev.txt"),
        ("COPY requirements*.txt x", "requirements.txt", None),
        ("COPY */x.py ./", "pkg/x.py", "/app/x.py"),
        ("COPY s* ./", "src/x.py", "/app/x.py"),
        ("COPY *.py ./", "pkg/x.py", None),
        ("COPY src lib", "srcs/b.py", None),
        ("COPY ../src lib", "src/b.py", "/app/lib/b.py"),
        ('COPY ["a b.txt", "./"]', "a b.txt", "/app/a b.txt"),
        ("COPY --from=x . .", "main.py", None),
        ("COPY --parents a/b.py ./", "a/b.py", None),
        ("COPY --exclude=*.md . .", "b.md", None),
        ("COPY $WHERE .", "b.md", None),
        ("COPY main.py $WHERE", "main.py", None),
        ("ADD code.tar.gz ./", "code.tar.gz", None),
        ("COPY code.tar.gz ./", "code.tar.gz", "/app/code.tar.gz"),
    ],
)
def test_where_a_file_lands(line: str, path: str, expected: str | None) -> None:
    assert copy(line).image_path(path) == expected


def test_variables_are_those_before_the_instruction() -> None:
    found = copy("COPY $SRC ${DST:-/x}/", "ENV SRC=code")
    assert ([source.value for source in found.sources], found.destination) == (["code"], "/x")


def test_remote_sources_and_heredocs_are_told_apart() -> None:
    text = "ADD https://example.org/a.tar git@example.org:x/y.git b /z/"
    assert copy(text).remote == ("https://example.org/a.tar", "git@example.org:x/y.git")
    heredoc = copy("COPY <<EOF /x.conf\na\nEOF")
    assert (heredoc.heredoc, heredoc.sources, heredoc.destination) == (True, (), "/x.conf")


@pytest.mark.parametrize(
    ("line", "stage"), [("COPY --from=0 /a /b", "0"), ("COPY --from=Builder /a /b", "Builder"), ("COPY a b", None)]
)
def test_the_stage_that_is_copied_from(line: str, stage: str | None) -> None:
    assert copy(line).from_ == stage


def test_spans_are_those_of_the_file() -> None:
    text = 'FROM a\nCOPY ["x", \\\n  "y z", "/d/"]\n'
    found = stages_of(parse(text))[0].steps[-1].copy
    assert found is not None
    assert [text[source.start : source.end] for source in found.sources] == ['"x"', '"y z"']
    assert text[found.destination_start : found.destination_end] == '"/d/"'


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.txt", "a.txt", True),
        ("*", ".hidden", True),
        ("[a-c]?", "bx", True),
        ("[^a]", "a", False),
        ("\\*", "*", True),
        ("[", "[", False),
    ],
)
def test_patterns_are_those_of_go(pattern: str, name: str, expected: bool) -> None:
    assert go_match(pattern, name) is expected
