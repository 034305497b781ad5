"""A set of changed files: show it as a diff that ``git apply`` takes, or write it, all files or none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from dockfix.records import record, replace

NEW_FILE_MODE: Final = 0o644
_NO_NEWLINE: Final = "\\ No newline at end of file\n"


class WriteError(Exception):
    """The change set could not be written; nothing was. ``path`` is the file in the way."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}; nothing was written"


@record
class Change:
    """One file's text before (None: there is none) and after. ``path`` is relative to the repository's root."""

    path: str
    before: str | None
    after: str
    mode: int = NEW_FILE_MODE

    def under(self, prefix: str) -> Change:
        """Return the same change with *prefix* before its path."""
        return replace(self, path=prefix + self.path) if prefix else self

    @property
    def diff(self) -> str:
        """The change as git shows it, with ``a/`` and ``b/``; paths are quoted as git quotes them."""
        old, new = _quoted(f"a/{self.path}"), _quoted(f"b/{self.path}")
        lines = [f"diff --git {old} {new}\n"]
        if self.before is None:
            lines.append(f"new file mode 100{'755' if self.mode & 0o111 else '644'}\n")
            old = "/dev/null"
        body = list(hunks(self.before or "", self.after))
        if body:  # a tab ends a name that holds spaces, as in git
            lines += [f"--- {old}{_tab(old)}\n", f"+++ {new}{_tab(new)}\n"]
        for hunk in body:
            lines += hunk.lines
        return "".join(lines)


@record
class Hunk:
    """A stretch of changed lines with its surroundings, its ``@@`` line first."""

    lines: tuple[str, ...]
    before: tuple[int, int]
    """The lines of the text before that it replaces, from 0, end exclusive."""
    after: tuple[str, ...]
    """The lines that stand there afterwards."""


def hunks(before: str, after: str) -> Iterator[Hunk]:
    """Yield the differences, with three lines around each."""
    from difflib import SequenceMatcher

    old, new = _lines(before), _lines(after)
    for group in SequenceMatcher(None, old, new, autojunk=len(old) > 20_000).get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        lines = [f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"]
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [_marked(" ", line) for line in old[i1:i2]]
                continue
            lines += [_marked("-", line) for line in old[i1:i2]]
            lines += [_marked("+", line) for line in new[j1:j2]]
        yield Hunk(tuple(lines), (first[1], last[2]), tuple(new[first[3] : last[4]]))


def apply_hunks(before: str, chosen: Iterable[Hunk]) -> str:
    """Return *before* with only the chosen hunks applied."""
    old = _lines(before)
    parts: list[str] = []
    position = 0
    for hunk in sorted(chosen, key=lambda hunk: hunk.before):
        parts += old[position : hunk.before[0]]
        parts += hunk.after
        position = hunk.before[1]
    return "".join([*parts, *old[position:]])


def _lines(text: str) -> list[str]:
    """Split at line feeds only, as git does: ``splitlines`` would also split at form feeds and lone returns."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _marked(mark: str, line: str) -> str:
    return f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}\n{_NO_NEWLINE}"


def _range(start: int, stop: int) -> str:
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _tab(name: str) -> str:
    return "\t" if " " in name else ""


def _quoted(path: str) -> str:
    """Return the path as git writes it in a diff (``core.quotePath``)."""
    data = path.encode("utf-8", "surrogateescape")
    named = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    if all(32 <= byte < 127 and byte not in named for byte in data):
        return path
    quoted = "".join(
        f"\\{named[byte]}" if byte in named else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in data
    )
    return f'"{quoted}"'


def diff(changes: Iterable[Change]) -> str:
    """Return the diff of all changes, one file after the other."""
    return "".join(change.diff for change in changes if change.before != change.after)


class _Prepared:
    """A change whose new text lies ready beside its place."""

    def __init__(self, change: Change, target: str, temporary: str, backup: bytes | None) -> None:
        self.change = change
        self.target = target
        self.temporary = temporary
        self.backup = backup
        self.placed = False


def write(root: str, changes: Sequence[Change]) -> None:
    """Write all *changes* below *root*, or none of them. Raises ``WriteError``.

    Each file is written beside its place and moved there, so a reader never sees half of one; mode and owner are kept.
    A file that is not as it was when it was read stops the whole set, and so does a symbolic link that leads out of
    the repository.
    """
    prepared: list[_Prepared] = []
    folders: list[str] = []
    real_root = os.path.realpath(root)
    path = ""
    try:
        for change in changes:
            path = change.path
            prepared.append(_prepare(real_root, change, folders))
        for item in prepared:
            path = item.change.path
            os.replace(item.temporary, item.target)
            item.placed = True
        for folder in dict.fromkeys(os.path.dirname(item.target) for item in prepared):
            _sync_folder(folder)
    except BaseException as error:
        _undo(prepared, folders)
        if isinstance(error, OSError):
            raise WriteError(path, f"cannot be written: {error.strerror or error}") from error
        raise


def _prepare(root: str, change: Change, folders: list[str]) -> _Prepared:
    from tempfile import mkstemp

    target = os.path.realpath(os.path.join(root, change.path))
    if os.path.commonpath([root, target]) != root:
        raise WriteError(change.path, "leads out of the repository through a symbolic link")
    before = _read(target)
    expected = None if change.before is None else change.before.encode("utf-8", "surrogateescape")
    if before != expected:
        raise WriteError(change.path, "was changed by someone else in the meantime; run dockfix again")
    if before is not None and not os.access(target, os.W_OK):
        raise WriteError(change.path, "is read-only; make it writable first")
    folder = os.path.dirname(target)
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for name in reversed(missing):
        os.mkdir(name)
        folders.append(name)
    handle, temporary = mkstemp(prefix=".dockfix-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after.encode("utf-8", "surrogateescape"))
            file.flush()
            if before is None:
                os.chmod(temporary, change.mode & ~_umask())
            else:
                status = os.stat(target)
                with suppress(OSError):  # only root may give files away
                    os.chown(temporary, status.st_uid, status.st_gid)
                os.chmod(temporary, stat.S_IMODE(status.st_mode))
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return _Prepared(change, target, temporary, before)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _undo(prepared: Iterable[_Prepared], folders: Iterable[str]) -> None:
    for item in prepared:
        if not item.placed:
            with suppress(OSError):
                os.unlink(item.temporary)
        elif item.backup is None:
            with suppress(OSError):
                os.unlink(item.target)
        else:  # the inode is new already; its mode and owner are those of the old one
            with suppress(OSError), open(item.target, "wb") as file:
                file.write(item.backup)
    for folder in reversed(list(folders)):
        with suppress(OSError):
            os.rmdir(folder)
