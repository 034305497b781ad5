"""Edits of YAML say what they are to say, and leave every other line as it is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dockfix.syntax.edit import Edit, apply_edits
from dockfix.syntax.yaml_edit import (
    Editing,
    add_item,
    add_key,
    items_to_keys,
    remove_key,
    replace_scalar,
    set_environment,
)

COMPOSE = """\
# head
version: "3"

services:
  web:
    build: .   # here
    environment:
      - A=1
      # - B=2
    depends_on: [db, cache]  # order

  db:
    image: postgres
    environment:
      POSTGRES_PASSWORD: "x y"
"""


def changed(text: str, edits: Sequence[Edit] | None) -> list[str]:
    """Return the lines that the edits remove (-) and add (+)."""
    assert edits is not None
    lines = difflib.ndiff(text.splitlines(), apply_edits(text, edits).splitlines())
    return [line[0] + line[2:] for line in lines if line[0] in "+-"]


def test_a_key_is_added_behind_the_last_with_its_comments() -> None:
    edits = add_key(COMPOSE, ("services", "db"), "healthcheck", {"test": ("CMD", "true"), "retries": 3})
    assert changed(COMPOSE, edits) == ["+    healthcheck:", '+      test: ["CMD", "true"]', "+      retries: 3"]
    edits = add_key(COMPOSE, ("services", "web"), "init", True, after=("build",))
    assert apply_edits(COMPOSE, edits or []).splitlines()[6] == "    init: true"


def test_an_item_goes_behind_the_comments_of_the_last() -> None:
    edits = set_environment(COMPOSE, "web", "KEY", "${KEY:?}")
    assert apply_edits(COMPOSE, edits or []).splitlines()[9] == "      - KEY=${KEY:?}"


def test_a_variable_takes_the_form_and_the_quotes_that_are_there() -> None:
    assert changed(COMPOSE, set_environment(COMPOSE, "db", "KEY", "${KEY:?}")) == ['+      KEY: "${KEY:?}"']
    assert changed(COMPOSE, set_environment(COMPOSE, "web", "A", "${A:?}")) == ["-      - A=1", "+      - A=${A:?}"]
    inline = "services: {web: {image: a, environment: {A: b}}}\n"
    assert changed(inline, set_environment(inline, "web", "K", "${K:?}"))[1] == (
        '+services: {web: {image: a, environment: {A: b, K: "${K:?}"}}}'
    )


def test_what_an_anchor_names_begins_below_it() -> None:
    before = "services:\n  web:\n    environment: &settings\n      A: 1\n    ports: &ports\n      - 80\n    image: x\n"
    editing = Editing(before)
    assert editing.apply(add_key(before, ("services", "web", "environment"), "B", 2))
    assert editing.apply(add_item(editing.text, ("services", "web", "ports"), 81))
    assert editing.apply(add_key(editing.text, ("services", "web"), "healthcheck", {"retries": 3}))
    assert editing.text == before.replace("A: 1\n", "A: 1\n      B: 2\n").replace("- 80\n", "- 80\n      - 81\n") + (
        "    healthcheck:\n      retries: 3\n"
    )


def test_a_value_keeps_its_quotes() -> None:
    path = ("services", "db", "environment", "POSTGRES_PASSWORD")
    assert replace_scalar(COMPOSE, path, "z y") == [
        Edit(COMPOSE.index("x y"), COMPOSE.index("x y") + 1, "z"),
    ]


def test_a_key_goes_with_the_empty_line_behind_it() -> None:
    text = 'version: "3"  # old\n\nservices:\n  a:\n    image: b\n'
    assert apply_edits(text, remove_key(text, ("version",)) or []) == "services:\n  a:\n    image: b\n"
    assert changed(COMPOSE, remove_key(COMPOSE, ("version",))) == ['-version: "3"']


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("s:\n  on: [db, c]  # why\n  x: 1\n", "s:\n  on:  # why\n    db:\n      a: b\n    c:\n      a: d\n  x: 1\n"),
        ("s:\n  on:\n  - db # why\n  - c\n", "s:\n  on:\n    db: # why\n      a: b\n    c:\n      a: d\n"),
        (
            "s:\n    on:\n      - db\n\n      # c\n      -   'c'\n",
            "s:\n    on:\n      db:\n        a: b\n\n      # c\n      c:\n        a: d\n",
        ),
    ],
)
def test_items_become_keys(before: str, after: str) -> None:
    edits = items_to_keys(before, ("s", "on"), {"db": {"a": "b"}, "c": {"a": "d"}})
    assert edits is not None
    assert yaml.safe_load(apply_edits(before, edits)) == yaml.safe_load(after)
    assert [line for line in before.splitlines() if "#" in line and "-" not in line and "[" not in line] == [
        line for line in apply_edits(before, edits).splitlines() if line.lstrip().startswith("#")
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: &x\n  b: 1\nc: *x\n", ("a",)),  # shared
        ("a: &x\n  b: 1\nc: *x\n", ("c",)),  # an alias
        ("x: &x\n  k: 1\na:\n  <<: *x\n", ("a",)),  # merged
        ("a:\n  k: 1\n", ("a",)),  # there already
        ("a:\n  b: 1\n---\na:\n  b: 2\n", ("a",)),  # several documents
        ("a: !override\n  b: 1\n", ("a",)),
        ("a: text\n", ("a",)),
        ("a:\n  b: 1\n  b: 2\n", ("a",)),
        ("a: [", ("a",)),
        ("", ("a",)),
    ],
)
def test_nothing_is_added_where_it_is_not_safe(text: str, path: tuple[str, ...]) -> None:
    assert add_key(text, path, "k", "v") is None


def test_a_folded_value_is_not_replaced() -> None:
    assert replace_scalar("a: >\n  b\n  c\n", ("a",), "d") is None
    assert replace_scalar("a: b\n  c\n", ("a",), "d") is None


def test_an_anchor_that_is_used_is_not_removed() -> None:
    assert remove_key("a: &x 1\nb: *x\n", ("a",)) is None


def test_several_changes_are_edits_of_the_first_text() -> None:
    editing = Editing(COMPOSE)
    assert editing.apply(set_environment(editing.text, "web", "K", "1"))
    assert editing.apply(set_environment(editing.text, "web", "L", "2"))
    assert editing.apply(remove_key(editing.text, ("version",)))
    assert editing.apply(set_environment(editing.text, "web", "K", "3"))
    assert not editing.apply(None)
    assert apply_edits(COMPOSE, editing.edits()) == editing.text
    assert len(editing.edits()) == 2


# Any tree in any layout

names = st.sampled_from(["a", "b", "image", "POSTGRES_USER", "x-y", "depends_on"])
words = st.text(st.sampled_from("ab1 ${}:?#'\"\\,[]-&*!%@`|>~=.é/"), max_size=8)
scalars = st.one_of(words, st.sampled_from(["true", "no", "1", "0.5", "null", "5s", "2024-01-01", "${A:?}", "1:30"]))
trees: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.dictionaries(names, below, min_size=1, max_size=4), st.lists(below, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A mapping and a file that says it, with comments, in a layout of its own."""
    data = {"services": draw(st.dictionaries(names, trees, min_size=1, max_size=4)), "top": draw(trees)}
    text = yaml.safe_dump(
        data,
        indent=draw(st.integers(2, 4)),
        sort_keys=False,
        default_flow_style=draw(st.sampled_from([False, False, None, True])),
        default_style=draw(st.sampled_from([None, None, "'", '"'])),
        width=draw(st.sampled_from([1000, 1000, 20])),
        allow_unicode=True,
    )
    lines = []
    for line in text.splitlines():
        if draw(st.integers(0, 5)) == 0 and not text.count("'") % 2:
            lines += draw(st.sampled_from([[""], ["# a comment"], [f"{' ' * (len(line) - len(line.lstrip()))}# c: d"]]))
        lines.append(line)
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = newline.join(lines) + draw(st.sampled_from([newline, ""]))
    if draw(st.integers(0, 4)) == 0:
        text = "\ufeff" + text
    return data, text


