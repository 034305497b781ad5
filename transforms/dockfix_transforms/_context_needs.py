"""What of a build context somebody needs: the COPYs of every Dockerfile that shares it, its build, its code."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from dockfix.build.model import Build
from dockfix.project.disk import is_dockerfile_name
from dockfix.records import record
from dockfix.syntax.dockerignore import Expression, PatternError, compile_pattern
from dockfix.syntax.patterns import pattern

TEMPLATES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist")
"""Files in the shape of .env without its values."""
_MAX_SHARING: Final = 100
_MAX_CODE: Final = 1500
_COPY: Final = pattern(
    r"^[ \t]*(?:ONBUILD[ \t]+)?(?:COPY|ADD)[ \t]+((?:[^\n\\`]|[\\`][ \t]*\r?\n|[\\`])+)", re.I | re.M
)
_BIND: Final = pattern(r"--mount=(\S*type=bind\S*)")
_SOURCE: Final = pattern(r"(?:^|,)(?:source|src)=([^,\s]+)")
_TEST: Final = pattern(
    r"(?:^|/)(?:tests?|docs?|examples?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py\Z", words=("/", "test")
)
_LITERAL: Final = pattern(
    r"[\"'](?:[^\"'\n]{0,200}/)?(\.git|\.env[\w.]*|node_modules|htmlcov|Dockerfile[\w.]*|(?:docker-)?compose[\w.-]*\.ya?ml)[\"'/]",
    words=(".git", ".env", "node_modules", "htmlcov", "Dockerfile", "compose"),
)
_LOADER: Final = pattern(
    r"\b(?:load_dotenv|read_env|env_file|find_dotenv|from decouple|import decouple|from environs|import environs)\b"
)
_LOADER_OF_NODE: Final = pattern(r"[\"']dotenv(?:/config|-expand|-flow)?[\"']|\bloadEnvFile\(")
_ONLY_FILE: Final = pattern(r"\b(?:dotenv_values|RepositoryEnv|raise_error_if_not_found)\b")
_GIT_CODE: Final = pattern(
    r"^\s*(?:import|from)\s+(?:git|dulwich|pygit2)\b"
    r"|\bgit (?:-\S+ )*(?:rev-parse|describe|log|show|rev-list|status|tag)\b"
    r"|[\[(]\s*[\"']git[\"']\s*,|[\"']git -C ",
    re.M,
)


@record
class Needs:
    """``named`` are the paths and patterns that COPY, ADD and bind mounts name, with where they do."""

    named: tuple[tuple[str, str], ...]
    unknown: str | None
    """A reason where what COPY names cannot be told."""


@record
class Code:
    """What the Python code does with files. Each value is the place of the first such use."""

    literals: dict[str, str]
    loads_env: str | None
    opens_env: str | None
    uses_git: str | None
    too_much: bool


def needs_of(build: Build) -> Needs:
    """Return what the Dockerfile, and every other one that may share its context, takes from the context by name."""
    named: list[tuple[str, str]] = []
    for step in build.steps:
        text = step.instruction.value
        place = f"line {step.line}"
        if step.keyword == "ONBUILD":
            return Needs((), "an ONBUILD trigger may need any file of a later build's context")
        if step.keyword == "RUN" and step.instruction.flags:
            flags = " ".join(f"--mount={flag.value}" for flag in step.instruction.flags if flag.name == "mount")
            named += ((source, place) for source in _bound(flags))
        if step.keyword not in ("COPY", "ADD"):
            continue
        copy = step.copy
        unknown = copy is None or (copy.from_ is None and any(source.value is None for source in copy.sources))
        if copy is None or unknown:
            return Needs((), f"what {step.keyword} {text[:40]} brings cannot be told")
        if copy.from_ is None:
            values = (source.value for source in copy.sources)
            named += ((_clean(value), place) for value in values if value is not None and value not in copy.remote)
    context = build.project.context
    others = [path for path in context.paths if is_dockerfile_name(path.rpartition("/")[2])]
    if len(others) > _MAX_SHARING:
        return Needs((), "too many Dockerfiles may share the build context")
    for path in others:
        full = context.repository_path(path)
        if full != build.path:
            named += ((source, full) for source in _words(context.text(path) or ""))
    return Needs(tuple(named), None)


def _bound(text: str) -> Iterator[str]:
    for match in _BIND.finditer(text):
        if "from=" not in match.group(1):
            source = _SOURCE.search(match.group(1))
            yield _clean(source.group(1)) if source else ""


@lru_cache(maxsize=128)
def _words(text: str) -> tuple[str, ...]:
    """Return the sources that another Dockerfile names, destinations included: too many is safe here."""
    found: dict[str, None] = {}
    for match in _COPY.finditer(text):
        if "--from" not in match.group(1):
            for word in re.findall(r"[^\s\[\],\"'\\`]+", match.group(1)):
                if not word.startswith("--"):
                    found[_clean(word)] = None
    for source in _bound(text):
        found[source] = None
    return tuple(found)


def named_by(needs: Needs, build: Build, expression: Expression) -> tuple[list[str], str | None]:
    """Return the named paths inside a folder that *expression* hides, and where something hidden itself is named."""
    exceptions: list[str] = []
    context = build.project.context
    for source, place in needs.named:
        if not source or source == "*" or source.endswith("/*"):  # everything, by no name
            continue
        if "*" in source or "?" in source or "[" in source:
            try:
                glob = compile_pattern(source)
            except PatternError:
                return [], place
            if any(expression.match(path) and glob.match(path) for path in (*context.paths, ".env", ".git")):
                return [], place
        elif expression.match(source):
            parent = posixpath.dirname(source)
            if parent and expression.match(parent) and "$" not in source:
                exceptions.append(source)
            else:
                return [], place
        elif context.files.is_directory(context.repository_path(source)):
            below = [path for path in context.paths if path.startswith(f"{source}/")]
            if all(expression.match(path) for path in below):
                return [], place
    return list(dict.fromkeys(exceptions)), None


def code_of(build: Build) -> Code:
    """Return what the Python code in the context does with the files that an ignore file would hide."""
    context = build.project.context
    literals: dict[str, str] = {}
    loads = opens = git = None
    paths = [path for path in context.paths if path.endswith(".py") and not _TEST.search(path)]
    for path in paths[:_MAX_CODE]:
        text = context.text(path)
        if not text:
            continue
        if "env" in text or "decouple" in text:
            if _LOADER.search(text):
                loads = loads or path
            if _ONLY_FILE.search(text):
                opens = opens or path
        for match in _LITERAL.finditer(text):
            name = match.group(1)
            other = name.startswith(".env.") and name not in TEMPLATES
            if other or (name == ".env" and not _LOADER.search(text)):
                opens = opens or path
            literals.setdefault(name, path)
        if ("git" in text or "dulwich" in text) and _GIT_CODE.search(text):
            git = git or path
    for path in context.paths if loads is None else ():
        scripted = (
            path.endswith((".js", ".mjs", ".cjs", ".ts")) and not _TEST.search(path) and "node_modules/" not in path
        )
        if scripted and _LOADER_OF_NODE.search(context.text(path) or ""):
            loads = path
            break
    return Code(literals, loads, opens, git, len(paths) > _MAX_CODE)


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).strip("/")


def commands_of(build: Build) -> str:
    """Return the text of the instructions that run something or set what runs."""
    text = build.dockerfile.text
    kinds = ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ENV", "SHELL")
    return "\n".join(
        text[step.instruction.start : step.instruction.end] for step in build.steps if step.keyword in kinds
    )
