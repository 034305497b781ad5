"""Which Python version a repository states, and where: the evidence behind pin-base."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix_transforms._python_images import python_in, python_tag, retired, versions

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from dockfix.syntax.compose import Value

_IN_PATHS: Final = pattern(r"\blib/python(3\.\d+)/")
_FILES: Final = (
    (".python-version", pattern(r"\A\s*(\S+)")),
    ("runtime.txt", pattern(r"\A\s*(python-\S+)")),
    (".tool-versions", pattern(r"^python[ \t]+(\S+)", re.MULTILINE)),
    ("Pipfile", pattern(r"^python_(?:full_)?version\s*=\s*[\"'](.+?)[\"']", re.MULTILINE)),
)
_REQUIRES: Final = (
    ("pyproject.toml", pattern(r"^requires-python\s*=\s*[\"'](.+?)[\"']", re.MULTILINE)),
    ("pyproject.toml", pattern(r"^python\s*=\s*(?:\{.*?version\s*=\s*)?[\"'](.+?)[\"']", re.MULTILINE)),
    ("setup.cfg", pattern(r"^python_requires\s*=\s*(.+?)\s*$", re.MULTILINE)),
    ("setup.py", pattern(r"python_requires\s*=\s*[\"'](.+?)[\"']")),
)
_CLASSIFIER: Final = pattern(r"Programming Language :: Python :: (3\.\d+)\b")
_TOX: Final = pattern(r"\bpy(?:thon)?3?\{?([\d,]+)\}?")
_TOX_LIST: Final = pattern(r"^env_?list\s*=((?:.*\n?)(?:[ \t]+\S.*\n?)*)", re.MULTILINE)
_WORKFLOW: Final = pattern(r"\.github/workflows/[^/]+\.ya?ml\Z")
_CARET: Final = pattern(r"\^\s*(\d+)(?:\.[\d.]*)?")
_TILDE: Final = pattern(r"(?<![=~])~(?!=)\s*(\d+)\.(\d+)[\d.]*")


@record
class Statement:
    """What the repository says: ``python`` such as "3.12", and where it says so, for the reader."""

    python: str
    where: str


def stated_version(build: Build) -> Statement | None:
    """Return the version that the repository states, the strongest evidence first; None where it states none.

    What says exactly one version comes first; then the newest version that the repository tests with or declares,
    among those that its requirement allows.
    """
    for statement in _exact(build):
        return statement
    allowed = allowed_versions(build)
    if len(allowed.versions) == 1:
        return Statement(allowed.versions[0], allowed.where)
    for found, where in _ranges(build):
        fitting = [version for version in found if version in allowed.versions]
        newest = max(fitting, key=_order, default=None)
        if newest is not None and not retired(newest):  # a list that nobody kept up tells nothing about the image
            return Statement(newest, where)
    return None


@record
class Allowed:
    """The versions that ``requires-python`` and its like allow, oldest first, and where that stands ("" nowhere)."""

    versions: tuple[str, ...]
    where: str = ""


def allowed_versions(build: Build) -> Allowed:
    """Return the known versions of Python 3 that the repository's requirement allows."""
    known = tuple(version for version in versions() if version.startswith("3."))
    for name, expression in _REQUIRES:
        for path, text in _texts(build, name):
            match = expression.search(text)
            specifiers = _specifiers(match[1]) if match else None
            if match and specifiers is not None:
                fitting = tuple(version for version in known if _allows(specifiers, version))
                return Allowed(fitting, f"{path}:{text.count(chr(10), 0, match.start()) + 1} requires {match[1]}")
    return Allowed(known)


def _exact(build: Build) -> Iterator[Statement]:
    for step in build.steps:
        match = _IN_PATHS.search(step.instruction.value) if step.keyword in ("COPY", "RUN", "ENV") else None
        if match:
            yield Statement(match[1], f"line {step.line} names {match.group().rstrip('/')}")
    for stage in build.stages:
        tag = python_tag(stage.image)
        if tag is not None and tag.major == 3 and tag.python:
            yield Statement(tag.python, f"line {stage.steps[0].line} has {stage.image}")
    for name, expression in _FILES:
        for path, text in _texts(build, name):
            match = expression.search(text)
            if match and (version := python_in(match[1])):
                yield Statement(version, f"{path} says {match[1]}")


def _ranges(build: Build) -> Iterator[tuple[list[str], str]]:
    """Yield the versions of a file that names several, and where."""
    context = build.project.context
    for path in sorted(build.project.files.paths):
        if _WORKFLOW.match(path):
            text = build.project.files.text(path) or ""
            if "python-version" in text and (not context.root or context.root in text):
                found = _workflow_versions(text)
                if found:
                    yield found, f"the newest that {path} tests with"
    for path, text in _texts(build, "tox.ini"):
        listed = _TOX_LIST.search(text)
        numbers = [number for match in _TOX.findall(listed[1] if listed else "") for number in match.split(",")]
        found = [f"3.{number.removeprefix('3')}" for number in numbers if number.removeprefix("3")]
        if found:
            yield found, f"the newest of {path}"
    for name in ("pyproject.toml", "setup.py", "setup.cfg"):
        for path, text in _texts(build, name):
            found = _CLASSIFIER.findall(text)
            if found:
                yield found, f"the newest that {path} declares"


def _workflow_versions(text: str) -> list[str]:
    """Return the versions that a workflow's jobs give as ``python-version``, in a matrix or to an action."""
    from dockfix.syntax.compose import read_yaml

    document = read_yaml(text)
    found: list[str] = []
    waiting: list[Value] = [document.data] if document else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting += value
        elif value is not None and not isinstance(value, str):
            for key, inner in value.items():
                if key in ("python-version", "python_version", "python", "python-versions"):
                    listed = inner if isinstance(inner, tuple) else (inner,)
                    found += [version for item in listed if isinstance(item, str) and (version := python_in(item))]
                waiting.append(inner)
    return found


def _texts(build: Build, name: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of the files called *name* in the build context, the Dockerfile's folder and the root."""
    context = build.project.context
    for folder in dict.fromkeys((context.root, posixpath.dirname(build.path), "")):
        path = posixpath.join(folder, name)
        text = build.project.files.text(path)
        if text is not None:
            yield path, text


def _specifiers(text: str) -> SpecifierSet | None:
    """Return the specifiers of PEP 440 or of Poetry; None for what is neither."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = _CARET.sub(lambda match: f">={match.group()[1:].strip()},<{int(match[1]) + 1}", text)
    text = _TILDE.sub(lambda match: f"=={match[1]}.{match[2]}.*", text)
    if re.fullmatch(r"\s*\d[\d.]*(?:\.\*)?\s*", text):
        text = f"=={text.strip().removesuffix('.*')}" + (".*" if text.count(".") == 1 else "")
    try:
        return SpecifierSet(text.replace(" ", ""))
    except InvalidSpecifier:
        return None


def _allows(specifiers: SpecifierSet, version: str) -> bool:
    named = [item.version for item in specifiers if item.version.startswith(f"{version}.") and "*" not in item.version]
    return any(specifiers.contains(one) for one in (f"{version}.0", f"{version}.99", *named))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
