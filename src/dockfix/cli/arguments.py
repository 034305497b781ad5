"""What a command line that rewrites asks for; the plainest ones are read here, without click.

Importing click takes longer than reading, rewriting and comparing a small repository, and bots start dockfix once a
repository with nothing but a flag and a path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from dockfix.records import record

COMMANDS: Final[Mapping[str, str]] = {
    "list": "dockfix.cli.list",
    "explain": "dockfix.cli.explain",
    "verify": "dockfix.cli.verify",
    "fleet": "dockfix.cli.fleet",
}
"""A command's module by its name; the module holds the click command ``command``."""

_MODES: Final = {"--diff": "diff", "--write": "write", "--check": "check"}


@record
class Arguments:
    """The values of the options and arguments of ``dockfix [PATH]...``, named as there."""

    paths: tuple[str, ...] = ()
    mode: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    safe_only: bool = False
    files: tuple[str, ...] = ()
    config: str | None = None
    form: str = "text"
    output: str | None = None
    jobs: int | None = None
    pin_digests: bool = False


def plain_arguments(words: Sequence[str]) -> Arguments | None:
    """Return what *words* ask for, or None where they are not just paths and flags: then click reads them.

    One of the flags says what to do, so that nothing has to be asked.
    """
    mode: str | None = None
    safe_only = False
    paths = []
    if not words or words[0] in COMMANDS or "_DOCKFIX_COMPLETE" in os.environ:
        return None
    for word in words:
        if word in _MODES:
            if mode not in (None, _MODES[word]):
                return None
            mode = _MODES[word]
        elif word == "--safe-only":
            safe_only = True
        elif not word or word.startswith("-"):
            return None
        else:
            paths.append(word)
    return Arguments(tuple(paths), mode, safe_only=safe_only) if mode else None
