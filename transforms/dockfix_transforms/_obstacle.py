"""How the parts of a transform say that they hold back."""

from __future__ import annotations

from dockfix.transform import Skip


class Obstacle(Exception):
    """The reason for which nothing is changed, and where it is found; ``skip`` is what the transform yields."""

    def __init__(self, reason: str, line: int = 0, path: str | None = None) -> None:
        super().__init__(reason)
        self.skip = Skip(reason, line, path)
