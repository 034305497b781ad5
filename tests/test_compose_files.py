"""Compose files of any sort: the transforms raise nothing, settle, and leave what they do not change as it is."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dockfix.project.compose import services_of_image
from dockfix.project.compose_files import used_with
from dockfix.project.files import MemoryFiles
from dockfix.registry import choose, load_transforms
from dockfix.syntax.compose import read_yaml
from dockfix.testing import try_transforms

TRANSFORMS = choose(
    load_transforms(), ("compose-healthy-dependencies", "compose-obsolete-version", "compose-secrets", "multi-stage")
)
DOCKERFILE = "FROM python:3.12-slim\nRUN pip install flask==3.1.0\nCMD python app.py\n"

names = st.sampled_from(["web", "db", "cache", "docker-compose.yml", "x.yaml", "A B"])
KEYS = """services
build context dockerfile target image command entrypoint environment env_file ports volumes depends_on
healthcheck test extends file service include path user POSTGRES_PASSWORD DATABASE_URL SECRET_KEY condition << source
type version deploy"""
VALUES = """. | db | web | Dockerfile | postgres:17 | redis | mysql:${V:-8} | hunter2 | postgres://a:hunter2@db/a | A= |
POSTGRES_PASSWORD=hunter2 | .:/app | ./x:/opt:ro | 8000:80 | compose.yaml | x.yaml | ${X} | bash -l | !x | a: b # c |
redis-server --requirepass hunter2 | * | .. |"""
keys = st.sampled_from(KEYS.split())
values = st.one_of(
    st.sampled_from([text.strip() for text in VALUES.split("|")]),
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(allow_nan=False, allow_infinity=False),
)
trees: st.SearchStrategy[Any] = st.recursive(
    values,
    lambda below: st.one_of(
        st.dictionaries(st.one_of(keys, names), below, max_size=5), st.lists(st.one_of(names, below), max_size=4)
    ),
    max_leaves=10,
)
services = st.dictionaries(names, st.one_of(trees, st.dictionaries(keys, trees, min_size=1, max_size=8)), max_size=4)
files = st.fixed_dictionaries({"services": services}, optional={"include": trees, "version": trees, "x-a": trees})


def written(data: Any, layout: int) -> str:
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=(False, None, True)[layout], allow_unicode=True)


@settings(max_examples=200, deadline=None)
@given(files, files, st.integers(0, 2), st.booleans())
def test_any_compose_files(first: Any, second: Any, layout: int, built: bool) -> None:
    if built:
        first["services"]["web"] = {"build": ".", "environment": {"SECRET_KEY": "hunter2"}}
    before = {
        "Dockerfile": DOCKERFILE,
        "compose.yaml": written(first, layout),
        "compose.override.yaml": written(second, layout),
        "x.yaml": written(second, 0),
    }
    repository = MemoryFiles(before)
    services_of_image(repository, "Dockerfile")
    used_with(repository, "compose.yaml")
    after, result = try_transforms(TRANSFORMS, before)
    assert not result.failures
    assert try_transforms(TRANSFORMS, after)[0] == after
    for path, text in after.items():
        if path.endswith(".yaml"):
            assert (read_yaml(text) is None) == (read_yaml(before[path]) is None)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("services:\n  web-[]{},&*!|>'\"%#?~\t\r\ufeff\x00\u2028\ud800a1"), max_size=80))
def test_any_text(text: str) -> None:
    before = {"Dockerfile": DOCKERFILE, "compose.yaml": text + "build", "compose.override.yaml": text}
    assert not try_transforms(TRANSFORMS, before)[1].failures


def test_the_name_of_a_user_is_no_password_that_was_left() -> None:
    compose = """\
services:
  web:
    build: .
  db:
    image: postgres:16
    environment:
      POSTGRES_USER: {0}
      POSTGRES_PASSWORD: {0}
"""
    said = []
    for password in ("postgres", "pl4ne-t4bles"):
        files = {"Dockerfile": DOCKERFILE, "compose.yaml": compose.format(password)}
        _, result = try_transforms(choose(load_transforms(), ("compose-secrets",)), files)
        notes = [note for fix in result.fixes for note in fix.notes]
        assert notes
        said.append(any("still holds the value" in note for note in notes))
    assert said == [False, True]
