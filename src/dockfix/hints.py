"""What an error message says besides what is wrong: what was meant, and in which line of a TOML file it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `` (did you mean NAME?)`` with the one of *names* that is nearest to *name*; "" where none is near."""
    import difflib

    by_small = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), by_small, n=1)
    return f" (did you mean {by_small[close[0]]}?)" if close else ""


def line_of(text: str, key: str) -> int:
    """Return the line of the TOML *text* in which *key* is set or its table begins, 0 where it cannot be told."""
    table, _, name = key.rpartition(".")
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\]]+)\]", line):
            inside = re.sub(r"[\s\"']", "", header[1])
            if inside in (key, f"{key}."):
                return number
        elif found := re.match(r"\s*([^=#]+?)\s*=", line):
            whole = ".".join(filter(None, (inside, re.sub(r"[\s\"']", "", found[1]))))
            if whole == key or (inside == table and whole.rpartition(".")[2] == name):
                return number
    return 0
