"""Requirements files, line by line, with the places where everything stands.

The rules are those of pip's ``req_file.py``: a backslash at the end joins lines, but not behind a comment; a ``#``
behind white space starts a comment; options may follow a requirement. The text is never written again as a whole.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final, Literal

from dockfix.records import record
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern

Kind = Literal[
    "requirement", "url", "path", "editable", "include", "constraint", "option", "comment", "blank", "unknown"
]

_COMMENT_LINE: Final = pattern(r"\s*#")
_COMMENT: Final = pattern(r"(?:^|\s+)#.*\Z", re.DOTALL)
_PLAIN: Final = pattern(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[A-Za-z0-9._,\s-]*\])?\s*"
    r"(?P<specifier>(?:(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*)\Z"
)
_TRAILING_OPTION: Final = pattern(r"\s(?=--?[a-z])")
_SHORT: Final = pattern(r"-([rcefi])\s*=?\s*(\S.*)\Z", re.DOTALL)
_LONG: Final = pattern(r"--([a-z][a-z-]*)(?:\s*[=\s]\s*(\S.*))?\Z", re.DOTALL)
_SHORT_NAMES: Final = {"r": "requirement", "c": "constraint", "e": "editable", "f": "find-links", "i": "index-url"}
_URL: Final = pattern(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|(?=[^\\/]))")
_NAMED_URL: Final = pattern(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*@\s*(\S+)")
_EGG: Final = pattern(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_COMMIT: Final = pattern(r"@[0-9a-f]{40}\b")
_ARCHIVE: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


@record
class Line:
    """One logical line: ``text[start:end]``, continuation lines and the line ending included.

    ``name`` is normalised (PEP 503), None where it is not known. ``specifier`` is the version part as written, "" for
    none. ``pinned`` tells that exactly one version fits. ``value`` is the path, URL or argument of an option, without
    its comment; ``option`` the long name of an option without dashes.
    """

    kind: Kind
    start: int
    end: int
    number: int
    """The first physical line, from 1."""
    name: str | None = None
    specifier: str = ""
    pinned: bool = False
    has_hash: bool = False
    value: str = ""
    option: str = ""
    extras: frozenset[str] = frozenset()
    marker: str = ""


def normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirements(text: str) -> tuple[Line, ...] | None:
    """Return the lines of *text*; None where it is no text that pip and this reader read alike (UTF-16, NUL)."""
    if "\0" in text or text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        return None
    lines: list[Line] = []
    position = 1 if text.startswith("\ufeff") else 0
    number = 1
    while position < len(text):
        start, first = position, number
        parts: list[str] = []
        while position < len(text):
            at = text.find("\n", position)
            end = len(text) if at < 0 else at + 1
            physical = text[position:end].rstrip("\r\n")
            position = end
            number += 1
            if _COMMENT_LINE.match(physical):
                parts.append(" " + physical)
                break
            if not physical.endswith("\\"):
                parts.append(physical)
                break
            parts.append(physical[:-1])
        lines.append(_line("".join(parts), start, position, first))
    return tuple(lines)


def as_read(text: str) -> str:
    """Return *text* as pip decodes it, by its byte order mark; to read only, since offsets in it are not the file's."""
    if not text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-16", "replace")


def add_requirement_edit(text: str, requirement: str) -> Edit:
    """Return the edit that adds *requirement* as a line of its own behind the last line that holds something."""
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    body = text.rstrip(" \t\r\n\f")
    last = text.rfind("\n", 0, len(body)) + 1
    if body.endswith("\\") and not _COMMENT_LINE.match(body[last:]):
        # A continuation without an end would swallow the new line; an empty line ends it.
        ending = "" if text.endswith("\n") else newline
        return Edit(len(text), len(text), f"{ending}{newline}{requirement}{newline}")
    if not body.strip("\ufeff"):
        return Edit(len(text), len(text), f"{requirement}{newline}")
    at = text.find("\n", len(body))
    if at < 0:
        return Edit(len(text), len(text), f"{newline}{requirement}{newline}")
    return Edit(at + 1, at + 1, f"{requirement}{newline}")


