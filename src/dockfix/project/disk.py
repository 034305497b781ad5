"""The files of a repository on disk, and the same with changes that are not written yet."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from dockfix.project.files import Files
from dockfix.syntax.edit import decode
from dockfix.syntax.patterns import pattern

PRUNED: Final = frozenset(
    {".git", "node_modules", "__pycache__", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
"""Folders that are never searched; virtual environments, known by their pyvenv.cfg, are the others."""
_MAX_FILE: Final = 2_000_000
_MAX_CACHE: Final = 8_000_000
_GIT_TIMEOUT: Final = 20
_DOCKERFILE: Final = pattern(
    r"(?:[Dd]ockerfile|Containerfile)(?:\..+)?\Z|Dockerfile[-_][\w-]+(?:\.\d[\w.-]*)?\Z|.+\.(?:[Dd]ockerfile|Containerfile)\Z"
)
_NO_DOCKERFILE: Final = pattern(
    r"\.(?:dockerignore|containerignore|md|rst|txt|j2|jinja2?|tmpl|tpl|template|erb|orig|bak|swp|py|sh|ya?ml|json)\Z|~\Z",
    re.IGNORECASE,
)


class DiskFiles:
    """The files below a folder, read when asked for. A change on disk after the first look may go unseen."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.fsdecode(root))
        self._texts: OrderedDict[str, str | None] = OrderedDict()
        self._size = 0

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every file below the root that is not in a pruned folder."""
        return frozenset(_walk(self.root))

    @cached_property
    def _sorted(self) -> tuple[str, ...]:
        return tuple(sorted(self.paths))

    @cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)

    @cached_property
    def _folders(self) -> frozenset[str]:
        found: set[str] = set()
        for path in self.paths:
            folder = path.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def text(self, path: str) -> str | None:
        """Return the file's text, None where it is no readable file inside the root or larger than 2 MB."""
        if path in self._texts:
            self._texts.move_to_end(path)
            return self._texts[path]
        text = self._read(path)
        self._texts[path] = text
        self._size += len(text or "")
        while self._size > _MAX_CACHE and len(self._texts) > 1:
            self._size -= len(self._texts.popitem(last=False)[1] or "")
        return text

    def _read(self, path: str) -> str | None:
        if not path or path.startswith("/") or "\0" in path or ".." in path.split("/"):
            return None
        full = os.path.join(self.root, path)
        try:
            real = os.path.realpath(full)
            if not _inside(real, self._real_root) or not os.path.isfile(real) or os.path.getsize(real) > _MAX_FILE:
                return None
            with open(real, "rb") as file:
                return decode(file.read())
        except (OSError, ValueError):
            return None

    def trouble(self, path: str) -> str:
        """Return why there is no text of *path*."""
        full = os.path.join(self.root, path)
        try:
            size = os.stat(full).st_size
        except OSError as error:
            reason = error.strerror or str(error)
            return f"a symbolic link that leads nowhere ({reason})" if os.path.islink(full) else reason
        if not _inside(os.path.realpath(full), self._real_root):
            return "a symbolic link that leads out of the repository"
        if not os.path.isfile(full):
            return "no regular file"
        if size > _MAX_FILE:
            return f"larger than {_MAX_FILE // 1_000_000} MB; no file of that size is rewritten"
        return "no permission to read it" if not os.access(full, os.R_OK) else "it went while it was read"

    def is_directory(self, path: str) -> bool:
        """Return whether a file lies below *path*; "" is the root."""
        return path in self._folders if path else bool(self.paths)

    def below(self, folder: str) -> tuple[str, ...]:
        """Return the files below *folder*, sorted."""
        return _below(self._sorted, folder)


