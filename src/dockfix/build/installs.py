"""What a RUN installs: the package managers that dockfix knows, in all their spellings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockfix.syntax.shell import Command, Script, Word

if TYPE_CHECKING:
    from dockfix.build.model import Step


@dataclass(frozen=True)
class Install:
    """One command that installs packages.

    ``manager`` is one of pip, uv-pip, uv-sync, uv-tool, poetry, pipenv, pdm, conda, apt, apk, yum, npm, yarn, pnpm, gem, go, composer, bundle.
    ``action`` is the manager's own subcommand ("install", "sync", "ci", "add", "update", "download" ...).
    ``command`` is the simple command in ``script``; where the command stands inside ``sh -c '...'`` or the like,
    ``script`` is the inner script (its own mapping leads to file offsets all the same).
    ``verb`` is the word of the subcommand, the usual place to insert an option behind.
    ``packages`` are the operands (requirement specifiers, package names, paths, URLs), None for one with an expansion.
    ``manifests`` are the files that it reads, as written: ``-r``/``-c`` files, pyproject.toml, lock files by the
    manager's convention, relative to ``workdir``.
    ``workdir`` is the absolute directory it runs in (a ``cd`` in the RUN counted in), None if unknown.
    ``options`` are the values of its words that begin with a dash, up to ``=``.
    ``local`` are operands that are paths of the image (``.``, ``-e .``, ``./x``, ``*.whl``), which need the source.
    ``find_links``, ``index`` as given.
    """

    manager: str
    action: str
    script: Script
    command: Command
    verb: Word
    options: frozenset[str]
    packages: tuple[str | None, ...]
    manifests: tuple[str, ...]
    local: tuple[str, ...]
    workdir: str | None
    editable: bool = False
    requirements: tuple[str, ...] = ()
    """The ``-r`` files only, as written."""
    constraints: tuple[str, ...] = ()
    """The ``-c`` files only, as written."""
    unsure: tuple[str, ...] = field(default=())
    """Reasons for which the reading is not complete (an expansion in an operand, an unknown option)."""


def installs_of(step: Step) -> tuple[Install, ...]:
    """Return the installs of a RUN step in order; empty for other steps and for shell that is not understood."""
    return ()
