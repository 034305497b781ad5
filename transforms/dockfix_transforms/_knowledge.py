"""The tables in ``knowledge/``: facts that age, each with its source."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return ``knowledge/NAME.toml``."""
    import tomllib

    with open(os.path.join(os.path.dirname(__file__), "knowledge", f"{name}.toml"), "rb") as file:
        return tomllib.load(file)
