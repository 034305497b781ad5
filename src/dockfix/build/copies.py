"""What a COPY or ADD brings where: paths of the build context to paths of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockfix.build.model import Step


@dataclass(frozen=True)
class Source:
    """One source of a COPY: ``value`` expanded (None if unknown), ``start``/``end`` file offsets of the word."""

    value: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Copy:
    """A COPY or ADD.

    ``from_`` is the value of ``--from`` (a stage, an image or a named context), None for the build context.
    ``sources`` are as written with variables expanded. ``destination`` is absolute, normalised and without the
    trailing slash (None if unknown); ``directory`` tells whether it is a directory for sure (trailing slash, several
    sources, ".", or the WORKDIR itself).  ``destination_text`` is as written, its file span beside it.
    ``remote`` holds sources that are URLs or git addresses. ``heredoc`` tells that a source is a heredoc.
    """

    from_: str | None
    sources: tuple[Source, ...]
    destination: str | None
    destination_text: str
    destination_start: int
    destination_end: int
    directory: bool
    remote: tuple[str, ...] = ()
    heredoc: bool = False

    @property
    def everything(self) -> bool:
        """Whether it copies the whole build context (``COPY . .``)."""
        return self.from_ is None and any(source.value in (".", "./", "/", "") for source in self.sources)

    def image_path(self, context_path: str) -> str | None:
        """Return where the file *context_path* (POSIX, relative to the context) lands in the image.

        None where this COPY does not bring it, or where that cannot be told. ``COPY dir dst`` copies the *content*
        of a directory; ``COPY file dst`` renames unless the destination is a directory.
        """
        return None


def copy_of(step: Step) -> Copy | None:
    """Return what the COPY or ADD of *step* does, None for other instructions or where it cannot be read."""
    return None
