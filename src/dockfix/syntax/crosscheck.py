"""A second opinion on where the instructions of a Dockerfile are, from the dockerfile-parse library.

A file on which two parsers disagree is left alone. What dockerfile-parse is known to misread is not put to it.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Final

from dockfix.syntax.dockerfile import Blank, Dockerfile
from dockfix.syntax.patterns import pattern

# dockerfile-parse ends an instruction at an empty line in a continuation, where BuildKit reads on; it takes `\\` at
# the end of a line as a continuation, and a line of a lone continuation character as an instruction; it loses an
# instruction whose continuation runs into the end of the file.
_MISREAD: Final = pattern(r"\\\\[ \t]*\r?$|^[ \t]*\\[ \t]*\r?$|\\[ \t]*(?:\r?\n(?:[ \t]*#[^\n]*)?)*\Z", re.MULTILINE)
_EMPTY_LINE: Final = pattern(r"\n[^\S\n]*\n|\n[^\S\n]+\Z")
# White space that the two parsers treat differently at the edges of a line.
_ODD_SPACE: Final = pattern(r"[\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|\r(?!\n)")
# dockerfile-parse takes time by the square of an instruction's length: 0.7 s for one of a million characters.
_LONGEST: Final = 100_000


def crosscheck(dockerfile: Dockerfile) -> str | None:
    """Return why the two parsers disagree on *dockerfile*; None where they agree, or where asking makes no sense."""
    if not _applies(dockerfile):
        return None
    from dockerfile_parse import DockerfileParser

    # A file object, never a path: given a path, the library may write to it.
    try:
        structure = DockerfileParser(fileobj=BytesIO(dockerfile.text.encode())).structure
        theirs = [
            (entry["instruction"], entry["startline"] + 1, entry["endline"] + 1)
            for entry in structure
            if entry["instruction"] != "COMMENT"
        ]
    except Exception as error:  # whatever a second parser raises is a disagreement, not a crash of this program
        return f"dockerfile-parse cannot read the file ({type(error).__name__})"
    ours = [(node.keyword, node.line, node.end_line) for node in dockerfile.instructions]
    if ours == theirs:
        return None
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return (
                f"two parsers disagree: {mine[0]} on lines {mine[1]}-{mine[2]}, "
                f"or {other[0]} on lines {other[1]}-{other[2]}"
            )
    return f"two parsers disagree: {len(ours)} instructions, or {len(theirs)}"


def _applies(dockerfile: Dockerfile) -> bool:
    text = dockerfile.text
    if text.startswith("\ufeff") or dockerfile.escape != "\\" or ("\\" in text and _MISREAD.search(text)):
        return False
    if not (text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()) and _ODD_SPACE.search(text):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    for node in dockerfile.nodes:
        if isinstance(node, Blank) and node.line != node.end_line:  # a lone continuation character
            return False
    for node in dockerfile.instructions:
        if node.heredocs or node.end - node.start > _LONGEST:
            return False
        if node.line != node.end_line and _EMPTY_LINE.search(dockerfile.raw(node)):
            return False
    return True