def places(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    found = [(path, data)]
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in below:
        found += places(value, (*path, step))
    return found


def kept(text: str, edits: list[Edit]) -> bool:
    """Whether every line of the text is still there, in order."""
    after = iter(apply_edits(text, edits).splitlines())
    return all(line in after for line in text.splitlines())


@settings(max_examples=300, deadline=None)
@given(documents(), st.data())
def test_what_is_said_changes_only_there(document: tuple[dict[str, Any], str], draw: st.DataObject) -> None:
    _, text = document
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:  # a comment inside of a scalar
        return
    path, value = draw.draw(st.sampled_from(places(data)))
    new: Any = draw.draw(st.one_of(words, st.just({"k": "v", "l": 5, "m": None}), st.just({"n": ["a b", "c: d"]})))
    edits: list[Edit] | None = None
    if isinstance(value, dict):
        key = draw.draw(st.sampled_from(["new", "a", "b"]))
        if draw.draw(st.booleans()) and key in value:
            edits = remove_key(text, (*path, key))
            del value[key]
        else:
            edits = add_key(text, path, key, new)
            assert edits is None or key not in value
            value[key] = new
            if edits is not None and "{" not in text and "[" not in text:
                assert kept(text, edits)
    elif isinstance(value, list):
        edits = add_item(text, path, new)
        value.append(new)
    elif isinstance(new, str):
        edits = replace_scalar(text, path, new)
        parent = data
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = new
    if edits is None:
        return
    after = apply_edits(text, edits)
    assert yaml.safe_load(after) == data
    assert text.startswith("\ufeff") == after.startswith("\ufeff")
    if "\r\n" in text:
        assert after.count("\n") == after.count("\r\n")


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names, st.dictionaries(names, words, min_size=1), min_size=1), st.integers(1, 5))
def test_a_plain_block_can_always_be_extended(data: dict[str, Any], indent: int) -> None:
    lines = []
    for service, keys in data.items():
        lines += [f"  # about {service}", f"  {service}:"]
        for key, value in keys.items():
            lines += [f"  {' ' * indent}{key}: {yaml.safe_dump(value, default_style=chr(34), width=1000).strip()}  # c"]
    text = "\n".join(["services:", *lines, ""])
    service = list(data)[-1]
    edits = set_environment(text, service, "KEY", "${KEY:?}")
    assert edits is not None
    assert kept(text, edits)
    data[service]["environment"] = {"KEY": "${KEY:?}"}
    assert yaml.safe_load(apply_edits(text, edits)) == {"services": data}


