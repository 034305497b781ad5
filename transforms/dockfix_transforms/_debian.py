"""Which Debian packages are needed to build, and which to run: the table ``knowledge/debian_packages.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from dockfix.records import record
from dockfix_transforms._knowledge import table

RELEASES = ("buster", "bullseye", "bookworm", "trixie")


def _table() -> Mapping[str, Any]:
    return table("debian_packages")


def _name(package: str) -> str:
    """Return the name of *package* as it stands in an ``apt-get install``, without version and architecture."""
    return re.split(r"[=:/]", package, maxsplit=1)[0]


def build_only(package: str) -> bool:
    """Return whether *package* is a compiler or a build tool: nothing of it is needed at run time."""
    return _name(package) in _table()["build_only"] or bool(
        re.fullmatch(r"(?:gcc|g\+\+|clang|python3\.\d+-dev|libpython3\.\d+-dev)(?:-\d+)?", _name(package))
    )


def run_only(package: str) -> bool:
    """Return whether no build of a Python package uses *package*."""
    return _name(package) in _table()["run_only"]


def release_of(tag: str | None) -> str | None:
    """Return the Debian release that an image tag names, such as ``bookworm`` for ``3.12-slim-bookworm``.

    For a tag of the Python image that names none these are the releases that it has had lately, oldest first and with
    a space between: ``bookworm trixie`` for ``3.12-slim``. None where that is not known.
    """
    stated = next((part for part in (tag or "").split("-") if part in RELEASES), None)
    if stated is not None:
        return stated
    from dockfix_transforms._python_images import parse_tag

    parsed = parse_tag(tag or "latest")
    return " ".join(parsed.releases) or None if parsed is not None else None


def _old_name(library: str) -> str:
    return re.sub(r"t64(?=-|\Z)", "", library)


def _agreed(names: Mapping[str, Any], release: str | None) -> Any:
    """Return what *names* gives for every one of the releases, None where they differ or one is missing.

    ``libpng16-16t64`` is found by the name ``libpng16-16`` too, which it provides since Debian changed the width of
    ``time_t`` (https://wiki.debian.org/ReleaseGoals/64bit-time).
    """
    found = [names.get(one) for one in (release or "").split()]
    if not found or any(value is None for value in found):
        return None

    def old(value: Any) -> Any:
        return _old_name(value) if isinstance(value, str) else [old(item) for item in value]

    return found[0] if all(old(value) == old(found[0]) for value in found) else None


def runtime_packages(package: str, release: str | None) -> tuple[str, ...] | None:
    """Return what the final stage needs instead of *package*, as it stands in an ``apt-get install``.

    *release* is what ``release_of`` gives. Empty for a package that only builds need, and for headers of a library that
    every Python image has; ``None`` for one that stays as it is: a run-time package, or one that the table does not
    know for this release.
    """
    if build_only(package):
        return ()
    known = _table()["headers"].get(_name(package))
    if isinstance(known, dict):
        values = list(known.values())
        same = len(known) == 3 and all(value == values[0] for value in values)
        known = values[0] if same else _agreed(known, release)
    return None if known is None else tuple(name for name in known if not in_slim_image(name))


def library(name: str, release: str | None) -> str | None:
    """Return Debian's name of a library of the table in *release*, None where the releases differ.

    It is "" where the release has no such library, and needs none.
    """
    known = _table()["libraries"].get(name)
    if known is None:
        return name
    agreed = _agreed(known, release)
    return None if agreed is None else str(agreed)


@record
class Needs:
    """What a Python package takes beside pip, by Debian's names or those of the table's libraries.

    ``build`` is what a build from source needs, None where that is not known; ``run`` what is loaded or called when
    the program runs. ``sdist`` tells that there are no wheels; ``hold`` is why the needs cannot be told. ``known_from``
    is the release from which all that holds, "" for every one.
    """

    build: tuple[str, ...] | None = None
    run: tuple[str, ...] = ()
    sdist: bool = False
    hold: str = ""
    known_from: str = ""


@cache
def needs_of(distribution: str) -> Needs | None:
    """Return what the table says of a Python package (its name normalised by PEP 503), None where it says nothing."""
    found = _table()["python"].get(distribution)
    if found is None:
        return None
    build = found.get("build")
    return Needs(
        None if build is None else tuple(build),
        tuple(found.get("run", ())),
        bool(found.get("sdist", False)),
        str(found.get("hold", "")),
        str(found.get("from", "")),
    )


@cache
def commands_of_full_images() -> Mapping[str, str]:
    """Return the commands that only the full Python images have, and the package of each."""
    return {command: package for package, commands in _table()["commands"].items() for command in commands}


def in_full_image(name: str) -> bool:
    """Return whether the full Python images have the library or program *name* of the table, which slim ones lack."""
    return _old_name(name) in _table()["full_image"]


def modules() -> Mapping[str, Sequence[str]]:
    """Return the modules of Python that load what slim images lack, and the packages that have it."""
    found: Mapping[str, Sequence[str]] = _table()["modules"]
    return found


def installed_by_apt(packages: Iterable[str]) -> frozenset[str]:
    """Return the names of the Debian *packages* with the libraries that their headers depend on, in any release."""
    found: set[str] = set()
    headers = _table()["headers"]
    for package in packages:
        name = _name(package)
        found.add(name)
        known = headers.get(name, ())
        for listed in known.values() if isinstance(known, dict) else (known,):
            found.update(listed)
    return frozenset(found)


def apt_install(packages: Iterable[str], keyword: str, newline: str) -> str:
    """Return the instruction that installs Debian *packages* and leaves neither lists nor recommended packages."""
    return (
        f"{keyword} apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)} "
        f"&& rm -rf /var/lib/apt/lists/*{newline}"
    )


def in_slim_image(package: str) -> bool:
    """Return whether the slim Python images have the Debian *package* as well."""
    return package in _table()["slim_image"]
