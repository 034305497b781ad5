"""Literals of Python modules that give way to the environment: every other byte stays, or nothing changes."""

from __future__ import annotations

import ast

import libcst
import pytest

from dockfix.project.python_module import parse_module
from dockfix.syntax.edit import apply_edits
from dockfix_transforms._config_literals import Left, Literal, Settings
from dockfix_transforms._rewritten_module import Unchangeable, rewritten

KEY = "x9Kd!27pQ"


def after(text: str, *, django: bool = False) -> str:
    """Return the module with its settings from the environment."""
    tree = parse_module(text)
    assert tree is not None
    found = [one for one in Settings(tree, django=django, strict=False).find() if isinstance(one, Literal)]
    assert found
    return apply_edits(text, rewritten(text, tree, found))


@pytest.mark.parametrize(
    "text",
    [
        f"import os\nSECRET_KEY = '{KEY}'",
        f"import os\r\nSECRET_KEY\t=\t'{KEY}'\t# a comment\r\n\r\n",
        f"import os\nSECRET_KEY = ('{KEY}'  # why\n  )\n",
        f"import os\nSECRET_KEY = \\\n    '{KEY}'\n",
        f"import os; SECRET_KEY = '{KEY}'; A = 'ü\N{SNOWMAN}'\n",
        f"import os\nclass Config :\n\tX = 'ü' ; SECRET_KEY='{KEY}'\n",
        f"\ufeffimport os\nA = '''\n\\N{{SNOWMAN}}'''\nSECRET_KEY = r'{KEY}'\n",
        f"import os\nSECRET_KEY = '''{KEY}'''\ndef f(a, /, b, *, c): return a if b else c\n",
    ],
)
def test_every_other_byte_stays(text: str) -> None:
    changed = after(text)
    before, expression, behind = changed.partition("os.environ['SECRET_KEY']")
    assert expression
    assert text.startswith(before)
    assert text.endswith(behind)
    literal = text[len(before) : len(text) - len(behind)]
    assert ast.literal_eval(literal) == KEY


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (f"SECRET_KEY = '{KEY}'\n", "import os\n\nSECRET_KEY"),
        (f'"""The settings."""\nSECRET_KEY = "{KEY}"\n', '"""The settings."""\nimport os\n\nSECRET_KEY'),
        (f"from __future__ import annotations\nA = 1\nSECRET_KEY = '{KEY}'\n", None),
        (f"import sys\nSECRET_KEY = '{KEY}'\n", "import os\nimport sys\n"),
        (f"import json\nimport re\n\nimport flask\nSECRET_KEY = '{KEY}'\n", "import json\nimport os\nimport re\n\n"),
        (f"import json\nfrom re import sub\nSECRET_KEY = '{KEY}'\n", "import json\nimport os\nfrom re import sub\n"),
        (f"from flask import Flask\nSECRET_KEY = '{KEY}'\n", "import os\n\nfrom flask import Flask\n"),
        (
            f"from re import (\n    sub,\n)\nSECRET_KEY = '{KEY}'\n",
            "import os\nfrom re import (\n",
        ),
        (f"SECRET_KEY = '{KEY}'\nimport os\n", "import os\n\nSECRET_KEY"),
        (f"import os.path\nSECRET_KEY = '{KEY}'\n", "import os.path\nSECRET_KEY = os.environ"),
        (f"import os as system\nSECRET_KEY = '{KEY}'\n", "import os as system\nSECRET_KEY = system.environ"),
        (f"from os import environ as e\nSECRET_KEY = '{KEY}'\n", "from os import environ as e\nSECRET_KEY = e["),
    ],
)
def test_os_is_imported_once_and_in_its_place(text: str, head: str | None) -> None:
    changed = after(text)
    ast.parse(changed)
    assert changed.startswith(head or "from __future__ import annotations\nimport os\n\nA = 1\n")


@pytest.mark.parametrize(
    "text",
    [
        f"os = 1\nSECRET_KEY = '{KEY}'\n",
        f"import os\n\x0cSECRET_KEY = '{KEY}'\n",
        f"def os(): pass\nSECRET_KEY = '{KEY}'\n",
        f"# coding: cp1252\nSECRET_KEY = '{KEY}'\n",
    ],
)
def test_what_is_not_certain_is_left(text: str) -> None:
    with pytest.raises(Unchangeable):
        after(text)


def test_a_module_that_libcst_does_not_give_back_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = libcst.parse_module
    monkeypatch.setattr(libcst, "parse_module", lambda text: parse(text + "\n"))
    with pytest.raises(Unchangeable, match="libcst does not give it back"):
        after(f"import os\nSECRET_KEY = '{KEY}'\n")


@pytest.mark.parametrize(
    "text",
    [
        "SECRET_KEY = compute()",
        "SECRET_KEY = 'a' + 'b'",
        "SECRET_KEY, OTHER = 'x9Kd', 1",
        "secret_keys = ['x9Kd']",
        "class Config(BaseSettings):\n    SECRET_KEY: str = 'x9Kd!27pQ'",
        "class DevelopmentConfig:\n    SECRET_KEY = 'x9Kd!27pQ'",
        "def f():\n    SECRET_KEY = 'x9Kd!27pQ'",
        "SECRET_KEY = 'changeme'",
        "SQLALCHEMY_DATABASE_URI = 'sqlite:///shop.db'",
        "DEBUG = False",
    ],
)
def test_other_settings_are_none_of_its_business(text: str) -> None:
    tree = ast.parse(text)
    assert not [one for one in Settings(tree, django=False, strict=False).find() if not isinstance(one, Left)]
