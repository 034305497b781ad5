"""The transform copy-for-add."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.copies import Source
    from dockfix.build.model import Build, Step

_ARCHIVE: Final = pattern(r"\.(?:tar|tgz|tbz2?|txz|tzst|tlz|gz|bz2|xz|zst|lzma|Z)(?:\.\w+)?\Z", re.IGNORECASE)
_SAME_FLAGS: Final = frozenset({"chown", "chmod", "link", "exclude"})
_BEGINNINGS: Final = ("\x1f\udc8b", "BZh", "\udcfd7zXZ", "(\udcb5/\udcfd")
"""How gzip, bzip2, xz and zstd files begin, as text with surrogate escapes."""


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def copy_for_add(build: Build) -> Iterator[Fix | Skip]:
    """Copy files with COPY; ADD is for addresses and archives.

    Why: ADD unpacks archives and fetches addresses, so that nobody knows what it does without a look at the file.
    COPY copies.

    Example:
         FROM python:3.12-slim
        -ADD requirements.txt /app/
        +COPY requirements.txt /app/
         RUN pip install -r /app/requirements.txt

    When it holds back: an address or a git repository; an archive, by its name or, where the file is at hand, by its
    content; a source that a variable names; a pattern that may stand for archives; flags that COPY has not.

    Source: Docker's documentation, "Building best practices", ADD or COPY
    (https://docs.docker.com/build/building/best-practices/#add-or-copy).
    """
    for step in build.steps:
        if step.keyword != "ADD" or step.copy is None or step.copy.remote:
            continue
        if any(flag.name not in _SAME_FLAGS for flag in step.instruction.flags):
            continue
        reasons = (_reason(build, source) for source in step.copy.sources)
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            yield _fix(build, step)
        elif reason:
            yield Skip(f"ADD stays: {reason}", step.line)


def _fix(build: Build, step: Step) -> Fix:
    start, word = step.instruction.keyword_start, step.instruction.keyword_text
    end = start + len(word)
    aligned = build.dockerfile.text[end : end + 2] == "  "  # one space fewer keeps the column
    edit = Edit(start, end + aligned, "copy" if word.islower() else "COPY")
    return Fix("copy files with COPY", {build.path: [edit]}, step.line)


def _reason(build: Build, source: Source) -> str | None:
    """Return why ADD may do more than COPY with the source, "" where it clearly does; None where it does not."""
    written = build.dockerfile.text[source.start : source.end].strip("\"',")
    value = written if source.value is None else source.value
    if _ARCHIVE.search(value):
        return ""
    if source.value is None and written.startswith("$"):
        return f"what {written} names is not known"
    context = build.project.context
    path = posixpath.normpath("/" + value).strip("/")
    if re.search(r"[*?\[]", path):
        found = [one for one in context.paths if fnmatchcase(one, path) and one.count("/") == path.count("/")]
        if any(_ARCHIVE.search(one) for one in found) or not (found or re.search(r"\.\w+\Z", path)):
            return f"{value} may stand for archives"
    else:
        found = [path] if context.repository_path(path) in context.files.paths else []
    for one in found:
        text = context.text(one)
        if text is None and "." not in posixpath.basename(one):
            return f"{one} cannot be looked into"
        if text is not None and (text.startswith(_BEGINNINGS) or text[257:262] == "ustar"):
            return f"{one} is an archive, whatever its name"
    return None
