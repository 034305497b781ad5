"""Events come from the C parser alone, and PyYAML is whole for everybody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dockfix.syntax.yaml_events import YamlError, events


@pytest.mark.parametrize("text", ["a: 1\n", "\ufeffa: 1\n", "- [a, &b c]\n- *b\n---\nd\n", ""])
def test_events_come_with_their_places(text: str) -> None:
    found = list(events(text))
    assert type(found[0]).__name__ == "StreamStartEvent"
    scalars = [event for event in found if type(event).__name__ == "ScalarEvent"]
    for event in scalars:
        assert event.value in text.removeprefix("\ufeff")[event.start_mark.index : event.end_mark.index]


@pytest.mark.parametrize("text", ["a: [", "a: \x00", "a: \x80", "a: b: c", "a: \udc80", "%YAML 9", "a: *"])
def test_what_is_no_yaml_is_told_in_one_line(text: str) -> None:
    with pytest.raises(YamlError) as raised:
        list(events(text))
    assert str(raised.value)
    assert "\n" not in str(raised.value)


def run(script: str) -> list[str]:
    """Run a script in a Python of its own, and return the lines that it prints."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")


def test_the_rest_of_pyyaml_is_imported_when_it_is_asked_for() -> None:
    script = """
import sys
from dockfix.syntax.yaml_events import events, YamlError
assert len(list(events("a: 1"))) == 8
print("yaml.constructor" in sys.modules)
import yaml
print(yaml.safe_load("a: [1, *b]".replace("*b", "2")), yaml.__version__ != "", yaml.nodes.ScalarNode.__name__)
try:
    yaml.load("a: [", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
except yaml.YAMLError:
    print("caught")
from yaml.parser import ParserError
print(ParserError is yaml.parser.ParserError, type(yaml).__name__)
try:
    list(events("a: ["))
except YamlError:
    print("caught")
"""
    loaded, *rest = run(script)
    assert rest == ["{'a': [1, 2]} True ScalarNode", "caught", "True module", "caught", ""]
    import yaml

    assert loaded == ("False" if yaml.__with_libyaml__ else "True")


def test_pyyaml_that_is_there_already_serves() -> None:
    script = "import yaml; from dockfix.syntax.yaml_events import events; print(len(list(events('a: 1'))))"
    assert run(script) == ["8", ""]


def test_without_the_c_parser_the_other_one_serves() -> None:
    script = """
import sys
sys.modules["yaml._yaml"] = None
from dockfix.syntax.compose import read_yaml
from dockfix.syntax.yaml_tree import read_tree
print(read_yaml("a: {b: ~}").data, read_tree("a: 'b'").root.end, read_yaml("a: ["))
"""
    assert run(script) == ["{'a': {'b': None}} 6 None", ""]
