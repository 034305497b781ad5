"""Variables as compose has them: env files, and what stands in their place in a compose file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = re.compile(r"\$\$|\$\{(\w+)(?:(:?[-?+])([^{}]*))?\}|\$(\w+)")
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def read_variables(text: str) -> dict[str, str]:
    """Read an env file: ``NAME=value`` lines, with quotes and comments as compose takes them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if not match:
            continue
        value = match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.split(r"\s#", value)[0].rstrip()
        found[match[1]] = value
    return found


def resolve(text: str, variables: Mapping[str, str]) -> str:
    """Return *text* with compose's variables replaced; one that has no value becomes empty, as in compose."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        known = variables.get(match[1] or match[4])
        if match[2] in ("-", ":-", "?", ":?"):
            return known if known else (match[3] if "-" in match[2] else "")
        if match[2] in ("+", ":+"):
            return match[3] if known else ""
        return known or ""

    return _VARIABLE.sub(value, text)
