"""Where a repository says how an image is built: compose and bake files, Makefiles, scripts, CI workflows."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from dockfix.project.files import Files
from dockfix.records import record, replace
from dockfix.syntax.compose import Value, read_yaml
from dockfix.syntax.patterns import pattern

_CANDIDATE: Final = pattern(
    r"""(?:.*/)?(?:
    (?P<compose>(?:docker-)?compose[^/]*\.ya?ml)
  | (?P<bake>docker-bake[^/]*\.(?:hcl|json))
  | (?P<make>(?:GNU)?[Mm]akefile|[^/]*\.mk|[Jj]ustfile)
  | (?P<script>[^/]*\.(?:sh|bash))
)\Z|(?P<workflow>\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.ya?ml|\.circleci/config\.ya?ml)\Z""",
    re.VERBOSE,
)
_ENDINGS: Final = (".yml", ".yaml", ".hcl", ".json", "akefile", ".mk", "ustfile", ".sh", ".bash")
_STATES: Final = pattern(
    r"(?:.*/)?(?:.*\.(?:ya?ml|hcl|json|sh|bash|mk)|(?:GNU)?[Mm]akefile|[Jj]ustfile|README.*|\.env.*)\Z",
    words=(".y", ".hcl", ".json", ".sh", ".bash", ".mk", "akefile", "ustfile", "README", ".env"),
)
_DEFAULT_FILE: Final = pattern(r"(?:\A|/)(?:docker-)?compose\.ya?ml\Z")
_MAX_DEPTH: Final = 3
"""Folders between the root and a file that says how something elsewhere is built; beside a Dockerfile any number."""
_MAX_TEXT: Final = 400_000
_BUILD: Final = pattern(
    r"\b(?:(?:docker|podman|nerdctl)[ \t]+(?:buildx[ \t]+|image[ \t]+)?build|buildah[ \t]+bud)[ \t]+"
)
_MAY_BUILD: Final = pattern(r"(?:docker|podman|nerdctl)\b[^\n]*\bbuild|buildah")
_END: Final = pattern(r"&&|\|\||[;|\n]|(?<![&>])&(?![&>])|[ \t]#")
_JOINED: Final = pattern(r"\\\r?\n")
_HERE: Final = pattern(
    r"\$\(pwd\)|\$\{?PWD\}?|\$\(PWD\)|\$\(CURDIR\)|\$\{\{\s*github\.workspace\s*\}\}|\$\{?GITHUB_WORKSPACE\}?"
    r"|\$\{?CI_PROJECT_DIR\}?|`pwd`"
)
_FILLED: Final = pattern(r"\$\{\{[^{}\n]*\}\}|\$\((?!\()[^()\n]*\)|`[^`\n]*`")
"""What something else puts in its place: one word, or part of one, whatever it is written with."""
_SWITCHES: Final = frozenset(
    {"--no-cache", "--pull", "--push", "--load", "-q", "--quiet", "--rm", "--force-rm", "--squash", "--compress"}
    | {"--debug", "-D", "--check", "--disable-content-trust", "--layers", "--tls-verify", "--squash-all"}
)
_REMOTE: Final = pattern(r"(?:https?|git|ssh)://|git@|oci-layout://|docker-image://|\{\{")
_HCL_TARGET: Final = pattern(r'\btarget\s+"[^"]*"\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}')
_HCL_FIELD: Final = pattern(r'^\s*"?(context|dockerfile)"?\s*=\s*"([^"\n]*)"', re.MULTILINE)


@record
class Invocation:
    """A statement in *path*, on *line*, that builds *dockerfile* with *context* (both relative to the repository)."""

    path: str
    line: int
    dockerfile: str
    context: str


@record
class _Statement:
    """As written: paths relative to a working directory that is one of ``bases``. No ``dockerfile``: the default."""

    line: int
    context: str
    dockerfile: str | None
    bases: tuple[str, ...]
    dockerfile_in_context: bool


# What was found once for a repository: every Dockerfile in it asks. The entries end with their repository.
_CANDIDATES: Final[WeakKeyDictionary[Files, tuple[tuple[str, str], ...]]] = WeakKeyDictionary()
_INVOCATIONS: Final[WeakKeyDictionary[Files, tuple[Invocation, ...]]] = WeakKeyDictionary()


def invocations(files: Files) -> tuple[Invocation, ...]:
    """Return every build that the repository's own files state and that can be resolved to a Dockerfile in it."""
    files = as_stated(files)
    known = _INVOCATIONS.get(files)
    if known is None:
        known = _INVOCATIONS[files] = tuple(_find_invocations(files))
    return known


