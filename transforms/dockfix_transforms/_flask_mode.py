"""Whether anything depends on the switches of Flask's development mode: FLASK_ENV and FLASK_DEBUG."""

from __future__ import annotations

import re
from typing import Final

from dockfix.build.model import Build
from dockfix.build.start import Start, start_of
from dockfix.syntax.patterns import pattern
from dockfix.transform import Skip

_DEVELOPMENT_FILE: Final = pattern(r"(?:^|[^a-z])(?:dev|devel|develop|development|debug|local|tests?)(?:[^a-z]|\Z)")
_READS: Final = (".py", ".sh", ".bash", ".toml", ".ini", ".cfg", ".conf")
_TESTS: Final = pattern(r"(?:^|/)tests?/|(?:^|/)(?:test_[^/]*|conftest)\.py\Z")
_ASKS: Final = pattern(
    r"\b(?:app|current_app|application)\.(?:debug|env)\b(?!\s*\(|\s*=[^=])"
    r"|\bconfig(?:\[['\"](?:DEBUG|ENV)['\"]\](?!\s*=[^=])|\.get\(['\"](?:DEBUG|ENV)['\"])"
)
_WITH_DEFAULT: Final = pattern(r"(?:getenv|environ\.get)\(\s*['\"]FLASK_DEBUG['\"]")
_ALL_OF_FLASK: Final = pattern(
    r"from_prefixed_env\(|\bFlaskDynaconf\(|(?:prefix\w*\s*[=(]|startswith\()\s*[\"'](?i:flask)"
)
"""What reads every variable whose name begins with ``FLASK_``."""
_DEVELOPMENT_SERVER: Final = pattern(r"\bflask\b.*\brun\b|\bpython[\d.]*\b.*\.py\b")


def depends_on_mode(build: Build, names: frozenset[str], debugs: bool) -> Skip | None:
    """Return what depends on the variables *names*, with its place; None where nothing does.

    *debugs* tells whether they switch the debug mode on. FLASK_DEBUG may be read where its absence is provided for.
    """
    if _DEVELOPMENT_FILE.search(build.path.rpartition("/")[2].lower()):
        return Skip("the Dockerfile's name says that the image is for development")
    for step in build.steps:
        if step.keyword == "ENV":
            continue
        text = step.instruction.value + "".join(heredoc.body for heredoc in step.instruction.heredocs)
        for name in names:
            if name in text:
                return Skip(f"this {step.keyword} names {name}", step.line)
    context = build.project.context
    code = [path for path in context.paths if path.endswith(_READS) and not _TESTS.search(path)]
    if not any(path.endswith(".py") for path in code):
        return Skip("the code, which may read it, is not among the files")
    for path in code:
        found = _reads(context.text(path) or "", path, names, debugs)
        if found is not None:
            return Skip(found[1], found[0], context.repository_path(path))
    return _named_in_compose(build, names) or _mounted(build)


def _named_in_compose(build: Build, names: frozenset[str]) -> Skip | None:
    """Return the compose service whose command reads one of the variables in the container."""
    for service in build.project.services:
        for said in (service.command, service.entrypoint, service.healthcheck):
            text = " ".join(said) if isinstance(said, tuple) else said or ""
            if any(name in text for name in names):
                return Skip(f"the command of {service.name} reads it", service.line, service.path)
    return None


def _reads(text: str, path: str, names: frozenset[str], debugs: bool) -> tuple[int, str] | None:
    """Return the line of *text* that depends on the variables, and how."""
    spellings = {name: (name, name.lower()) for name in names}
    if not any(one in text for some in spellings.values() for one in some) and not (
        (debugs and _ASKS.search(text)) or ("flask" in text.lower() and _ALL_OF_FLASK.search(text))
    ):
        return None
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*#", line):
            continue
        for name, some in spellings.items():
            if any(one in line for one in some) and not (name == "FLASK_DEBUG" and _WITH_DEFAULT.search(line)):
                return number, f"{name} is read here"
        if path.endswith(".py") and _ALL_OF_FLASK.search(line):
            return number, "every variable that begins with FLASK_ is read here"
        if debugs and path.endswith(".py") and _ASKS.search(line):
            return number, "the code asks here whether it is in debug mode"
    return None


def _mounted(build: Build) -> Skip | None:
    """Return the compose service that mounts the source over an image whose program is the development server."""
    start = start_of(build)
    text = " ".join(start.words) if isinstance(start, Start) else "" if start is None else start.text
    if start is not None and not _DEVELOPMENT_SERVER.search(text):
        return None
    workdir = build.final.workdir or "/"
    for service in build.project.services:
        for mount in service.mounts:
            if mount.bind and f"{workdir}/".startswith(f"{mount.target.rstrip('/')}/"):
                return Skip(
                    f"{service.name} mounts the source over the image, to develop in it", service.line, service.path
                )
    return None
