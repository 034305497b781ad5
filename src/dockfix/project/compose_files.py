"""Which compose files are read together: overrides, lists of ``-f``, ``include`` and ``extends``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

from dockfix.project.files import Files
from dockfix.project.invocations import as_stated, candidates, default_of, inside
from dockfix.syntax.compose import Value, read_yaml
from dockfix.syntax.patterns import pattern

_MOST_BESIDE: Final = 40
"""Where a folder has more compose files than these, they are examples, not parts of one project."""
_TELLS: Final = pattern(r"(?:[\w.-]+/)?(?:README(?:\.\w+)?|\.env(?:\.\w+)?)\Z")
_COMMAND: Final = pattern(r"compose[ \t]+(?:-[^\n|;&]*[ \t])?(?:-f|--file)[ \t=][^\n|;&]*")
_FILE_OPTION: Final = pattern(r"(?:^|[ \t])(?:-f|--file)(?:[ \t]+|=)[\"']?([^\s\"'`]+)")
_COMPOSE_FILE: Final = pattern(r"\bCOMPOSE_FILE[ \t]*[=:][ \t]*[\"']?([\w./:;-]+)")
_JOINED: Final = pattern(r"\\\r?\n")

# What was found once for a repository. The entries end with their repository.
_OVERLAYS: Final[WeakKeyDictionary[Files, dict[str, tuple[str, ...]]]] = WeakKeyDictionary()
_FOLDERS: Final[WeakKeyDictionary[Files, Mapping[str, tuple[str, ...]]]] = WeakKeyDictionary()
_LISTS: Final[WeakKeyDictionary[Files, tuple[tuple[str, ...], ...]]] = WeakKeyDictionary()


def services_of(files: Files, path: str) -> Mapping[str, Mapping[str, Value]]:
    """Return the services of a compose file as it states them, merges (``<<``) resolved; none where it has none."""
    text = files.text(path)
    document = read_yaml(text) if text else None
    services = document.data.get("services") if document else None
    if not isinstance(services, Mapping):
        return {}
    return {name: one for name, one in services.items() if isinstance(one, Mapping)}


def overlays(files: Files, path: str) -> tuple[str, ...]:
    """Return the compose files that are laid over the one at *path*.

    It is said by their name (``compose.override.yaml``), by the order of ``-f`` in scripts and documentation or of
    ``COMPOSE_FILE``, or because a service of the same name has neither image nor build in them.
    """
    files = as_stated(files)
    known = _OVERLAYS.setdefault(files, {})
    if path not in known:
        known[path] = tuple(dict.fromkeys(other for other in _find_overlays(files, path) if other != path))
    return known[path]


def _find_overlays(files: Files, path: str) -> Iterator[str]:
    folder, name = posixpath.split(path)
    beside = _folders(files).get(folder, ())
    override = f"{name.rpartition('.')[0]}.override"
    for other in beside:
        named = posixpath.basename(other).rpartition(".")[0] == override
        if other != path and (
            named or (len(beside) <= _MOST_BESIDE and _completes(services_of(files, other), services_of(files, path)))
        ):
            yield other
    for one in _lists(files):
        if path in one:
            yield from one[one.index(path) + 1 :]


def used_with(files: Files, path: str) -> tuple[str, ...]:
    """Return the other compose files that compose may read together with the one at *path*.

    These are the files laid over it, those that it is laid over, and what ``include`` and ``extends`` name, both ways.
    """
    found = [*overlays(files, path), *_referred(files, path)]
    for other, kind in candidates(files):
        if kind == "compose" and other != path and other not in found:
            near = posixpath.dirname(other) == posixpath.dirname(path) or any(path in one for one in _lists(files))
            named = posixpath.basename(path) in (files.text(other) or "")
            if (near and path in overlays(files, other)) or (named and path in _referred(files, other)):
                found.append(other)
    return tuple(dict.fromkeys(found))


def included(files: Files, path: str) -> tuple[str, ...]:
    """Return the files of the repository that ``include`` names."""
    text = files.text(path)
    document = read_yaml(text) if text and "include" in text else None
    items = document.data.get("include") if document else None
    found: list[str] = []
    for item in items if isinstance(items, tuple) else ():
        paths = item.get("path") if isinstance(item, Mapping) else item
        found += _existing(files, path, *(paths if isinstance(paths, tuple) else (paths,)))
    return tuple(found)


def _referred(files: Files, path: str) -> tuple[str, ...]:
    """Return the files that ``include`` and ``extends`` name."""
    found = list(included(files, path))
    for service in services_of(files, path).values():
        extends = service.get("extends")
        if isinstance(extends, Mapping):
            found += _existing(files, path, extends.get("file"))
    return tuple(found)


def _existing(files: Files, path: str, *names: Value) -> Iterator[str]:
    for name in names:
        at = inside(posixpath.dirname(path), default_of(name)) if isinstance(name, str) else None
        if at is not None and at in files.paths:
            yield at


def _folders(files: Files) -> Mapping[str, tuple[str, ...]]:
    """Return the compose files of each folder."""
    files = as_stated(files)
    known = _FOLDERS.get(files)
    if known is None:
        folders: dict[str, list[str]] = {}
        for path, kind in candidates(files):
            if kind == "compose":
                folders.setdefault(posixpath.dirname(path), []).append(path)
        known = _FOLDERS[files] = {name: tuple(paths) for name, paths in folders.items()}
    return known


def _completes(above: Mapping[str, Mapping[str, Value]], below: Mapping[str, Mapping[str, Value]]) -> bool:
    """Whether *above* leaves it to *below* where the image of a service comes from, and never the reverse."""
    both = [(_complete(above[name]), _complete(below[name])) for name in above if name in below]
    return (False, True) in both and (True, False) not in both


def _complete(service: Mapping[str, Value]) -> bool:
    return not {"image", "build", "extends"}.isdisjoint(service)


def _lists(files: Files) -> tuple[tuple[str, ...], ...]:
    """Return the compose files that one command or ``COMPOSE_FILE`` names, in order, for each that names several."""
    files = as_stated(files)
    known = _LISTS.get(files)
    if known is None:
        known = _LISTS[files] = tuple(_read_lists(files))
    return known


def _read_lists(files: Files) -> Iterator[tuple[str, ...]]:
    paths = [path for path, kind in candidates(files) if kind in ("make", "script", "workflow")]
    for path in (*paths, *sorted(path for path in files.paths if _TELLS.match(path))):
        for names in _names_in(files.text(path) or ""):
            for folder in dict.fromkeys((posixpath.dirname(path), "")):
                found = [inside(folder, name) or "" for name in names]
                if all(one in files.paths for one in found):
                    yield tuple(found)
                    break


@lru_cache(maxsize=1000)
def _names_in(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the compose files that the commands and settings in *text* name, where they name several."""
    if "compose" not in text and "COMPOSE_FILE" not in text:
        return ()
    found = [tuple(_FILE_OPTION.findall(match[0])) for match in _COMMAND.finditer(_JOINED.sub(" ", text))]
    found += [tuple(re.split(r"[:;]", match[1])) for match in _COMPOSE_FILE.finditer(text)]
    return tuple(names for names in found if len(names) > 1)
