"""Which Debian packages are needed to build, and which to run: the table ``knowledge/debian_packages.toml``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

RELEASES = ("buster", "bullseye", "bookworm", "trixie")


@cache
def _table() -> dict[str, Any]:
    import tomllib

    return tomllib.loads((files(__package__) / "knowledge" / "debian_packages.toml").read_text("utf-8"))


@cache
def _build_only() -> frozenset[str]:
    return frozenset(_table()["build_only"])


def run_only(package: str) -> bool:
    """Return whether no build of a Python package uses *package*."""
    return re.split(r"[=:/]", package, maxsplit=1)[0] in _table()["run_only"]


def release_of(tag: str | None) -> str | None:
    """Return the Debian release that an image tag names, such as ``bookworm`` for ``3.12-slim-bookworm``."""
    return next((part for part in (tag or "").split("-") if part in RELEASES), None)


def runtime_packages(package: str, release: str | None) -> tuple[str, ...] | None:
    """Return what the final stage needs instead of *package*, as it stands in an ``apt-get install``.

    Empty for a package that only builds need; ``None`` for one that stays as it is: a run-time package, or one that
    the table does not know for this release.
    """
    name = re.split(r"[=:/]", package, maxsplit=1)[0]
    if name in _build_only() or re.fullmatch(
        r"(?:gcc|g\+\+|clang|python3\.\d+-dev|libpython3\.\d+-dev)(?:-\d+)?", name
    ):
        return ()
    known = _table()["headers"].get(name)
    if known is None:
        return None
    if isinstance(known, list):
        return tuple(known)
    if release in known:
        return tuple(known[release])
    values = list(known.values())
    if len(known) == 3 and all(value == values[0] for value in values):
        return tuple(values[0])
    return None
