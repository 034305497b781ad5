"""A copy of the repository to build from, so that nothing happens in the user's own tree."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from dockfix.project.disk import PRUNED
from dockfix.verify.process import Interrupts

_MOST_HISTORY: Final = 300_000_000


class Scratch:
    """One copy of a repository's tree, in which texts are exchanged: the files as they are, or the rewritten ones.

    It has what git does not ignore, and what COPY names. Symbolic links are copied as links, never followed.
    """

    def __init__(self, source: str, interrupts: Interrupts) -> None:
        self.source = source
        self.interrupts = interrupts
        self.folder = tempfile.mkdtemp(prefix="dockfix-verify-")
        self.root = os.path.join(self.folder, "tree")
        self.notes: list[str] = []
        self._changed: dict[str, bytes | None] = {}
        """The files that are not as in the source: their own bytes, None for those that are not there."""

    def fill(self, wanted: Iterable[str]) -> None:
        """Copy the tree. *wanted* are paths that come along even where git ignores them."""
        os.mkdir(self.root)
        for path in self._listed(wanted):
            self.interrupts.check()
            self._copy(path)

    def show(self, texts: Mapping[str, str]) -> None:
        """Make the tree that of the source with *texts* laid over it."""
        for path, before in self._changed.items():
            if path not in texts:
                self._put(path, before)
        kept = {path: before for path, before in self._changed.items() if path in texts}
        for path, text in texts.items():
            if path not in kept:
                kept[path] = self._bytes(path)
            self._put(path, text.encode("utf-8", "surrogateescape"))
        self._changed = kept

    def touch(self, path: str, text: str) -> bytes:
        """Add *text* to the end of a file and return what was there, for ``restore``."""
        before = self._bytes(path) or b""
        self._put(path, before + text.encode())
        return before

    def restore(self, path: str, data: bytes) -> None:
        """Give a file its bytes back."""
        self._put(path, data)

    def keep(self, name: str, text: str) -> str:
        """Write a file beside the copy, that only its owner can read, and return where it is."""
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def full(self, path: str) -> str:
        """Return where *path* of the repository lies in the copy."""
        return os.path.join(self.root, path) if path else self.root

    def remove(self) -> None:
        """Remove the copy; nothing outside of it is touched."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if not os.path.lexists(self.folder):
            return
        for folder, names, _ in os.walk(self.folder):  # folders that their owner may not write
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                if not os.path.islink(path):
                    with suppress(OSError):
                        os.chmod(path, 0o700)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bytes(self, path: str) -> bytes | None:
        try:
            with open(self.full(path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _put(self, path: str, data: bytes | None) -> None:
        target = self.full(path)
        if data is None:
            with suppress(FileNotFoundError):
                os.unlink(target)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        mode = stat.S_IMODE(os.stat(target).st_mode) if os.path.isfile(target) else 0o644
        with open(target, "wb") as file:
            file.write(data)
        os.chmod(target, mode)

    def _listed(self, wanted: Iterable[str]) -> Iterator[str]:
        paths = self._of_git() if os.path.exists(os.path.join(self.source, ".git")) else None
        seen: set[str] = set()
        for path in paths if paths is not None else _walk(self.source, ""):
            seen.add(path)
            yield path
        for path in (*wanted, *self._history()):
            if path in seen:
                continue
            if os.path.isdir(os.path.join(self.source, path)) and not os.path.islink(os.path.join(self.source, path)):
                yield from (below for below in _walk(self.source, path, all_of_it=True) if below not in seen)
            elif os.path.lexists(os.path.join(self.source, path)):
                yield path

    def _of_git(self) -> list[str] | None:
        """Return what git knows or does not ignore; None where git is not there to say it."""
        command = ["git", "-C", self.source, "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others"]
        try:
            done = subprocess.run([*command, "--exclude-standard"], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        found: list[str] = []
        for path in dict.fromkeys(os.fsdecode(name) for name in done.stdout.split(b"\0") if name):
            full = os.path.join(self.source, path)
            if os.path.isdir(full) and not os.path.islink(full):  # a submodule
                found += _walk(self.source, path.rstrip("/"))
            else:
                found.append(path)
        return found

    def _history(self) -> list[str]:
        """Return ``.git`` where it belongs to the tree and is not too big: a COPY brings it along."""
        history = os.path.join(self.source, ".git")
        if not os.path.isdir(history) or os.path.islink(history):
            return []
        size = 0
        for folder, _, names in os.walk(history):
            for name in names:
                with suppress(OSError):
                    size += os.lstat(os.path.join(folder, name)).st_size
            if size > _MOST_HISTORY:
                self.notes.append(".git is larger than 300 MB and was left out of both builds")
                return []
        return [".git"]

    def _copy(self, path: str) -> None:
        source, target = os.path.join(self.source, path), self.full(path)
        try:
            status = os.lstat(source)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(source), target)
            elif stat.S_ISREG(status.st_mode):
                shutil.copyfile(source, target, follow_symlinks=False)
                os.chmod(target, stat.S_IMODE(status.st_mode) | stat.S_IRUSR)
            elif stat.S_ISDIR(status.st_mode):
                os.makedirs(target, exist_ok=True)
        except FileNotFoundError:
            return  # deleted, and git knows it still
        except FileExistsError:
            return
        except PermissionError:
            self.notes.append(f"{path} cannot be read and was left out of both builds")


def _walk(root: str, folder: str, *, all_of_it: bool = False) -> Iterator[str]:
    """Yield what lies below *folder*: files, links and empty folders; caches and virtual environments are left out."""
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(os.path.join(root, here)) as found:
                entries = list(found)
        except OSError:
            continue
        if here and not all_of_it and any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        if here and not entries:
            yield here
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir(follow_symlinks=False):
                if all_of_it or entry.name not in PRUNED:
                    pending.append(path)
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield path
