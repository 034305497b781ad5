"""What may help an image that does not build as it is: said to the user, who knows what is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from dockfix.build.keyvalue import pairs_of
from dockfix.syntax.dockerfile import Dockerfile

_GIVEN: Final = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)|\w+_proxy", re.IGNORECASE)
"""The arguments that the builder itself knows."""
_METADATA: Final = re.compile(r"\[internal\] load metadata for (\S+)")
_SYNTAX: Final = re.compile(r"resolve image config for (\S+)")
_PULL: Final = re.compile(r"(?i)initializing source docker://([^\s:]+(?::[\w.-]+)?)|pull access denied for ([^\s,]+)")


def arguments_without_value(dockerfile: Dockerfile, given: Collection[str]) -> tuple[str, ...]:
    """Return the build arguments that have a default nowhere in the file, and are not *given*."""
    pairs = [pair for one in dockerfile.instructions for pair in pairs_of(one, dockerfile.escape)]
    known = {pair.name for pair in pairs if pair.raw is not None}
    names = dict.fromkeys(pair.name for pair in pairs if pair.raw is None)
    return tuple(name for name in names if name not in known and name not in given and not _GIVEN.fullmatch(name))


def hints(ending: Collection[str], arguments: Collection[str]) -> Iterator[str]:
    """Yield what may help: *ending* is the end of the log, *arguments* are those without a value."""
    syntax = next((match for match in map(_SYNTAX.search, ending) if match), None)
    if syntax is not None:
        yield f"the syntax {syntax[1]} that the first line asks for is not here and cannot be pulled"
    base = next((match for match in map(_METADATA.search, ending) if match), None)
    base = base or next((match for match in map(_PULL.search, ending) if match), None)
    if base is not None:
        name = next(filter(None, base.groups()))
        yield f"the base image {name} is not here and cannot be pulled: log in where it lies, or build or pull it first"
    if arguments:
        yield f"build arguments without a value: {', '.join(arguments)}; --build-arg NAME=VALUE gives one"