class OverlayFiles:
    """Other files with changed or new texts laid over them."""

    def __init__(self, base: Files, texts: Mapping[str, str]) -> None:
        self._base = base
        self._texts = dict(texts)
        self._new = sorted(self._texts.keys() - base.paths)
        self._known: OverlayFiles | None = None
        self._stated: Files | None = None

    def changed(self, texts: Mapping[str, str], matters: Callable[[str], object]) -> OverlayFiles:
        """Return the files with more *texts* laid over these, which are not to be used any more.

        That costs what is new, however much was changed before: a repository may hold thousands of Dockerfiles.
        *matters* is that of ``stated``: where no change matters, what it gave is kept.
        """
        made = OverlayFiles.__new__(OverlayFiles)
        made._base, made._texts, made._known = self._base, self._texts, self._known
        made._texts.update(texts)
        added = [path for path in texts if path not in self._base.paths and path not in self.paths]
        made._new = self._new
        if added:
            made._new = sorted([*self._new, *added])
        elif "paths" in self.__dict__:
            made.__dict__["paths"] = self.paths
        made._stated = None if any(map(matters, texts)) else self._stated
        return made

    def stated(self, matters: Callable[[str], object]) -> Files:
        """Return the files with no other changes than those of paths for which *matters* is true.

        That is the same object as it was for the files before these, as long as these changes are the same: what was
        found out can be kept by it. *matters* is always the same function.
        """
        if self._stated is None:
            texts = {path: text for path, text in self._texts.items() if matters(path)}
            if texts and (self._known is None or self._known._texts != texts):
                self._known = OverlayFiles(self._base, texts)
            self._stated = self._known if texts and self._known else self._base
        return self._stated

    @cached_property
    def paths(self) -> frozenset[str]:
        """The files of the base and the new ones."""
        return self._base.paths.union(self._new) if self._new else self._base.paths

    def text(self, path: str) -> str | None:
        """Return the new text where there is one, else the base's."""
        text = self._texts.get(path)
        return self._base.text(path) if text is None else text

    def trouble(self, path: str) -> str:
        """Return why there is no text of *path*."""
        return self._base.trouble(path)

    def is_directory(self, path: str) -> bool:
        """Return whether a file lies below *path*."""
        if self._base.is_directory(path):
            return True
        return bool(_below(self._new, path) if path else self._texts)

    def below(self, folder: str) -> tuple[str, ...]:
        """Return the files below *folder*, sorted."""
        present = self._base.below(folder)
        new = _below(self._new, folder)
        return tuple(sorted([*present, *new])) if new else present


def repository_root(path: str | os.PathLike[str]) -> str:
    """Return the nearest folder at or above *path* with ``.git``; without one, the folder of *path* itself."""
    full = os.path.abspath(os.fsdecode(path))
    start = full if os.path.isdir(full) else os.path.dirname(full)
    folder = start
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent
    return folder


def git_ignored(root: str | os.PathLike[str], paths: Iterable[str]) -> set[str]:
    """Return those of *paths* (relative to *root*) that git ignores; none without git or a repository."""
    listed = list(paths)
    if not listed or not os.path.exists(os.path.join(repository_root(root), ".git")):
        return set()
    import subprocess

    # Git does not read a repository that belongs to someone else, as it does in a container of CI, since its
    # configuration may name programs; here it may not.
    trusting = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
    command = ["git", *trusting, "-C", os.fsdecode(root), "check-ignore", "-z", "--stdin"]
    try:
        result = subprocess.run(
            command,
            input=b"\0".join(map(os.fsencode, listed)) + b"\0",
            capture_output=True,
            timeout=_GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {os.fsdecode(path) for path in result.stdout.split(b"\0") if path} if result.returncode == 0 else set()


def is_dockerfile_name(name: str) -> bool:
    """Return whether a file of this name is taken for a Dockerfile."""
    if name == "Dockerfile":
        return True
    if "ockerfile" not in name and "ontainerfile" not in name:
        return False
    return _DOCKERFILE.match(name) is not None and _NO_DOCKERFILE.search(name) is None


def find_dockerfiles(folder: str | os.PathLike[str]) -> list[str]:
    """Return the Dockerfiles below *folder*, sorted, without what git ignores and without pruned folders."""
    root = os.path.abspath(os.fsdecode(folder))
    found = sorted(path for path in _walk(root) if is_dockerfile_name(path.rpartition("/")[2]))
    ignored = git_ignored(root, found)
    return [os.path.join(root, path) for path in found if path not in ignored]


def _walk(root: str) -> Iterator[str]:
    """Yield the files below *root*, relative to it; links to folders are not followed."""
    real_root = os.path.realpath(root)
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(os.path.join(root, prefix)) as entries:
                listed = list(entries)
        except OSError:
            continue
        if prefix and any(entry.name == "pyvenv.cfg" for entry in listed):
            continue
        for entry in listed:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in PRUNED:
                        pending.append(f"{prefix}{entry.name}/")
                elif entry.is_file(follow_symlinks=False) or (
                    entry.is_symlink() and entry.is_file() and _inside(os.path.realpath(entry.path), real_root)
                ):
                    yield prefix + entry.name
            except OSError:
                continue


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else root + "/")


def _below(paths: Sequence[str], folder: str) -> tuple[str, ...]:
    if not folder:
        return tuple(paths)
    from bisect import bisect_left

    return tuple(paths[bisect_left(paths, f"{folder}/") : bisect_left(paths, f"{folder}0")])  # "0" follows "/"