SHARED = """\
x-app: &app  # for both
  build: .
  environment: &env
    A: "1"   # one
    B: two
  volumes: &volumes
    - .:/app
x-lists: [&one a, *one]
services:
  web:
    <<: *app
    ports: ["80:80"]  # open
    command: &command serve --port 80
  job:
    <<: [*app, {user: me}]
    environment:
      <<: *env
      C: !!str 3
    volumes: *volumes
    command: *command
  own:
    environment: {D: 'd'}
    depends_on:
    - web   # first

    # second
    - job
    labels: !reset []
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_anchors_share_stays_as_it_is(newline: str) -> None:
    text = SHARED.replace("\n", newline)
    data = yaml.safe_load(SHARED.replace("!reset ", ""))
    changes = 0
    for path, _ in places(data):
        step = path[-1] if path else None
        tried: list[list[Edit] | None] = [
            remove_key(text, path),
            add_key(text, path, "new", {"k": ["v", "w: x"]}),
            add_item(text, path, "i # j"),
            replace_scalar(text, path, "it's"),
            items_to_keys(text, path, {"web": {"c": "d"}, "job": {"c": "d"}, ".:/app": {}, "80:80": {}}),
            set_environment(text, str(step), "NEW", "${NEW:?}"),
        ]
        for removes, edits in zip((True, *(False,) * 5), tried, strict=True):
            if edits is None:
                continue
            changes += 1
            after = apply_edits(text, edits)
            assert after.count("&") == text.count("&")
            if not removes:
                assert (after.count("*"), after.count("!")) == (text.count("*"), text.count("!"))
                assert after.count("#") >= text.count("#")
            assert after.count("\n") == after.count("\r\n") or newline == "\n"
            again = yaml.safe_load(after.replace("!reset ", ""))
            old, new = data["services"], again.get("services", {})
            differing = [one for one in old if new and new.get(one) != old[one]]
            assert len(differing) <= 1, f"{path}: {after}"
    assert changes > 15


@settings(max_examples=150, deadline=None)
@given(documents(), st.data())
def test_items_become_keys_wherever_they_are(document: tuple[dict[str, Any], str], draw: st.DataObject) -> None:
    _, text = document
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    lists = [(path, value) for path, value in places(data) if isinstance(value, list)]
    if not lists:
        return
    path, value = draw.draw(st.sampled_from(lists))
    wanted = {item: {"condition": "service_healthy"} for item in value if isinstance(item, str)}
    edits = items_to_keys(text, path, wanted)
    if edits is None:
        return
    parent = data
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = wanted
    after = apply_edits(text, edits)
    assert yaml.safe_load(after) == data
    assert after.count("#") == text.count("#")
