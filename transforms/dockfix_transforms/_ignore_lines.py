"""Lines that are added to an ignore file."""

from __future__ import annotations

from typing import Final

from dockfix.syntax.dockerignore import IgnoreFile
from dockfix.syntax.edit import Edit, insert

SECRET_FILES: Final = "Secrets of compose"
_HEADINGS: Final = ("Version control", "Python", "Node", "Editors and system files", "Docker", SECRET_FILES, "Secrets")


def added(present: IgnoreFile, lines: list[tuple[str, str]]) -> Edit:
    """Return the edit that adds *lines*: in groups with a heading where the file is new, plainly otherwise."""
    newline = present.newline
    parts: list[str] = []
    grouped = any(line.text[2:] in _HEADINGS for line in present.lines if line.text.startswith("# "))
    if present.patterns and not grouped:
        parts = [text + newline for _, text in lines]
    else:
        group = ""
        for heading, text in lines:
            if heading != group:
                gap = newline if parts or present.text.strip() else ""
                parts.append(f"{gap}# {heading}{newline}")
                group = heading
            parts.append(text + newline)
    lead = newline if present.text and not present.text.endswith("\n") else ""
    return insert(len(present.text), lead + "".join(parts))


def listed(patterns: list[str]) -> str:
    """Return the first of *patterns* as a title shows them."""
    shown = [pattern for pattern in patterns if not pattern.startswith("!")]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:3])}{' ...' if len(shown) > 3 else ''}"
