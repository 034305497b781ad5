"""A transform's documentation is complete, and what its examples show is what it does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dockfix.registry import load_transforms
from dockfix.testing import examples, parse_example, try_transforms
from dockfix.transform import Transform

ROOT = Path(__file__).parent.parent
TRANSFORMS = load_transforms()
SECTIONS = ("Why:", "Example:", "When it holds back:", "Source:")


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda item: item.name)
def test_a_transform_is_documented(transform: Transform) -> None:
    lines = [line.strip() for line in transform.documentation.splitlines()]
    missing = [section for section in SECTIONS if not any(line.startswith(section) for line in lines)]
    assert not missing, f"the docstring lacks {missing}"
    assert transform.summary.endswith("."), "the docstring begins with a sentence on one line"


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda item: item.name)
def test_a_transform_does_what_its_examples_show(transform: Transform) -> None:
    blocks = examples(transform.documentation)
    assert blocks, "the docstring holds no example"
    for block in blocks:
        before, after = parse_example(block)
        options = tomllib.loads(before.get("dockfix.toml", "")).get(transform.name)
        actual, result = try_transforms([transform], before, options=options)
        assert not result.failures, "\n".join(map(str, result.failures))
        assert actual == after
        assert before != after, "an example shows a change"


def test_an_example_tells_files_before_and_after() -> None:
    block = " FROM python:3.12\n-RUN a\n+RUN b\n@@ app.py\n+print()\n"
    assert parse_example(block) == (
        {"Dockerfile": "FROM python:3.12\nRUN a\n"},
        {"Dockerfile": "FROM python:3.12\nRUN b\n", "app.py": "print()\n"},
    )


def test_the_readme_names_every_transform(update_golden: bool) -> None:
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    head, begin, rest = readme.partition("<!-- transforms -->\n")
    _, end, tail = rest.partition("<!-- end of transforms -->\n")
    rows = "".join(f"| `{item.name}` | {item.safety.value} | {item.summary} |\n" for item in TRANSFORMS)
    expected = f"{head}{begin}| name | | what it does |\n|---|---|---|\n{rows}{end}{tail}"
    if update_golden:
        path.write_text(expected, encoding="utf-8")
    else:
        assert readme == expected, "run `make golden` to bring the README's table up to date"


def test_the_readme_begins_with_the_commands_that_show_and_test() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert blocks[0].splitlines()[0].startswith("make demo")
    assert blocks[0].splitlines()[1].startswith("make test")
