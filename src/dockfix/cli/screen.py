"""What goes to the screen, or to the file in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from dockfix.syntax.edit import encode


class CommandError(Exception):
    """What was asked for can't be done; the text is for the user."""


def check_output(output: str) -> None:
    """See to it that the file can be written, before anything else is. Raises ``CommandError``."""
    folder = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(folder):
        reason = f"there is no folder {os.path.dirname(output)}"
    elif os.path.isdir(output):
        reason = "it is a folder"
    elif not os.access(output if os.path.exists(output) else folder, os.W_OK):
        reason = "no permission"
    else:
        return
    raise CommandError(f"{printable(output)}: cannot be written: {reason}")


def show(parts: Iterable[str], output: str | None) -> None:
    """Print the text, or write it to the file; bytes that are not UTF-8 come out as they are.

    Raises:
        CommandError: the file can't be written.
    """
    if output is not None:
        try:
            with open(output, "wb") as file:
                file.writelines(map(_encoded, parts))
        except OSError as error:
            raise CommandError(f"{printable(output)}: cannot be written: {error.strerror}") from error
        return
    try:
        sys.stdout.flush()
        for part in parts:
            sys.stdout.buffer.write(_encoded(part))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"the result cannot be written: {error.strerror}") from error


def _encoded(text: str) -> bytes:
    """Return the bytes of *text*; halves of surrogate pairs, which escapes in YAML or Python may leave, are no text."""
    try:
        return encode(text)
    except UnicodeEncodeError:
        import re

        return encode(re.sub("[\ud800-\udc7f\udd00-\udfff]", "\N{REPLACEMENT CHARACTER}", text))


def colours() -> bool:
    """Return whether the screen shows colours, and the user wants them (NO_COLOR, TERM)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(line: str) -> str:
    """Return *line* as one line, with bytes that are no characters as escapes."""
    return " ".join(_encoded(line).decode("utf-8", "backslashreplace").split())
