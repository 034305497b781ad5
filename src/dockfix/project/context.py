"""The build context: which folder ``docker build`` sends, and which of its files .dockerignore keeps out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from functools import cached_property
from typing import Final

from dockfix.project.compose import services_of_image
from dockfix.project.files import Files
from dockfix.project.invocations import Invocation, invocations
from dockfix.records import record
from dockfix.syntax.dockerignore import IgnoreFile, PatternError, compile_pattern, read_dockerignore
from dockfix.syntax.patterns import pattern

_REMOTE: Final = pattern(r"(?i:https?|git|ssh)://|git@", words=("://", "git@"))
_SCRIPT: Final = pattern(r"[\w./-]+\.(?:ba)?sh\b|[\w./-]*entrypoint\b", words=("sh", "entrypoint"))
_WILDCARD: Final = pattern(r"[*?\[]")
_BUILD_FILE: Final = pattern(
    r"(?:[Dd]ockerfile|[Cc]ontainerfile|(?:docker-)?compose)[^/]*\Z|\.[^/]*\Z|[^/]*\.(?:[Dd]ockerfile|sh|conf|cfg|ini|ya?ml|md|env)\Z"
)


@record
class Context:
    """``root`` is repository-relative ("" for the repository itself). ``evidence`` says how it was found.

    ``ambiguous`` is a reason where the files name more than one context for the Dockerfile, or the found one lacks
    what COPY names. ``ignore_path`` is the ignore file in force: ``<Dockerfile>.dockerignore`` if it exists, else
    ``<root>/.dockerignore``, whether that exists or not.
    """

    root: str
    evidence: str
    ignore_path: str
    ignore_exists: bool
    ambiguous: str | None
    files: Files

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files of the context relative to ``root``, ignored ones included, sorted."""
        below = self.files.below(self.root)
        start = len(self.root) + 1 if self.root else 0
        return tuple(path[start:] for path in below) if start else below

    @cached_property
    def ignore_file(self) -> IgnoreFile:
        """The ignore file in force, empty where there is none."""
        return read_dockerignore((self.files.text(self.ignore_path) or "") if self.ignore_exists else "")

    def ignored(self, path: str) -> bool:
        """Return whether .dockerignore keeps *path* (relative to ``root``) out of the build."""
        return self.ignore_exists and self.ignore_file.ignored(_clean(path))

    def has(self, path: str) -> bool:
        """Return whether the build gets the file or folder *path* (exists and is not ignored)."""
        path = _clean(path)
        full = self.repository_path(path)
        if full in self.files.paths:
            return not self.ignored(path)
        if not self.files.is_directory(full if path else self.root):
            return False
        if not self.ignored(path):
            return True
        start = len(self.root) + 1 if self.root else 0
        return any(not self.ignored(below[start:]) for below in self.files.below(full))

    def text(self, path: str) -> str | None:
        """Return the text of the file *path*, relative to ``root``."""
        return self.files.text(self.repository_path(_clean(path)))

    def with_scripts(self, command: str) -> str:
        """Return *command* and the texts of the context's shell scripts that it names, by their file's name."""
        named = {word.rpartition("/")[2] for word in _SCRIPT.findall(command)}
        texts = (self.text(path) or "" for path in self.paths if path.rpartition("/")[2] in named) if named else ()
        return "\n".join((command, *texts))

    def repository_path(self, path: str) -> str:
        """Return *path* (relative to ``root``) relative to the repository."""
        if not path:
            return self.root
        return f"{self.root}/{path}" if self.root else path


def find_context(files: Files, dockerfile_path: str, copied: tuple[str, ...]) -> Context:
    """Find the build context of a Dockerfile.

    What compose files, bake files, Makefiles, scripts and workflows state comes first; without a statement it is the
    nearest folder, from the Dockerfile's own upwards, that has everything that COPY names.
    """
    folder = posixpath.dirname(dockerfile_path)
    named = _named(copied)
    stated = [found for found in invocations(files) if found.dockerfile == dockerfile_path]
    known = {found.context for found in stated}
    for service in services_of_image(files, dockerfile_path):  # what extends, include and overrides tell besides
        if service.context not in known:
            known.add(service.context)
            stated.append(Invocation(service.path, service.line, dockerfile_path, service.context))
    if stated:
        root, evidence, ambiguous = _from_statements(files, stated, named)
    else:
        root, evidence, ambiguous = _from_sources(files, folder, named, bool(copied))
    own = f"{dockerfile_path}.dockerignore"
    shared = f"{root}/.dockerignore" if root else ".dockerignore"
    path = own if own in files.paths else shared
    return Context(root, evidence, path, path in files.paths, ambiguous, files)


def _from_statements(files: Files, stated: list[Invocation], named: tuple[str, ...]) -> tuple[str, str, str | None]:
    contexts = {found.context: found for found in reversed(stated)}
    fitting = [found for root, found in contexts.items() if not _missing(files, root, named)]
    if len(contexts) > 1 and len(fitting) != 1:
        places = ", ".join(
            f"{_shown(found.context)} in {_place(found)}" for found in sorted(contexts.values(), key=lambda it: it.path)
        )
        return stated[0].context, _place(stated[0]), f"the files name more than one build context: {places}"
    chosen = fitting[0] if len(fitting) == 1 else next(iter(contexts.values()))
    missing = _missing(files, chosen.context, named)
    reason = f"{_place(chosen)} builds it from {_shown(chosen.context)}, which has no {missing}" if missing else None
    return chosen.context, _place(chosen), reason


def _from_sources(files: Files, folder: str, named: tuple[str, ...], copies: bool) -> tuple[str, str, str | None]:
    if not named:
        reason = None
        if copies and folder and all(_BUILD_FILE.match(posixpath.basename(path)) for path in files.below(folder)):
            reason = f"nothing says whether the build context is {folder} or a folder above it"
        return folder, "the Dockerfile's folder", reason
    root = folder
    while True:
        if not _missing(files, root, named):
            evidence = "the COPY sources" if root != folder else "the Dockerfile's folder has the COPY sources"
            return root, evidence, None
        if not root:
            break
        root = posixpath.dirname(root)
    return (
        folder,
        "the Dockerfile's folder",
        f"COPY names {_missing(files, folder, named)}, which is in no folder of it",
    )


def _named(copied: Iterable[str]) -> tuple[str, ...]:
    """Return the sources that tell something: neither the whole context nor an address."""
    cleaned = (_clean(source) for source in copied if not _REMOTE.match(source))
    return tuple(dict.fromkeys(source for source in cleaned if source))


def _missing(files: Files, root: str, named: tuple[str, ...]) -> str | None:
    return next((source for source in named if not _exists(files, root, source)), None)


def _exists(files: Files, root: str, source: str) -> bool:
    full = f"{root}/{source}" if root else source
    if full in files.paths or files.is_directory(full):
        return True
    if not _WILDCARD.search(source):
        return False
    try:
        expression = compile_pattern(source)
    except PatternError:
        return False
    plain = _WILDCARD.split(full, maxsplit=1)[0].rpartition("/")[0]
    start = len(root) + 1 if root else 0
    return any(expression.match(path[start:]) for path in files.below(plain))


def _clean(path: str) -> str:
    cleaned = posixpath.normpath("/" + path).strip("/")
    return "" if cleaned == "." else cleaned


def _shown(root: str) -> str:
    return root or "the repository's root"


def _place(found: Invocation) -> str:
    return f"{found.path}:{found.line}" if found.line else found.path
