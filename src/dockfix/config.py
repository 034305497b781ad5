"""Configuration: ``[tool.dockfix]`` in pyproject.toml, or dockfix.toml, at the root of the repository.

::

    [tool.dockfix]
    select = ["multi-stage"]      # only these transforms
    ignore = ["non-root"]         # all but these
    safe-only = true

    [tool.dockfix.multi-stage]    # options of one transform
    style = "venv"

dockfix.toml holds the same without ``tool.dockfix``. What is unknown is an error, so that a typing mistake does not
pass for a setting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dockfix.records import record
from dockfix.transform import Transform


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
        for name in (*self.select, *self.ignore, *self.options):
            if name not in known:
                raise ConfigError(f"{self.path}: unknown transform or key: {name}; `dockfix list` shows what there is")
        for name, options in self.options.items():
            for key, value in options.items():
                if key not in known[name].options:
                    there = ", ".join(known[name].options) or "none"
                    raise ConfigError(f"{self.path}: unknown option: {name}.{key}; there are: {there}")
                default = known[name].options[key]
                if default is not None and type(value) is not type(default):
                    raise ConfigError(
                        f"{self.path}: {name}.{key} must be a {type(default).__name__}, not {type(value).__name__}"
                    )


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
    except ValueError as error:
        raise ConfigError(f"{path}: is no TOML: {error}") from error
    if project:
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
                raise ConfigError(f"{path}: {key} must be a list of names of transforms")
            case "safe-only", _:
                raise ConfigError(f"{path}: safe-only must be true or false")
            case _, dict():
                options[key] = value
            case _:
                raise ConfigError(
                    f"{path}: unknown key: {key}; there are select, ignore, safe-only and tables named for a transform"
                )
    return Config(select, ignore, safe_only, options, path)
