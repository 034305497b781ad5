"""Whether pip finds a wheel for a Python package, or builds it: ``knowledge/python_packages.toml``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from dockfix.syntax.patterns import pattern
from dockfix_transforms._debian import needs_of
from dockfix_transforms._knowledge import table

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

Verdict = Literal["wheel", "source", "unknown"]
_WHEEL: Final = pattern(r".*-([\w.]+)-([\w.]+)-([\w.]+)\.whl\Z")
_ABI3: Final = pattern(r"cp3(\d+)\Z")
_MACHINES: Final = ("x86_64", "aarch64")


def by_files(files: Iterable[str], python: str) -> Verdict:
    """Return whether one of a release's *files* is a wheel that *python* (such as "3.12") takes on every machine.

    These are the processors that images are built for everywhere: those of servers and those of Apple's computers.
    """
    minor = int(python.partition(".")[2])
    found: set[str] = set()
    for name in files:
        match = _WHEEL.match(name)
        if not match or not _takes(match[1].split("."), match[2].split("."), minor):
            continue
        for platform in match[3].split("."):
            if platform == "any":
                return "wheel"
            if platform.startswith("manylinux"):
                found.update(machine for machine in _MACHINES if platform.endswith(machine))
    return "wheel" if found.issuperset(_MACHINES) else "source"


def _takes(pythons: list[str], abis: list[str], minor: int) -> bool:
    if "none" in abis:
        return any(tag in ("py3", f"cp3{minor}") for tag in pythons)
    if "abi3" in abis:
        return any((match := _ABI3.match(tag)) is not None and int(match[1]) <= minor for tag in pythons)
    return f"cp3{minor}" in pythons and any(abi in (f"cp3{minor}", f"cp3{minor}m") for abi in abis)


def by_table(distribution: str, specifier: str, python: str) -> Verdict:
    """Return what pip does on Linux for a *distribution* (its name normalised by PEP 503) and a version *specifier*."""
    needs = needs_of(distribution)
    if needs is not None and needs.sdist:
        return "source"
    known = table("python_packages")
    if distribution in _pure() or distribution.startswith("types-"):
        return "wheel"
    below = known["pure_below"].get(distribution)
    if below is not None and specifier and _newest_below(specifier, below):
        return "wheel"
    listed = known["wheels"].get(distribution)
    if listed is None:
        # what only needs a library or a command when it runs has been looked at as well
        return "wheel" if needs is not None and needs.build is None and needs.run else "unknown"
    first = listed.get(python, listed.get("any"))
    if first is None:
        return "source"
    return "wheel" if reaches(specifier, first) else "source"


@cache
def _pure() -> frozenset[str]:
    return frozenset(table("python_packages")["pure"])


def reaches(specifier: str, first: str) -> bool:
    """Return whether the newest version that *specifier* allows is *first* or a later one, as far as it tells."""
    from packaging.version import Version

    found = _specifiers(specifier)
    if found is None:
        return False
    named = [first, *(item.version.removesuffix(".*") for item in found if item.operator not in ("!=", "<", ">"))]
    newest = Version(first)
    return any(
        version >= newest and found.contains(version, prereleases=True)
        for version in (_version(name) for name in named)
        if version is not None
    )


def _newest_below(specifier: str, limit: str) -> bool:
    """Return whether every version that *specifier* allows is older than *limit*."""
    from packaging.version import Version

    found = _specifiers(specifier)
    border = Version(limit)
    return found is not None and any(
        item.operator in ("==", "===", "~=", "<", "<=")
        and (version := _version(item.version.removesuffix(".*"))) is not None
        and (version < border or (item.operator == "<" and version == border))
        for item in found
    )


def _specifiers(text: str) -> SpecifierSet | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def _version(text: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return None
