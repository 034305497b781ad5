"""The events of a YAML text, from PyYAML's C parser without the rest of PyYAML.

``import yaml`` takes 8 ms, more than a bare Python takes to start: most of it goes into regular expressions and type
tables of what makes Python objects out of YAML. Its C parser needs the classes of events and errors alone, 1 ms. So
``yaml`` is put in its place as a package that runs its own ``__init__`` when something asks it for more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, Final

_ERRORS: Final = {
    name: f"{name.capitalize()}Error"
    for name in ("reader", "scanner", "parser", "composer", "constructor", "emitter", "serializer", "representer")
}


class YamlError(ValueError):
    """The text is no YAML. The message is one line, with the line of the text."""


def events(text: str) -> Iterator[Any]:
    """Return the parser's ``yaml.events.Event``s. Their marks count from the first character behind a byte order mark.

    Import the classes of ``yaml.events`` after the call: it sees to it that they come alone. Reading the events raises
    ``YamlError``.
    """
    return _read(text.removeprefix("\ufeff"), *_parser())


def _read(text: str, new_parser: Any, error: type[Exception]) -> Iterator[Any]:
    try:
        parser = new_parser(text)
        while (event := parser.get_event()) is not None:
            yield event
    except (error, UnicodeError) as problem:
        marked = hasattr(problem, "problem_mark")  # of the others the last argument is the reason
        raise YamlError(" ".join(str(problem if marked else problem.args[-1]).split())) from problem


@cache
def _parser() -> tuple[Any, type[Exception]]:
    """Return what makes a parser of a text, and what it raises."""
    if "yaml" not in sys.modules:
        try:
            return _c_parser()
        except Exception:  # another release, or one without the C parser
            for name in [name for name in sys.modules if name.partition(".")[0] == "yaml"]:
                del sys.modules[name]
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError


class _Package(ModuleType):
    """The package ``yaml`` before its ``__init__`` has run."""

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _c_parser() -> tuple[Any, type[Exception]]:
    from importlib import import_module
    from importlib.util import find_spec, module_from_spec

    spec = find_spec("yaml")
    if spec is None:
        raise ImportError("yaml")
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules["yaml"] = package
    error = import_module("yaml.error")
    for name in ("tokens", "events", "nodes"):
        import_module(f"yaml.{name}")
    for name, kind in _ERRORS.items():  # the modules that define what the C parser may raise
        stand_in = ModuleType(f"yaml.{name}")
        base = error.YAMLError if name == "reader" else error.MarkedYAMLError
        setattr(stand_in, kind, type(kind, (base,), {}))
        setattr(package, name, stand_in)
    try:
        return import_module("yaml._yaml").CParser, error.YAMLError
    finally:
        for name in _ERRORS:
            delattr(package, name)
