"""Find transforms: ours, those of installed packages, and single files.

A package of transforms registers itself in the entry point group ``dockfix.transforms``. Every module in it whose name
does not begin with an underscore is imported, and every ``Transform`` that it defines is taken.

``importlib.metadata`` costs more than the whole rest of start-up, so the group is read straight from the
``entry_points.txt`` of the distributions on ``sys.path``, which is where installers write it
(https://packaging.python.org/en/latest/specifications/entry-points/).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from dockfix.transform import Transform

GROUP: Final = "dockfix.transforms"
OWN_PACKAGE: Final = "dockfix_transforms"


class RegistryError(Exception):
    """A transform cannot be loaded, or does not exist. The message is for the user."""


def load_transforms(files: Iterable[str] = (), packages: Sequence[str] | None = None) -> tuple[Transform, ...]:
    """Return every transform, in the order in which they run: by phase, then by name.

    *files* are paths of Python files with transforms of one's own; *packages* replaces the installed packages.
    Raises ``RegistryError``.
    """
    found: dict[str, tuple[Transform, str]] = {}

    def take(module: ModuleType, origin: str) -> int:
        count = 0
        for value in vars(module).values():
            if not isinstance(value, Transform) or value.function.__module__ != module.__name__:
                continue
            count += 1
            other = found.setdefault(value.name, (value, origin))
            if other[0] is not value:
                raise RegistryError(f"two transforms have the name {value.name}: {other[1]} and {origin}; rename one")
        return count

    for package in packages if packages is not None else (OWN_PACKAGE, *_installed_packages()):
        for name in _module_names(package):
            take(_import(name), name)
    for path in files:
        if not take(_import_file(path), path):
            raise RegistryError(f"{path}: no transform in it; decorate a function with @transform(...)")
    return tuple(sorted((item[0] for item in found.values()), key=lambda item: (item.phase, item.name)))


def choose(
    transforms: Sequence[Transform], select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> tuple[Transform, ...]:
    """Return the transforms that *select* names (all where it is empty) without those that *ignore* names."""
    selected, ignored = frozenset(select), frozenset(ignore)
    names = {item.name for item in transforms}
    for name in sorted((selected | ignored) - names):
        raise RegistryError(unknown(name, names))
    return tuple(item for item in transforms if (not selected or item.name in selected) and item.name not in ignored)


def find(transforms: Sequence[Transform], name: str) -> Transform:
    """Return the transform of that name. Raises ``RegistryError``."""
    return choose(transforms, select=(name,))[0]


def unknown(name: str, names: Iterable[str]) -> str:
    """Return what is said of the *name* of a transform that is none of *names*."""
    from dockfix.hints import did_you_mean

    return f"unknown transform: {name}{did_you_mean(name, names)}; `dockfix list` shows what there is"


def _installed_packages() -> list[str]:
    """Return the packages that other distributions register in the group."""
    packages: list[str] = []
    for folder in dict.fromkeys(sys.path):
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in sorted(names):
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), encoding="utf-8", errors="replace") as file:
                    text = file.read()
            except OSError:
                continue
            if GROUP in text:
                packages += _group_values(text)
    return [name for name in dict.fromkeys(packages) if name != OWN_PACKAGE]


def _group_values(text: str) -> list[str]:
    values, inside = [], False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{GROUP}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            values.append(line.partition("=")[2].partition("[")[0].partition(":")[0].strip())
    return values


def _module_names(package: str) -> list[str]:
    module = _import(package)
    names: set[str] = set()
    for folder in getattr(module, "__path__", ()):
        try:
            entries = os.listdir(folder)
        except OSError:  # a package inside of an archive
            import pkgutil

            entries = [f"{item.name}.py" for item in pkgutil.iter_modules([folder])]
        names.update(entry[:-3] for entry in entries if entry.endswith(".py") and not entry.startswith("_"))
    if not hasattr(module, "__path__"):
        return [package]
    return [f"{package}.{name}" for name in sorted(names)]


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        raise RegistryError(f"cannot load the transforms in {name}: {_one_line(error)}") from error


def _import_file(path: str) -> ModuleType:
    """Import the file at *path* under a name of its own; ``sys.path`` stays as it is."""
    from importlib.util import module_from_spec, spec_from_file_location

    if not os.path.isfile(path):
        raise RegistryError(f"{path}: no such file; --transform takes a Python file")
    name = "dockfix_file_" + "".join(char if char.isalnum() else "_" for char in os.path.abspath(path))
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RegistryError(f"{path}: no Python file; --transform takes a file that ends in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = getattr(error, "lineno", None)
        raise RegistryError(f"{path}{f':{line}' if line else ''}: cannot be loaded: {_one_line(error)}") from error
    return module


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
