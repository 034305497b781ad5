"""Regular expressions that are compiled when they are first used.

There are more than a hundred of them, and compiling takes a third of the time that starting takes; one file needs few.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Lazy:
    def __init__(self, source: str, flags: int) -> None:
        self.source = source
        self.options = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self.source, self.options)
        # found directly from now on, without this detour
        for method in ("match", "fullmatch", "search", "finditer", "findall", "split", "sub", "subn", "pattern"):
            self.__dict__[method] = getattr(compiled, method)
        return getattr(compiled, name)


class _Hinted(_Lazy):
    """Answers by itself for texts that hold none of the words without which there is no match."""

    def __init__(self, source: str, flags: int, words: tuple[str, ...]) -> None:
        super().__init__(source, flags)
        self.words = words
        self.folded = flags & re.IGNORECASE or source.startswith("(?i)")

    def _method(self, name: str, text: str) -> Any:
        seen = text.lower() if self.folded else text
        return self.__getattr__(name) if any(word in seen for word in self.words) else None

    def search(self, text: str, *span: int) -> re.Match[str] | None:
        method = self._method("search", text)
        return method(text, *span) if method else None

    def match(self, text: str, *span: int) -> re.Match[str] | None:
        method = self._method("match", text)
        return method(text, *span) if method else None

    def fullmatch(self, text: str, *span: int) -> re.Match[str] | None:
        method = self._method("fullmatch", text)
        return method(text, *span) if method else None

    def finditer(self, text: str, *span: int) -> Iterator[re.Match[str]]:
        method = self._method("finditer", text)
        return method(text, *span) if method else iter(())

    def findall(self, text: str, *span: int) -> list[Any]:
        method = self._method("findall", text)
        return method(text, *span) if method else []


def pattern(source: str, flags: int = 0, *, words: tuple[str, ...] = ()) -> re.Pattern[str]:
    """Return a stand-in for ``re.compile(source, flags)`` that compiles at its first use.

    Every match holds one of *words*, if there are any (in lower case where case is ignored): while no text holds one,
    nothing is compiled.
    """
    return cast("re.Pattern[str]", _Hinted(source, flags, words) if words else _Lazy(source, flags))
