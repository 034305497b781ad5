"""The build context: which folder ``docker build`` sends, and which of its files .dockerignore keeps out."""

from __future__ import annotations

from dataclasses import dataclass

from dockfix.project.files import Files


@dataclass(frozen=True)
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

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of the context relative to ``root``, ignored ones included, sorted."""
        return ()

    def ignored(self, path: str) -> bool:
        """Return whether .dockerignore keeps *path* (relative to ``root``) out of the build."""
        return False

    def has(self, path: str) -> bool:
        """Return whether the build gets the file or folder *path* (exists and is not ignored)."""
        return False

    def text(self, path: str) -> str | None:
        """Return the text of the file *path*, relative to ``root``."""
        return None

    def repository_path(self, path: str) -> str:
        """Return *path* (relative to ``root``) relative to the repository."""
        return f"{self.root}/{path}" if self.root else path


def find_context(files: Files, dockerfile_path: str, copied: tuple[str, ...]) -> Context:
    """Find the build context of a Dockerfile, in the order that the design gives."""
    raise LookupError("not found")
