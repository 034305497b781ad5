"""Configuration: ``[tool.dockfix]`` in pyproject.toml, or dockfix.toml, at the root of the repository.

::

    [tool.dockfix]
    select = ["multi-stage"]      # only these transforms
    ignore = ["non-root-user"]    # all but these
    safe-only = true

    [tool.dockfix.multi-stage]    # options of one transform
    style = "venv"

dockfix.toml holds the same, without ``tool.dockfix`` or with it. What is unknown is an error, so that a typing mistake
does not pass for a setting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from dockfix.records import record
from dockfix.registry import unknown
from dockfix.transform import Transform

_KEYS: Final = ("select", "ignore", "safe-only")


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file and is for the user."""


@record
class Config:
    """What a repository asks for. ``path`` is the file that says so, or ""."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    safe_only: bool = False
    options: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    path: str = ""

    def check(self, transforms: Iterable[Transform]) -> None:
        """Raise ``ConfigError`` where a transform or an option does not exist or has a value of another type."""
        known = {item.name: item for item in transforms}
        for key, names in (("select", self.select), ("ignore", self.ignore)):
            for name in names:
                if name not in known:
                    raise ConfigError(f"{_place(self.path, key)}: {unknown(name, known)}")
        for name, options in self.options.items():
            if name not in known:
                raise ConfigError(f"{_place(self.path, name)}: {unknown(name, (*known, *_KEYS))}")
            for key, value in options.items():
                if key not in known[name].options:
                    there = ", ".join(known[name].options) or "none"
                    meant = _meant(key, known[name].options)
                    place = _place(self.path, f"{name}.{key}")
                    raise ConfigError(f"{place}: unknown option: {name}.{key}{meant}; there are: {there}")
                default, choices = known[name].options[key], known[name].choices.get(key)
                if choices and value not in choices:
                    wanted = f"one of {', '.join(map(repr, choices))}, not {value!r}"
                elif default is not None and type(value) is not type(default):
                    wanted = f"a {type(default).__name__}, not {type(value).__name__}"
                else:
                    continue
                raise ConfigError(f"{_place(self.path, f'{name}.{key}')}: {name}.{key} must be {wanted}")


def load_config(root: str, path: str | None = None) -> Config:
    """Return the configuration of the repository at *root*, or the one in the file *path*. Raises ``ConfigError``."""
    if path is not None:
        return _read(path, required=True)
    own = os.path.join(root, "dockfix.toml")
    return _read(own if os.path.isfile(own) else os.path.join(root, "pyproject.toml"), required=False)


def _read(path: str, *, required: bool) -> Config:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        if required:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        return Config()
    project = os.path.basename(path) == "pyproject.toml"
    if project and b"dockfix" not in data:
        if required:
            raise ConfigError(f"{path}: holds no [tool.dockfix]")
        return Config()
    import tomllib

    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8, which TOML has to be") from error
    except ValueError as error:
        raise ConfigError(_not_toml(path, str(error))) from error
    if project or table.keys() == {"tool"}:
        tool = table.get("tool")
        table = tool.get("dockfix", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.dockfix must be a table")
    return _config(table, path)


def _config(table: Mapping[str, object], path: str) -> Config:
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    safe_only = False
    options: dict[str, Mapping[str, object]] = {}
    for key, value in table.items():
        match key, value:
            case "select", list() if all(isinstance(item, str) for item in value):
                select = tuple(value)
            case "ignore", list() if all(isinstance(item, str) for item in value):
                ignore = tuple(value)
            case "safe-only", bool():
                safe_only = value
            case "select" | "ignore", _:
                raise ConfigError(f"{_place(path, key)}: {key} must be a list of names of transforms")
            case "safe-only", _:
                raise ConfigError(f"{_place(path, key)}: safe-only must be true or false")
            case _, dict():
                options[key] = value
            case _:
                raise ConfigError(
                    f"{_place(path, key)}: unknown key: {key}{_meant(key, _KEYS)}; "
                    "there are select, ignore, safe-only and tables named for a transform"
                )
    return Config(select, ignore, safe_only, options, path)


def _not_toml(path: str, error: str) -> str:
    """Return what is said where tomllib says *error*, the line in its place."""
    import re

    found = re.search(r" \(at line (\d+), column \d+\)", error)
    if found is None:
        return f"{path}: is no TOML: {error}"
    return f"{path}:{found[1]}: is no TOML: {error[: found.start()]}"


def _place(path: str, key: str) -> str:
    """Return *path* with the line in which *key* is set, where it can be told."""
    from dockfix.hints import line_of

    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, ValueError):
        return path
    line = line_of(text, f"tool.dockfix.{key}") or (line_of(text, key) if "tool.dockfix" not in text else 0)
    return f"{path}:{line}" if line else path


def _meant(key: str, keys: Iterable[str]) -> str:
    from dockfix.hints import did_you_mean

    return did_you_mean(key, keys)
