"""Compare what is in the images: the Python packages, and the application's files."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from dockfix.verify.image import Image, Package
from dockfix.verify.result import Row, Verdict

_TOOLS: Final = frozenset(
    """
    pip setuptools wheel poetry poetry-core poetry-plugin-export pipenv pip-tools uv virtualenv pipx build hatch
    hatchling flit flit-core pdm pdm-backend setuptools-scm cython ensurepip distribute conda mamba
    """.split()  # noqa: SIM905
)
"""What installs or builds packages; a final stage can do without."""
_MANIFESTS: Final = frozenset(
    """
    pyproject.toml poetry.lock Pipfile Pipfile.lock uv.lock pdm.lock setup.cfg environment.yml package.json
    package-lock.json yarn.lock
    """.split()  # noqa: SIM905
)
_MOST_SHOWN: Final = 12


def packages_row(before: Image, after: Image) -> Row:
    """Return the row of the Python packages: only build tools, and what only they need, may be lost or changed."""
    old, new = before.packages, after.packages
    if old is None or new is None:
        if old is not None:
            return Row("packages", str(len(old)), "no Python any more", Verdict.WORSE)
        return Row("packages", "no Python", "no Python" if new is None else str(len(new)), Verdict.SAME)
    lost = [name for name in old if name not in new]
    tools = set(lost) & _for_tools_only(old)
    worse = [f"lost: {name} {old[name].version}" for name in lost if name not in tools]
    details = [f"build tools left behind: {_listed(sorted(tools))}"] if tools else []
    for name in old:
        if name in new and old[name].version != new[name].version:
            text = f"{name} {old[name].version} → {new[name].version}"
            (details if name in _TOOLS else worse).append(text)
    added = sorted(name for name in new if name not in old)
    if added:
        details.append(f"added: {_listed([f'{name} {new[name].version}' for name in added])}")
    verdict = Verdict.WORSE if worse else Verdict.INTENDED if details else Verdict.SAME
    return Row("packages", str(len(old)), str(len(new)), verdict, (*worse, *details))


def _for_tools_only(packages: Mapping[str, Package]) -> set[str]:
    """Return the build tools, and the packages that are there for their sake alone."""
    tools = _reached(packages, [name for name in packages if name in _TOOLS])
    needed_by_others: dict[str, set[str]] = {}
    for name, package in packages.items():
        for other in package.requires:
            needed_by_others.setdefault(other, set()).add(name)
    roots = [name for name in packages if name not in tools]
    return tools - (_reached(packages, roots) - _TOOLS)


def _reached(packages: Mapping[str, Package], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found and name in packages:
            found.add(name)
            pending += packages[name].requires
    return found


def files_row(before: Image, after: Image, hidden: Sequence[str], changed: Collection[str]) -> Row:
    """Return the row of the application's files. *hidden*: kept out by the ignore file; *changed*: by dockfix."""
    old, new = before.files, after.files
    if old is None or new is None:
        return Row("files", "too many to compare", "", Verdict.UNPROVED)
    away = set(hidden)
    lost = [path for path in old if path not in new]
    worse = [path for path in lost if path not in away and not _manifest(path) and not _only_hidden(path, old, away)]
    worse = [path for path in worse if old[path] or not any(one.startswith(f"{path}/") for one in worse)]
    manifests = [path for path in lost if path not in away and _manifest(path)]
    details = []
    if hidden_files := sorted(path for path in lost if path in away and old[path]):
        details.append(f"hidden by the ignore file: {_listed(_grouped(hidden_files))}")
    if manifests:
        details.append(f"in the builder only: {_listed(manifests)}")
    stripped = [path for path in old if old[path].endswith(" executable") and path in new and _plain(new[path])]
    others = [
        path
        for path in old
        if path in new and old[path].split(" ")[0] != new[path].split(" ")[0] and path not in changed
    ]
    if others:
        details.append(f"other content, made by the build: {_listed(others)}")
    bad = [f"lost: {_listed(worse)}"] if worse else []
    if stripped:
        bad.append(f"not executable any more: {_listed(stripped)}")
    verdict = Verdict.WORSE if bad else Verdict.INTENDED if details else Verdict.SAME
    first, second = (str(sum(1 for kind in listed.values() if kind)) for listed in (old, new))
    return Row("files", first, second, verdict, (*bad, *details))


def _plain(kind: str) -> bool:
    return bool(kind) and not kind.startswith("->") and not kind.endswith(" executable")


def _manifest(path: str) -> bool:
    name = posixpath.basename(path)
    return name in _MANIFESTS or (name.startswith("requirements") and name.endswith((".txt", ".in")))


def _only_hidden(path: str, old: Mapping[str, str], away: Collection[str]) -> bool:
    """Whether *path* is a folder of which the ignore file hides all."""
    if old[path]:
        return False
    inside = [one for one in old if one.startswith(f"{path}/") and old[one]]
    return bool(inside) and all(one in away or _manifest(one) for one in inside)


def _grouped(paths: Sequence[str]) -> list[str]:
    """Return the paths with those below a folder of many counted together."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split("/")
        groups.setdefault("/".join(parts[:3]) if len(parts) > 3 else path, []).append(path)
    return [f"{name}/ ({len(group)} files)" if len(group) > 1 else group[0] for name, group in groups.items()]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
