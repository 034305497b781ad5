"""Regular expressions that are compiled when they are first used.

There are more than a hundred of them, and compiling takes a third of the time that starting takes; one file needs few.
"""

from __future__ import annotations

import re
from typing import Any, cast


class _Lazy:
    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._source, self._flags)
        # found directly from now on, without this detour
        for method in ("match", "fullmatch", "search", "finditer", "findall", "split", "sub", "subn", "pattern"):
            self.__dict__[method] = getattr(compiled, method)
        return getattr(compiled, name)


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return a stand-in for ``re.compile(source, flags)`` that compiles at its first use."""
    return cast("re.Pattern[str]", _Lazy(source, flags))
