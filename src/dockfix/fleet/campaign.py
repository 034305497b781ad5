"""The campaign file: which repositories, which change, how it is published. docs/fleet.md describes every key."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from dockfix.fleet.keys import BadKey, check
from dockfix.hints import line_of

PAUSE: Final = 8
"""The least seconds between two requests that create something on a public forge."""
_AUTHOR: Final = "dockfix <dockfix@noreply.invalid>"
_PUBLIC: Final = ("api.github.com", "gitlab.com")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}(?<![.])(?<!\.lock)\Z")
_FORGES: Final = {
    "github": ("https://api.github.com", "GITHUB_TOKEN"),
    "gitlab": ("https://gitlab.com/api/v4", "GITLAB_TOKEN"),
}


class CampaignError(Exception):
    """The campaign as a whole cannot go on. The message is for the user; no repository is to blame."""


@dataclass(frozen=True, slots=True)
class ForgeSettings:
    """Where pull requests go. ``url`` is the API's; ``clone_url`` has ``{name}`` in it, or is empty."""

    kind: str = "github"
    url: str = ""
    clone_url: str = ""
    token_env: str = ""
    token_file: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the names of the repositories come from."""

    names: tuple[str, ...] = ()
    file: str = ""
    organisation: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Containers:
    """How images are built and run where the campaign is verified, as for ``dockfix verify``."""

    engine: str = ""
    build_network: str = ""
    network: str = "none"
    memory: str = "2g"
    seconds: float = 1800
    """For one build."""
    wait: float = 30
    """For a program to listen."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """What runs in each repository. ``transforms`` are files of transforms, as name and source."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    safe_only: bool = False
    transforms: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    verify: bool = False
    containers: Containers = Containers()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at most: pull requests by run, hour and repository; seconds and megabytes for one repository."""

    run: int = 20
    hour: int = 40
    repository: int = 1
    trial: int = 5
    pause: float = PAUSE
    back_off: float = 60
    seconds: float = 300
    megabytes: float = 500


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its file describes it."""

    name: str
    title: str
    body: str = ""
    branch: str = ""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    draft: bool = True
    author: str = _AUTHOR
    forge: ForgeSettings = ForgeSettings()
    sources: Sources = Sources()
    chain: ChainSettings = ChainSettings()
    limits: Limits = Limits()
    path: str = ""
    asked: str = ""
    """A hash of what the file asks to be planned: its repositories and its chain."""

    def clone_url(self, name: str) -> str:
        """Return where the repository of that name is cloned from."""
        return self.forge.clone_url.replace("{name}", name)


def load_campaign(path: str, transforms: tuple[str, ...] = (), select: tuple[str, ...] = ()) -> Campaign:
    """Read the campaign file at *path*; files of *transforms* and names to *select* come on top.

    Raises ``CampaignError``, whose message names the file and the key.
    """
    import tomllib

    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        table = tomllib.loads(text)
    except OSError as error:
        raise CampaignError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CampaignError(f"{path}: is no TOML: {error}") from error
    try:
        return _campaign(table, path, transforms, select)
    except BadKey as error:
        line = line_of(text, error.key) if error.key else 0
        raise CampaignError(f"{path}{f':{line}' if line else ''}: {error}") from None


def _campaign(table: dict[str, Any], path: str, transforms: tuple[str, ...], select: tuple[str, ...]) -> Campaign:
    check(table)
    folder = os.path.dirname(os.path.abspath(path))
    name = table.get("name", "")
    if not _NAME.match(name) or ".." in name:
        raise BadKey("name must be made of a-z, 0-9, dot, dash and underscore; it becomes part of the branch", "name")
    if not table.get("title", "").strip():
        raise BadKey("title is missing; it becomes the title of the pull requests", "title")
    author = table.get("author", _AUTHOR)
    if not re.fullmatch(r"[^<>]+ <[^<>\s@]+@[^<>\s@]+>", author) or not author.isprintable():
        raise BadKey("author must be like `Name <name@example.com>`", "author")
    branch = table.get("branch", f"dockfix/{name}")
    if not re.fullmatch(r"(?!.*(?:\.\.|//|@\{|\.lock\Z))[A-Za-z0-9][A-Za-z0-9._/-]*[A-Za-z0-9_-]", branch):
        raise BadKey(f"branch is no good name for a branch: {branch}", "branch")
    sources = table.get("repositories", {})
    chain = table.get("chain", {})
    own = (*(os.path.join(folder, item) for item in chain.get("transforms", ())), *transforms)
    forge = _forge(table.get("forge", {}), folder)
    return Campaign(
        name=name,
        title=" ".join(table["title"].split()),
        body=table.get("body", ""),
        branch=branch,
        labels=tuple(table.get("labels", ())),
        reviewers=tuple(table.get("reviewers", ())),
        draft=table.get("draft", True),
        author=author,
        forge=forge,
        sources=Sources(
            tuple(sources.get("list", ())),
            os.path.join(folder, sources["file"]) if "file" in sources else "",
            sources.get("organisation", ""),
            tuple(sources.get("exclude", ())),
        ),
        chain=ChainSettings(
            select or tuple(chain.get("select", ())),
            tuple(chain.get("ignore", ())),
            chain.get("safe-only", False),
            tuple((os.path.basename(item), _source(item)) for item in own),
            chain.get("options", {}),
            table.get("verify", False),
            Containers(**{key.replace("-", "_"): value for key, value in table.get("containers", {}).items()}),
        ),
        limits=_limits(table.get("limits", {}), forge),
        path=os.path.abspath(path),
        asked=_asked(table, folder),
    )


def _asked(table: Mapping[str, Any], folder: str) -> str:
    """Return a hash of what a plan depends on; what is published depends on a plan of the same."""
    tables = [table.get(key) for key in ("repositories", "chain", "verify", "containers")]
    texts = [_source(os.path.join(folder, name)) for name in table.get("chain", {}).get("transforms", ())]
    with suppress(CampaignError):  # who plans is told
        texts.append(_source(os.path.join(folder, table.get("repositories", {}).get("file", ""))))
    return hashlib.sha256(json.dumps([tables, texts], sort_keys=True, default=str).encode()).hexdigest()


def _source(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _forge(table: Mapping[str, str], folder: str) -> ForgeSettings:
    kind = table.get("kind", "github")
    url = table.get("url", _FORGES[kind][0]).rstrip("/")
    clone = table.get("clone-url")
    if clone is None:
        base = re.sub(r"//api\.(?=github\.com\Z|[\w-]+\.ghe\.com\Z)", "//", re.sub(r"/api/v[34]\Z", "", url))
        clone = f"{base}/{{name}}.git"
    if "{name}" not in clone:
        raise BadKey("forge.clone-url must hold {name}", "forge.clone-url")
    token_file = table.get("token-file", "")
    return ForgeSettings(
        kind,
        url,
        clone,
        table.get("token-env", "" if token_file else _FORGES[kind][1]),
        os.path.join(folder, os.path.expanduser(token_file)) if token_file else "",
    )


def _limits(table: Mapping[str, Any], forge: ForgeSettings) -> Limits:
    limits = Limits(**{key.replace("-", "_"): value for key, value in table.items()})
    if limits.pause < PAUSE and re.split(r"[/:]", forge.url.partition("://")[2])[0].lower() in _PUBLIC:
        raise BadKey(f"limits.pause must be at least {PAUSE} s on a public forge", "limits.pause")
    return limits
