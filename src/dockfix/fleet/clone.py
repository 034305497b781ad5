"""A shallow clone of a repository that may be hostile: its files as they are committed, and nothing of it is run.

Attributes (filters such as LFS, line endings, encodings) are off, so that every file holds the bytes of the commit.
Symbolic links and submodules are not made; their places are reported, and nothing may be written there.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dockfix.fleet.git import Git, GitError, TooLarge

_FILES: Final = 200_000
_NO_ATTRIBUTES: Final = b"* -text -eol -filter -ident -working-tree-encoding -crlf\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The tip of the default branch."""

    commit: str
    branch: str


@dataclass(frozen=True, slots=True)
class Clone:
    """What was cloned. ``elsewhere`` are the paths of symbolic links and submodules; ``files`` the regular files."""

    commit: str
    files: tuple[str, ...]
    elsewhere: frozenset[str]

    def outside(self, path: str) -> str | None:
        """Return the link or submodule that *path* leads through, or None."""
        parts = path.split("/")
        places = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
        return next((place for place in places if place in self.elsewhere), None)


def head_of(git: Git, url: str) -> Head | None:
    """Return the tip of the repository's default branch; None where it holds no commit. Raises ``GitError``."""
    commit = branch = ""
    for line in git.run("ls-remote", "--symref", "--", url, "HEAD", url=url).decode("utf-8", "replace").splitlines():
        left, _, name = line.partition("\t")
        if name != "HEAD":
            continue
        if left.startswith("ref: refs/heads/"):
            branch = left.removeprefix("ref: refs/heads/")
        else:
            commit = left
    return Head(commit, branch) if commit else None


def clone(git: Git, url: str, head: Head, into: str, megabytes: float) -> Clone:
    """Clone the tip of the default branch into the new folder *into*. Raises ``GitError``."""
    git.run("init", "--quiet", "--template=", "--", into)
    ref = f"refs/heads/{head.branch}" if head.branch else "HEAD"
    git.run("-C", into, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, ref, url=url, folder=into)
    commit = _fetched(into)
    files, elsewhere = _listed(git, into, commit, megabytes)
    os.makedirs(os.path.join(into, ".git", "info"), exist_ok=True)
    with open(os.path.join(into, ".git", "info", "attributes"), "wb") as file:
        file.write(_NO_ATTRIBUTES)
    git.run("-C", into, "checkout", "--quiet", "--force", "--detach", commit, folder=into)
    for path in elsewhere:
        _remove(into, path)
    return Clone(commit, files, elsewhere)


def _fetched(into: str) -> str:
    """Return the commit that was fetched, without a process that does nothing but read a line."""
    with open(os.path.join(into, ".git", "FETCH_HEAD"), encoding="utf-8", errors="replace") as file:
        commit = file.readline().partition("\t")[0]
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise GitError("git fetch: names no commit")
    return commit


def _listed(git: Git, into: str, commit: str, megabytes: float) -> tuple[tuple[str, ...], frozenset[str]]:
    files: list[str] = []
    elsewhere: set[str] = set()
    total = 0
    for entry in git.run("-C", into, "ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0"):
        about, tab, name = entry.partition(b"\t")
        if not tab:
            continue
        mode, _, _, size = about.split()
        path = os.fsdecode(name)
        if mode.startswith(b"100"):
            files.append(path)
            total += int(size)
        else:
            elsewhere.add(path)
        if total > megabytes * 1e6:
            raise TooLarge(f"larger than {megabytes:g} MB (limits.megabytes)")
        if len(files) > _FILES:
            raise TooLarge(f"more than {_FILES} files")
    return tuple(files), frozenset(elsewhere)


def _remove(root: str, path: str) -> None:
    """Remove the placeholder of a link; no component of its path is followed out of the clone."""
    *folders, name = path.split("/")
    opened: list[int] = []
    try:
        opened.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
        for folder in folders:
            if folder in ("", ".", "..", ".git"):
                raise GitError(f"holds a path that leads out of it: {path}")
            opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        with suppress(IsADirectoryError):  # a submodule's empty folder
            os.unlink(name, dir_fd=opened[-1])
    except OSError as error:
        raise GitError(f"{path}: cannot be left out: {error.strerror}") from error
    finally:
        for handle in opened:
            os.close(handle)
