"""The files of a repository, as everything above the syntax layer reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Files(Protocol):
    """Read access to a repository. Paths are POSIX, relative to its root, without ``./``."""

    @property
    def paths(self) -> frozenset[str]:
        """Every regular file, symbolic links to files included; ``.git``, virtual environments and caches are not."""
        ...

    def text(self, path: str) -> str | None:
        """Return the file's text (UTF-8 with surrogateescape), None where it is no readable file or too large."""
        ...

    def trouble(self, path: str) -> str:
        """Return why there is no text of *path*, in words for the user."""
        ...

    def is_directory(self, path: str) -> bool:
        """Return whether a file lies below *path*; "" is the root."""
        ...

    def below(self, folder: str) -> tuple[str, ...]:
        """Return the files below *folder* ("" for all), sorted, relative to the root."""
        ...


class MemoryFiles:
    """Files held in a mapping, for tests, documentation examples and single Dockerfiles."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        self._contents = dict(contents)
        self.paths = frozenset(self._contents)

    def text(self, path: str) -> str | None:
        """Return the file's text or None."""
        return self._contents.get(path)

    def trouble(self, path: str) -> str:
        """Return why there is no text of *path*."""
        return "no such file"

    def is_directory(self, path: str) -> bool:
        """Return whether a file lies below *path*."""
        return any(name.startswith(f"{path}/") for name in self.paths) if path else bool(self.paths)

    def below(self, folder: str) -> tuple[str, ...]:
        """Return the files below *folder*, sorted."""
        return tuple(sorted(name for name in self.paths if not folder or name.startswith(f"{folder}/")))
