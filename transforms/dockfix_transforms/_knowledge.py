"""The tables in ``knowledge/``: facts that age, each with its source."""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_FOLDER: Final = os.path.join(os.path.dirname(__file__), "knowledge")
_READ: Final = os.path.join(_FOLDER, "__pycache__")


@cache
def table(name: str) -> Mapping[str, Any]:
    """Return ``knowledge/NAME.toml``.

    What was read is kept beside the table, as Python keeps the bytecode of modules, and under its conditions: reading
    TOML takes a fifth of the whole start.
    """
    path = os.path.join(_FOLDER, f"{name}.toml")
    kept = os.path.join(_READ, f"{name}.{sys.implementation.cache_tag}.marshal")
    status = os.stat(path)
    state = (status.st_mtime_ns, status.st_size)
    try:
        with open(kept, "rb") as file:
            found: tuple[tuple[int, int], dict[str, Any]] = marshal.loads(file.read())  # load() reads byte by byte
        if found[0] == state:
            return found[1]
    except (OSError, EOFError, ValueError, TypeError, IndexError):
        pass  # not kept, or not whole
    import tomllib

    with open(path, "rb") as file:
        entries = tomllib.load(file)
    if not sys.dont_write_bytecode:
        _keep(kept, (state, entries))
    return entries


def _keep(path: str, what: Any) -> None:
    """Write *what* as a whole or not at all; where that cannot be, the table is read again the next time."""
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(_READ, exist_ok=True)
        with open(part, "wb") as file:
            marshal.dump(what, file)
        os.replace(part, path)
    except (OSError, ValueError):
        return
