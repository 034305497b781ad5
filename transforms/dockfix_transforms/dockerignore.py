"""The transform dockerignore."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Final

from dockfix.build.model import Build
from dockfix.project.context import Context
from dockfix.records import record
from dockfix.syntax.dockerignore import IgnoreFile, compile_pattern
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._context_needs import TEMPLATES, Code, code_of, commands_of, named_by, needs_of
from dockfix_transforms._dotenv import hide_secrets
from dockfix_transforms._ignore_lines import SECRET_FILES, added, listed
from dockfix_transforms._secret_files import secret_files

_VERSION_FROM_GIT: Final = pattern(
    r"setuptools[-_](?:scm|vcs|git)|versioneer|hatch-vcs|\bpbr\b|dynamic-versioning|dunamai|git-versioning|GitPython"
    r"|pdm-backend.*scm|git-commit-id|git-properties|versioningit|flit[-_]scm|git-revision-date|git-authors|git-rev-sync"
    r"|simple-git|\bvergen\b|shadow-rs|git[-_]version\b|GitVersion|MinVer|[\"']git[\"']\s*[,)]",
    re.I,
    words=("scm", "vcs", "versioneer", "pbr", "dynamic-versioning", "dunamai", "git", "vergen", "shadow-rs", "minver"),
)
_GIT_COMMAND: Final = pattern(
    r"\bgit\s+(?:-\S+\s+(?:\S+\s+)?)*(?:rev-parse|describe|log|show|status|diff|submodule|rev-list|ls-files|tag)\b",
    words=("git",),
)
_MANIFEST: Final = pattern(
    r"(?:.*/)?(?:pyproject\.toml|setup\.(?:py|cfg)|requirements[^/]*\.txt|Makefile|package\.json|[^/]*\.gemspec"
    r"|build\.gradle(?:\.kts)?|pom\.xml|mkdocs\.yml|build\.rs|Cargo\.toml|[^/]*\.csproj|Directory\.Build\.props"
    r"|[\w.-]*\.config\.[cm]?[jt]s|gulpfile\.js|justfile|Taskfile\.ya?ml|CMakeLists\.txt)\Z"
)
_MAKES_VENV: Final = pattern(r"-m\s+venv|virtualenv|\b(?:uv|poetry|pipenv|pdm)\b")
_NODE_INSTALL: Final = pattern(
    r"\b(?:npm|pnpm|bun)\b(?:\s+-\S+)*\s+(?:ci|i|install|add|clean-install|isntall)\b"
    r"|\byarn\b(?:\s+(?:install|add|workspaces|-)|\s*(?:$|&&|;|\|\|))|[\"'](?:npm|pnpm|yarn|bun)[\"']",
    re.MULTILINE,
)
_COMPOSE: Final = pattern(r"(?:docker-)?compose(?:[.-][^/]*)?\.ya?ml\Z")
_ENVIRONMENTS: Final = (".venv", "venv", "env")
_SUFFIXES: Final = (".dockerfile", ".Dockerfile")
_CACHES: Final = ("node_modules", "__pycache__", "*.py[cod]", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@record
class _Entry:
    """A line, and paths that stand for what it hides."""

    group: str
    pattern: str
    witnesses: tuple[str, ...]


@transform(safety=Safety.SAFE, phase=Phase.CONTEXT)
def dockerignore(build: Build) -> Iterator[Fix | Skip]:
    """Keep out of the build context what no image needs.

    Why: ``COPY . .`` brings the whole history of the repository, caches, virtual environments and ``.env`` with its
    passwords into the image, and a change in any of them makes every later step run again.

    Example:
         FROM node:22-slim
         COPY . .
         CMD ["node", "server.js"]
        @@ .dockerignore
        +# Version control
        +.git
        +
        +# Editors and system files
        +.idea
        +.vscode
        +**/.DS_Store
        +
        +# Docker
        +Dockerfile*
        +.dockerignore
        +
        +# Secrets
        +.env
        +.env.*
        +!.env.example

    Lines are added at the end of an ignore file that is there; what it hides already, in whatever spelling, and what it
    brings back with ``!`` are left as they are. ``.env`` is a fix of its own, for review: where the code loads it, the
    compose service gets it as ``env_file``.

    When it holds back: an ignore file that names what comes in (``*``); a build context that the files do not
    establish; a line that would hide what a COPY of any Dockerfile in the context names, what the version of the
    package is computed from (.git), or what the code opens; ``.env`` that the code or a front-end build reads and
    nothing else brings.

    Source: Docker's documentation, "Build context: .dockerignore files"
    (https://docs.docker.com/build/concepts/context/#dockerignore-files).
    """
    steps = [step for step in build.steps if step.keyword in ("COPY", "ADD") and _from_context(step.copy)]
    step = next((step for step in steps if _brings_folder(build, step.copy)), None)
    if step is None:  # files that are named one by one bring nothing else with them
        return
    context = build.project.context
    present = context.ignore_file
    if present.allow_list:
        return
    missing = [entry for entry in _entries(build, context) if _absent(entry, present)]
    secrets = [entry for entry in _secrets(context) if _absent(entry, present)]
    if not missing and not secrets:
        return
    if context.ambiguous:
        yield Skip(f"the build context is not clear: {context.ambiguous}", step.line)
        return
    if present.malformed is not None:
        yield Skip("Docker refuses a line of the ignore file", path=context.ignore_path)
        return
    needs = needs_of(build)
    if needs.unknown:
        yield Skip(needs.unknown, step.line)
        return
    code = code_of(build)
    lines: list[tuple[str, str]] = []
    for entry in missing:
        exceptions, place = named_by(needs, build, compile_pattern(entry.pattern))
        reason = f"{place} copies it" if place else _needed(entry, build, context, code)
        if reason is not None:
            yield Skip(f"{entry.pattern} stays in the build context: {reason}", step.line)
            continue
        lines.append((entry.group, entry.pattern))
        lines += ((entry.group, f"!{path}") for path in exceptions)
    if lines:
        title = f"keep {listed([text for _, text in lines])} out of the build context"
        files = [text for group, text in lines if group == SECRET_FILES and text in context.paths]
        notes = (f"what is in {listed(files)} is in every image that was built: change it",) if files else ()
        yield Fix(title, {context.ignore_path: [added(present, lines)]}, step.line, notes=notes)
    if secrets:
        yield from hide_secrets(build, [entry.pattern for entry in secrets], needs, code, step.line)


def _from_context(copy: object) -> bool:
    from dockfix.build.copies import Copy

    if not isinstance(copy, Copy):
        return False
    return copy.from_ is None and any(source.value not in copy.remote for source in copy.sources)


def _brings_folder(build: Build, copy: object) -> bool:
    """Whether a COPY brings a folder of the context, or something that is not known."""
    from dockfix.build.copies import Copy

    if not isinstance(copy, Copy):
        return True
    context = build.project.context
    return any(
        source.value is None
        or context.repository_path(posixpath.normpath(source.value.lstrip("/") or ".")) not in context.files.paths
        for source in copy.sources
        if source.value not in copy.remote
    )


def _entries(build: Build, context: Context) -> Iterator[_Entry]:
    """Yield the lines that can match in this project."""
    paths = context.paths
    top = {path.partition("/")[0] for path in paths}
    if not context.root:
        yield _Entry("Version control", ".git", (".git/HEAD",))
    if _python(build, paths):
        for pattern, name in (("**/__pycache__", "__pycache__/m.pyc"), ("**/*.py[cod]", "m.pyc")):
            yield _Entry("Python", pattern, (name, f"package/{name}"))
        listed = {line.strip().strip("/") for line in (context.text(".gitignore") or "").splitlines()}
        for name in _ENVIRONMENTS:
            inside = [path for path in paths if path.startswith(f"{name}/")]
            virtual = f"{name}/pyvenv.cfg" in inside or (not inside and (name != "env" or name in listed))
            if virtual:
                yield _Entry("Python", name, (f"{name}/pyvenv.cfg",))
        for name in (".pytest_cache", ".mypy_cache", ".ruff_cache"):
            yield _Entry("Python", f"**/{name}", (f"{name}/x", f"package/{name}/x"))
        yield _Entry("Python", ".tox", (".tox/x",))
        yield _Entry("Python", ".coverage", (".coverage",))
        yield _Entry("Python", "htmlcov", ("htmlcov/index.html",))
    manifests = [path for path in paths if path == "package.json" or path.endswith("/package.json")]
    if manifests and _NODE_INSTALL.search(commands_of(build)):
        folders = [posixpath.dirname(path) for path in manifests if "/" in path]
        places = [path for path in manifests if "/" not in path or _installs_in(build, posixpath.dirname(path))]
        witnesses = tuple(posixpath.join(posixpath.dirname(path), "node_modules/x") for path in places)
        whole = len(places) == len(manifests)
        if witnesses and (whole or "package.json" in places):
            yield _Entry("Node", "**/node_modules" if folders and whole else "node_modules", witnesses)
    editors = "Editors and system files"
    yield _Entry(editors, ".idea", (".idea/x",))
    yield _Entry(editors, ".vscode", (".vscode/x",))
    yield _Entry(editors, "**/.DS_Store", (".DS_Store", "folder/.DS_Store"))
    own = build.path[len(context.root) + 1 :] if context.root else build.path
    dockerfiles = [name for name in top if name.startswith("Dockerfile")]
    if "/" not in own and not own.startswith("Dockerfile") and not own.endswith(_SUFFIXES):
        yield _Entry("Docker", own, (own,))
    for suffix in _SUFFIXES:
        named = sorted(name for name in top if name.endswith(suffix) and name in paths)
        if named:
            yield _Entry("Docker", named[0] if len(named) == 1 else f"*{suffix}", tuple(named))
    if dockerfiles and all(name in paths and re.match(r"Dockerfile(?:[._-]|\Z)", name) for name in dockerfiles):
        yield _Entry("Docker", "Dockerfile*", tuple(sorted(dockerfiles)))
    if context.ignore_path.endswith("/.dockerignore") or context.ignore_path == ".dockerignore":
        yield _Entry("Docker", ".dockerignore", (".dockerignore",))
    for pattern in ("docker-compose*.y*ml", "compose*.y*ml"):
        found = sorted(name for name in top if compile_pattern(pattern).match(name))
        if found and all(_COMPOSE.match(name) for name in found):
            yield _Entry("Docker", pattern, tuple(found))
    for path in secret_files(build):
        yield _Entry(SECRET_FILES, path, (path,))


def _installs_in(build: Build, folder: str) -> bool:
    """Whether the Dockerfile names *folder*, or all packages below the root are installed together."""
    context = build.project.context
    if any(context.has(name) for name in ("pnpm-workspace.yaml", "lerna.json", "nx.json", "turbo.json")):
        return True
    if '"workspaces"' in (context.text("package.json") or ""):
        return True
    return posixpath.basename(folder) in build.dockerfile.text


def _secrets(context: Context) -> Iterator[_Entry]:
    names = [posixpath.basename(path) for path in context.paths if "/" in path]
    prefix = "**/" if any(name == ".env" or name.startswith(".env.") for name in names) else ""
    yield _Entry("Secrets", f"{prefix}.env", (".env", "folder/.env") if prefix else (".env",))
    yield _Entry("Secrets", f"{prefix}.env.*", (".env.local", "folder/.env.local") if prefix else (".env.local",))


def _python(build: Build, paths: Iterable[str]) -> bool:
    if any(stage.image is not None and "python" in (stage.base or "") for stage in build.stages):
        return True
    return any(path.endswith(".py") or path in ("requirements.txt", "pyproject.toml", "Pipfile") for path in paths)


def _absent(entry: _Entry, present: IgnoreFile) -> bool:
    """Whether the ignore file says nothing about what the line hides."""
    deciding = [present.decisive(path) for path in entry.witnesses]
    expression = compile_pattern(entry.pattern)
    if any(line is not None and line.negated for line in deciding):
        return False
    brought_back = (line.pattern or "" for line in present.patterns if line.negated)
    if any(expression.match(path) and posixpath.basename(path) not in TEMPLATES for path in brought_back):
        return False
    return None in deciding


def _is_named_script(path: str, commands: str, context: Context) -> bool:
    """Whether a command of the Dockerfile names the script *path*."""
    name = posixpath.basename(path)
    if "." in name and not name.endswith((".sh", ".bash", ".js", ".mjs", ".cjs", ".rb")):
        return False
    named = re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", commands)
    return named is not None and ("." in name or (context.text(path) or "").startswith("#!"))


def _needed(entry: _Entry, build: Build, context: Context, code: Code) -> str | None:
    """Return why the build or the program needs what the line hides, None where nothing shows that."""
    name = entry.pattern.removeprefix("**/")
    commands = commands_of(build)
    if name == ".git":
        if code.uses_git:
            return f"{code.uses_git} asks git"
        if _GIT_COMMAND.search(commands):
            return "a RUN asks git"
        for path in context.paths:
            if _MANIFEST.match(path) or _is_named_script(path, commands, context):
                text = context.text(path) or ""
                if _VERSION_FROM_GIT.search(text) or _GIT_COMMAND.search(text):
                    return f"{path} asks git or takes the version from it"
    if entry.pattern == "**/*.py[cod]":
        files = set(context.paths)
        for path in context.paths:
            if path.endswith((".pyc", ".pyd")) and "__pycache__/" not in path and path[:-1] not in files:
                return f"{path} has no source beside it"
    word = "compose" if "*.y*ml" in name else name.strip("*")
    anything = r"[\w.-]*" if name.startswith("*.") else ""
    expression = r"(?:docker-)?compose[\w.-]*\.ya?ml" if "*.y*ml" in name else anything + re.escape(word)
    mentioned = word in commands and re.search(rf"(?<![\w.-]){expression}(?![\w-])", commands)
    if mentioned and entry.group != "Version control":
        made_inside = name in _ENVIRONMENTS and _MAKES_VENV.search(commands)
        if name not in _CACHES and not made_inside:
            return "a command of the Dockerfile names it"
    elif name == ".git" in commands and re.search(r"(?<![\w.-])\.git(?![\w.-])", commands) and "rm -" not in commands:
        return "a command of the Dockerfile names it"
    hidden = compile_pattern(entry.pattern)
    place = next((where for literal, where in code.literals.items() if hidden.match(literal)), None)
    return f"{place} names it" if place else None