def reachable_manifests(files_text: Callable[[str], str | None], path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return every requirements file that pip reads for *path*, itself first, and why the list may not be complete.

    *files_text* gives a file's text or None. Nested files are relative to the file that names them. The reasons name
    files that are missing or not read, and lines that install or look up something else of the project.
    """
    found: dict[str, None] = {}
    reasons: list[str] = []
    waiting = [posixpath.normpath(path)]
    while waiting:
        current = waiting.pop(0)
        if current in found:
            continue
        text = None if current.startswith("../") else files_text(current)
        if text is None:
            reasons.append(f"{current} is not among the files")
            continue
        found[current] = None
        lines = parse_requirements(as_read(text))
        if lines is None:
            reasons.append(f"{current} is no text that pip reads")
            continue
        folder = posixpath.dirname(current)
        for line in lines:
            where = f"{current}:{line.number}"
            if line.kind in ("include", "constraint"):
                if "://" in line.value:
                    continue
                if "$" in line.value or posixpath.isabs(line.value):
                    reasons.append(f"{where} reads {line.value}")
                else:
                    waiting.append(posixpath.normpath(posixpath.join(folder, line.value)))
            elif line.kind == "path" or (line.kind == "editable" and not _is_remote(line.value)):
                reasons.append(f"{where} installs {line.value} from the source")
            elif line.option == "find-links" and not _is_remote(line.value):
                reasons.append(f"{where} looks for packages in {line.value}")
            elif line.kind == "unknown":
                reasons.append(f"{where} cannot be read")
    return tuple(found), tuple(reasons)


def _is_remote(value: str) -> bool:
    return "://" in value and not value.startswith(("file:", "git+file:"))


def _line(joined: str, start: int, end: int, number: int) -> Line:
    content = _COMMENT.sub("", joined).strip()
    if not content:
        kind: Kind = "comment" if joined.strip() else "blank"
        return Line(kind, start, end, number, value=joined.strip())
    if content.startswith("-"):
        return _option(content, start, end, number)
    split = _TRAILING_OPTION.search(content)
    head = content[: split.start()].strip() if split else content
    has_hash = split is not None and "--hash" in content[split.start() :]
    match = _PLAIN.match(head)
    if match and not head.endswith(_ARCHIVE):
        specifier = match["specifier"].strip()
        extras = frozenset(part.strip() for part in (match["extras"] or "[]")[1:-1].split(",") if part.strip())
        return Line(
            "requirement",
            start,
            end,
            number,
            normalised(match["name"]),
            specifier,
            _is_pin(specifier),
            has_hash,
            head,
            extras=extras,
        )
    named = _NAMED_URL.match(head)
    if named or _URL.match(head):
        url = named[2] if named else head.split()[0]
        egg = _EGG.search(url)
        name = normalised(named[1]) if named else normalised(egg[1]) if egg else None
        local = url.startswith(("file:", "."))
        pinned = has_hash or _COMMIT.search(url) is not None
        return Line("path" if local else "url", start, end, number, name, "", pinned, has_hash, url)
    if head.startswith((".", "/", "~")) or "/" in head.partition(";")[0] or head.endswith(_ARCHIVE):
        return Line("path", start, end, number, has_hash=has_hash, value=head.partition(";")[0].strip())
    return _by_packaging(head, start, end, number, has_hash)


def _by_packaging(head: str, start: int, end: int, number: int, has_hash: bool) -> Line:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(head)
    except InvalidRequirement:
        return Line("unknown", start, end, number, has_hash=has_hash, value=head)
    specifier = str(requirement.specifier)
    return Line(
        "requirement",
        start,
        end,
        number,
        normalised(requirement.name),
        specifier,
        _is_pin(specifier),
        has_hash,
        head,
        extras=frozenset(requirement.extras),
        marker=str(requirement.marker or ""),
    )


def _is_pin(specifier: str) -> bool:
    return any(
        part.strip().startswith("==") and not part.rstrip().endswith("*") for part in specifier.split(",") if part
    )


def _option(content: str, start: int, end: int, number: int) -> Line:
    short, long = _SHORT.match(content), _LONG.match(content)
    if short:
        option, value = _SHORT_NAMES[short[1]], short[2]
    elif long:
        option, value = long[1], long[2] or ""
    else:
        return Line("unknown", start, end, number, value=content)
    value = value.strip().strip("'\"")
    if option == "editable":
        value = value.split(" --", 1)[0].split(" ;", 1)[0].strip()
        egg = _EGG.search(value)
        return Line("editable", start, end, number, normalised(egg[1]) if egg else None, value=value, option=option)
    kinds: dict[str, Kind] = {"requirement": "include", "constraint": "constraint"}
    return Line(kinds.get(option, "option"), start, end, number, value=value, option=option)