def as_stated(files: Files) -> Files:
    """Return *files* with no other changes than those of files that may say how images are built and run.

    What is found in these is kept by them: the chain changes one Dockerfile after another.
    """
    from dockfix.project.disk import OverlayFiles

    return files.stated(states) if isinstance(files, OverlayFiles) else files


def states(path: str) -> bool:
    """Return whether a file of this name may say how images are built and run."""
    return _STATES.match(path) is not None


def _find_invocations(files: Files) -> list[Invocation]:
    found: list[Invocation] = []
    for path, kind in candidates(files):
        text = files.text(path)
        if text is None or len(text) > _MAX_TEXT:
            continue
        for statement in _READERS[kind](path, text):
            found += _resolved(files, path, statement)
    return found


def candidates(files: Files) -> tuple[tuple[str, str], ...]:
    """Return the files, sorted, that may say how an image is built, each with its kind."""
    files = as_stated(files)
    known = _CANDIDATES.get(files)
    if known is not None:
        return known
    found = []
    built = {posixpath.dirname(path) for path in files.paths if path.endswith(("ockerfile", "/Containerfile"))}
    for path in files.paths:
        match = _CANDIDATE.match(path) if path.endswith(_ENDINGS) else None
        if match and match.lastgroup and (path.count("/") <= _MAX_DEPTH or posixpath.dirname(path) in built):
            found.append((path, match.lastgroup))
    known = _CANDIDATES[files] = tuple(sorted(found))
    return known


def inside(base: str, path: str) -> str | None:
    """Return *path*, relative to the folder *base*, relative to the repository; None where it leaves it."""
    path = _HERE.sub(".", path)
    if not path or "$" in path or "`" in path or _REMOTE.match(path) or path.startswith(("/", "~")):
        return None
    joined = posixpath.normpath(posixpath.join(base, path))
    if joined == ".." or joined.startswith("../"):
        return None
    return "" if joined == "." else joined


def _resolved(files: Files, path: str, statement: _Statement) -> Iterator[Invocation]:
    for base in dict.fromkeys(statement.bases):
        context = inside(base, statement.context)
        if context is None:
            continue
        name = statement.dockerfile
        if name is None:
            dockerfile = default_dockerfile(files, context)
        else:
            written = inside(context if statement.dockerfile_in_context else base, name)
            if written is None:
                continue
            dockerfile = as_found(files, written)
        if dockerfile in files.paths:
            yield Invocation(path, statement.line, dockerfile, context)
            return


def _compose(path: str, text: str) -> Iterator[_Statement]:
    document = read_yaml(text) if "build" in text else None
    services = document.data.get("services") if document else None
    if document is None or not isinstance(services, Mapping):
        return
    base = posixpath.dirname(path)
    for name, service in services.items():
        build = service.get("build") if isinstance(service, Mapping) else None
        entry = document.positions.get(("services", name))
        line = entry.line if entry else 0
        if isinstance(build, str):
            yield _Statement(line, default_of(build), None, (base,), True)
        elif not isinstance(build, Mapping) or "dockerfile_inline" in build:
            continue
        elif _DEFAULT_FILE.search(path) or not adds_to_a_build(build):
            yield from _mapping(line, build, (base,))


def adds_to_a_build(build: Value) -> bool:
    """Whether a ``build:`` says neither what is built nor where, as files do that are laid over another one."""
    return (
        isinstance(build, Mapping) and bool(build) and not {"context", "dockerfile", "dockerfile_inline"} & set(build)
    )


def _mapping(line: int, build: Mapping[str, Value], bases: tuple[str, ...]) -> Iterator[_Statement]:
    context, dockerfile = build.get("context", "."), build.get("dockerfile")
    if isinstance(context, str) and (dockerfile is None or isinstance(dockerfile, str)):
        written = default_of(dockerfile) if dockerfile else None
        yield _Statement(line, default_of(context), written, bases, True)


def default_dockerfile(files: Files, context: str) -> str:
    """Return the Dockerfile that a build of *context* takes where none is named; it need not be there."""
    found = as_found(files, posixpath.join(context, "Dockerfile"))
    return found if found in files.paths else posixpath.join(context, "Containerfile")


def as_found(files: Files, dockerfile: str) -> str:
    """Return *dockerfile*, or ``dockerfile`` in its folder, which BuildKit takes where there is no ``Dockerfile``."""
    folder, name = posixpath.split(dockerfile)
    lower = posixpath.join(folder, name.lower())
    return lower if name == "Dockerfile" and dockerfile not in files.paths and lower in files.paths else dockerfile


def default_of(text: str) -> str:
    """Return *text* with ``${NAME:-default}`` replaced by the default."""
    return re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", text)


