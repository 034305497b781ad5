"""The text of a pull request, for its reader: what changes, why, what was refused, how to say no.

Much of it comes from the repository itself, so everything is escaped: it is no mark-up, mentions nobody, closes no
issue, and cannot forge the hidden marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockfix.fleet.campaign import Campaign

_LINES: Final = 40
_LENGTH: Final = 60_000
"""GitHub takes 65,536 characters, GitLab more."""
_MARKER: Final = re.compile(
    r"<!-- dockfix campaign=([a-z0-9._-]+) base=([0-9a-f]{40,64}) patch=([0-9a-f]{64}) head=([0-9a-f]{40,64}) -->\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Marker:
    """What a pull request says of itself in its last line, unseen."""

    campaign: str
    base: str
    patch: str
    head: str

    def __str__(self) -> str:
        return f"<!-- dockfix campaign={self.campaign} base={self.base} patch={self.patch} head={self.head} -->"


def read_marker(body: str) -> Marker | None:
    """Return the marker in the last line of a body, None where there is none."""
    match = _MARKER.search(body)
    return Marker(*match.groups()) if match else None


def stop_marker(campaign: str) -> str:
    """Return what marks the comment that says why nothing is pushed any more."""
    return f"<!-- dockfix campaign={campaign} stopped -->"


def body_of(campaign: Campaign, document: Mapping[str, Any], marker: Marker) -> str:
    """Return the body. *document* is the journal's: the JSON result and what its transforms say of themselves."""
    result = document.get("result", {})
    text = "\n".join(
        [
            *([campaign.body.strip(), ""] if campaign.body.strip() else []),
            *_changes(result.get("fixes", ()), document.get("about", {})),
            *_list("Not applied, for you to decide", result.get("suggestions", ()), "title"),
            *_list("Left alone, and why", result.get("skips", ()), "reason"),
            *_verified(document.get("verify", ())),
            *_refusing(campaign, result.get("fixes", ()), verified=bool(document.get("verify"))),
        ]
    )
    if len(text) > _LENGTH:
        text = text[:_LENGTH].rsplit("\n", 1)[0] + "\n\n(cut here: the diff has the rest)\n"
    return f"{text}\n{marker}\n"


def _changes(fixes: Iterable[Mapping[str, Any]], about: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for fix in fixes:
        groups.setdefault(fix["transform"], []).append(fix)
    yield "## What changes, and why\n"
    for name, group in groups.items():
        told = about.get(name, {})
        yield f"### {escaped(name)}\n"
        yield f"{_prose(told.get('summary', ''))} {_prose(told.get('why', ''))}".strip() + "\n"
        for fix in group[:_LINES]:
            mark = (
                " — **please review**: the container runs differently on purpose" if fix["safety"] == "review" else ""
            )
            yield f"- {_place(fix)}: {escaped(fix['title'])}{mark}"
            for note in fix["notes"]:
                yield f"  - {escaped(note)}"
        if len(group) > _LINES:
            yield f"- and {len(group) - _LINES} more"
        yield ""


def _prose(text: str) -> str:
    """Return sentences of a transform's documentation, with the code in them as code."""
    words, *rest = re.split(r"``(.+?)``", " ".join(text.split()))
    prose = _words(words) + "".join(
        f"`{code}`{_words(words)}" for code, words in zip(rest[::2], rest[1::2], strict=True)
    )
    return prose[:1].upper() + prose[1:]


def _list(heading: str, items: Iterable[Mapping[str, Any]], key: str) -> Iterator[str]:
    listed = list(items)
    if not listed:
        return
    yield f"## {heading}\n"
    for item in listed[:_LINES]:
        yield f"- **{escaped(item['transform'])}** {_place(item)}: {escaped(item[key])}"
    if len(listed) > _LINES:
        yield f"- and {len(listed) - _LINES} more"
    yield ""


def _verified(tables: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for table in tables:
        yield f"## {escaped(table['path'])}, built and run before and after\n"
        if table["rows"]:
            yield "| | before | after | |\n|---|---|---|---|"
            for row in table["rows"]:
                yield f"| {' | '.join(escaped(row[key]) for key in ('what', 'before', 'after', 'verdict'))} |"
            yield ""
        for left in table["left_out"]:
            yield f"- left out: **{escaped(left['transform'])}**: {escaped('; '.join(left['evidence']))}"
        error = f": {escaped(table['error'])}" if table["error"] else ""
        yield f"\n{escaped(table['outcome'])}{error}\n"


def _refusing(campaign: Campaign, fixes: Iterable[Mapping[str, Any]], *, verified: bool) -> Iterator[str]:
    name = next((fix["transform"] for fix in fixes), "NAME")
    yield "## If you do not want this\n"
    yield "- Close this pull request: the campaign will not ask again."
    yield (
        f"- Keep one transform off for good: `# dockfix: ignore-file={name}` at the top of the Dockerfile, or"
        f' `ignore = ["{name}"]` in `dockfix.toml`.'
    )
    yield "- Commit to this branch as you like: from then on nothing is pushed to it."
    yield ""
    built = "" if verified else " Nobody has built it yet: that is for your own checks."
    yield f"Made by `dockfix fleet`, campaign `{campaign.name}`.{built}"


def _place(item: Mapping[str, Any]) -> str:
    path = "".join(char if char.isprintable() else "?" for char in item["path"]).replace("`", "'")
    return f"`{path}:{item['line']}`" if item["line"] else f"`{path}`"


def escaped(text: str) -> str:
    """Return *text* on one line, with what Markdown, HTML, mentions and references are made of taken out of use."""
    return _words(" ".join(text.split())[:600])


def _words(text: str) -> str:
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    text = re.sub(r"(?i)(https?|ftp|www)(?=[:.])", "\\1\N{ZERO WIDTH SPACE}", text)
    return re.sub(r"([@#!])(?=[\w])", "\\1\N{ZERO WIDTH SPACE}", text)
