"""The campaign as one HTML page that needs nothing but itself: totals, each repository, reasons, diffs.

Much of it comes from repositories that nobody vouches for. All of it is escaped, the page may load nothing, and it
runs no script but its own, which its policy names by hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Final

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.journal import Journal, Standing
from dockfix.fleet.progress import STATES, printable

_LINES: Final = 3000
"""Of one diff; a longer one is cut."""


def write_page(campaign: Campaign, folder: str, output: str | None = None) -> str:
    """Write the page and return its path. Raises ``CampaignError``."""
    try:
        import jinja2
    except ImportError as error:
        raise CampaignError("jinja2 is missing: pip install 'dockfix[fleet]'") from error
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_shown
    )
    path = output or os.path.join(folder, "report.html")
    with closing(Journal(folder)) as journal:
        counts: Counter[str] = Counter()
        transforms: Counter[str] = Counter()
        for one in journal.standings():
            counts[one.state] += 1
            transforms.update(_concerned(one, _result(journal, one)))
        script, style = _beside("page.js"), _beside("page.css")
        pieces = environment.from_string(_beside("page.html.jinja")).generate(
            title=campaign.title,
            name=campaign.name,
            made=time.strftime("%Y-%m-%d %H:%M"),
            total=counts.total(),
            states=[(state, counts[state]) for state in STATES if counts[state]],
            transforms=sorted(transforms.items()),
            repositories=_repositories(journal),
            script=script,
            style=style,
            policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'",
        )
        _write(path, pieces)
    return path


def _beside(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read().strip()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _write(path: str, pieces: Iterator[str]) -> None:
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "w", encoding="utf-8", errors="backslashreplace") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(new, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        raise CampaignError(f"{path}: cannot be written: {error.strerror}") from error


def _repositories(journal: Journal) -> Iterator[dict[str, Any]]:
    for one in journal.standings():
        document = json.loads(journal.document(one.name))
        result = document.get("result", {})
        yield {
            "name": one.name,
            "link": _link(one.url),
            "state": one.state,
            "reason": printable(one.reason),
            "commit": one.commit,
            "pull": _link(one.pull_url),
            "number": one.number,
            "transforms": one.transforms,
            "concerned": _concerned(one, result),
            "fixes": result.get("fixes", ()),
            "suggestions": result.get("suggestions", ()),
            "skips": result.get("skips", ()),
            "errors": result.get("errors", ()),
            "verified": document.get("verify", ()),
            "diffs": [_diff(file["diff"]) for file in result.get("files", ()) if file["diff"]],
            "seconds": _seconds(one),
        }


def _result(journal: Journal, one: Standing) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(journal.document(one.name)).get("result", {})
    return result


def _concerned(one: Standing, result: dict[str, Any]) -> tuple[str, ...]:
    """Return the transforms that change the repository; where none does, those that left something alone."""
    return one.transforms or tuple(dict.fromkeys(skip["transform"] for skip in result.get("skips", ())))


def _seconds(one: Standing) -> str:
    return f"{one.seconds:.1f} s" if one.seconds else ""


def _link(url: str) -> str:
    """Return the address if a click on it does no harm, without the ending that only git wants."""
    return url.removesuffix(".git") if re.match(r"https?://", url) else ""


def _diff(text: str) -> list[tuple[str, str]]:
    """Return the lines of a diff, each with the kind of line that it is."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    body = False
    shown = []
    for line in lines[:_LINES]:
        body = body or line.startswith("@@")
        kinds = {"+": "add", "-": "del", "@": "hunk", "\\": "hunk"}
        shown.append((kinds.get(line[:1], "same") if body else "head", line))
    if len(lines) > _LINES:
        shown.append(("head", f"... {len(lines) - _LINES} more lines; the patch has them all"))
    return shown


def _shown(value: object) -> object:
    """Return what the page is to show; what is mark-up already is the page's own."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else _visible(value)


def _visible(line: str) -> str:
    """Show what a page would hide: carriage returns, characters that turn the direction of a line."""
    return "".join(char if char.isprintable() or char == "\t" else f"<U+{ord(char):04X}>" for char in line)