def _bake(path: str, text: str) -> Iterator[_Statement]:
    bases = (posixpath.dirname(path), "")
    if path.endswith(".json"):
        import json

        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return
        targets = data.get("target") if isinstance(data, dict) else None
        for target in targets.values() if isinstance(targets, dict) else ():
            if isinstance(target, dict):
                yield from _mapping(1, target, bases)
        return
    for match in _HCL_TARGET.finditer(text):
        fields: dict[str, Value] = dict(_HCL_FIELD.findall(match.group(1)))
        if fields:
            yield from _mapping(text.count("\n", 0, match.start()) + 1, fields, bases)


def _script(path: str, text: str) -> Iterator[_Statement]:
    yield from _commands(text, (posixpath.dirname(path), "") if not path.startswith(".") else ("",), 0)


def _commands(text: str, bases: tuple[str, ...], first_line: int) -> Iterator[_Statement]:
    if "build" not in text and "bud" not in text:
        return
    joined = _JOINED.sub(lambda match: " " * len(match[0]), text)
    for match in _BUILD.finditer(joined):
        before = joined[joined.rfind("\n", 0, match.start()) + 1 : match.start()]
        if before.lstrip().startswith(("#", "echo ")) or re.search(r"(?:^|[\s;&(@])(?:cd|pushd)\s", before):
            continue
        import shlex

        rest = _FILLED.sub(_one_word, _HERE.sub(".", joined[match.end() :].partition("\n")[0]))
        end = _END.search(rest)
        try:
            words = shlex.split(rest[: end.start()] if end else rest)
        except ValueError:
            continue
        statement = _arguments(words, bases, first_line + text.count("\n", 0, match.start()) + 1)
        if statement is not None:
            yield statement


def _one_word(filled: re.Match[str]) -> str:
    """Return what a command or a template fills in, written as one word."""
    return re.sub(r"[^\w$(){}`./:%+-]", "_", filled[0])


def _arguments(words: list[str], bases: tuple[str, ...], line: int) -> _Statement | None:
    context: str | None = None
    dockerfile: str | None = None
    rest = iter(words)
    for word in rest:
        if word in ("-f", "--file"):
            dockerfile = next(rest, None)
        elif word.startswith("--file="):
            dockerfile = word.removeprefix("--file=")
        elif word.startswith("-f") and len(word) > 2 and not word.startswith("--"):
            dockerfile = word[2:].removeprefix("=")
        elif word.startswith("-") and word != "-":
            if "=" not in word and word not in _SWITCHES:
                next(rest, None)
        elif context is None and not word.startswith("$(") and "ARGS" not in word and "OPTS" not in word:
            context = word
    if context is None or context == "-" or dockerfile == "-":
        return None
    return _Statement(line, context, dockerfile, bases, False)


def _workflow(path: str, text: str) -> Iterator[_Statement]:
    if not _MAY_BUILD.search(text):
        return
    document = read_yaml(text)
    jobs = document.data.get("jobs") if document else None
    for job in jobs.values() if isinstance(jobs, Mapping) else ():
        steps = job.get("steps") if isinstance(job, Mapping) else None
        for step in steps if isinstance(steps, tuple) else ():
            if isinstance(step, Mapping):
                yield from _workflow_step(step)
    if document is not None and not isinstance(jobs, Mapping):  # GitLab: jobs are at the top
        for job in document.data.values():
            lines = job.get("script") if isinstance(job, Mapping) else None
            for command in lines if isinstance(lines, tuple) else (lines,):
                if isinstance(command, str):
                    yield from _nowhere(_commands(command, ("",), 0))


def _workflow_step(step: Mapping[str, Value]) -> Iterator[_Statement]:
    uses, given, run = step.get("uses"), step.get("with"), step.get("run")
    if isinstance(uses, str) and uses.startswith("docker/build-push-action@") and isinstance(given, Mapping):
        context, dockerfile = given.get("context"), given.get("file")
        if isinstance(context, str) and (dockerfile is None or isinstance(dockerfile, str)):
            yield _Statement(0, context, dockerfile or None, ("",), False)
    if isinstance(run, str):
        folder = step.get("working-directory")
        base = inside("", folder) if isinstance(folder, str) else ""
        if base is not None:
            yield from _nowhere(_commands(run, (base,), 0))


def _nowhere(found: Iterator[_Statement]) -> Iterator[_Statement]:
    """Yield what was *found* without its lines, which count within a text in the document."""
    return (replace(statement, line=0) for statement in found)


_READERS: Final[Mapping[str, Callable[[str, str], Iterator[_Statement]]]] = {
    "compose": _compose,
    "bake": _bake,
    "make": _script,
    "script": _script,
    "workflow": _workflow,
}
