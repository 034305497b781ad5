"""The repositories of a campaign: from a list, a file, an organisation; and the part of them that one shard does."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import chain
from urllib.parse import urlsplit

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.keys import without_credentials
from dockfix.fleet.secret import origin_of

_SCHEMES = ("https", "http", "file")


def repositories(campaign: Campaign, listed: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield name and URL of every repository, once; *listed* are the names that the forge gave.

    An entry is ``owner/name`` on the campaign's forge, a URL, or the path of a local repository (it begins with / or
    a dot). Raises ``CampaignError``.
    """
    seen: set[bytes] = set()
    folder = os.path.dirname(campaign.path)
    own = ((campaign.path, entry) for entry in (*campaign.sources.names, *listed))
    for where, entry in chain(own, _from_file(campaign.sources.file)):
        name, url = _resolved(campaign, entry.strip(), folder, where)
        mark = hashlib.blake2b(name.lower().encode("utf-8", "surrogateescape"), digest_size=12).digest()
        if mark in seen or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in campaign.sources.exclude):
            continue
        seen.add(mark)
        yield name, url


def in_shard(name: str, shard: tuple[int, int] | None) -> bool:
    """Return whether the repository belongs to shard i of n; the same everywhere, whatever else is in the campaign."""
    if shard is None:
        return True
    number = int.from_bytes(hashlib.sha256(name.lower().encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return number % shard[1] == shard[0] - 1


def _from_file(path: str) -> Iterator[tuple[str, str]]:
    if not path:
        return
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if entry := line.partition("#")[0].strip():
                    yield f"{path}:{number}", entry
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _resolved(campaign: Campaign, entry: str, folder: str, where: str) -> tuple[str, str]:
    where = f"{where}: repository {without_credentials(entry)!r}"
    if not entry.isprintable() or entry.startswith("-") or not entry:
        raise CampaignError(f"{where}: is no name of a repository")
    if entry.startswith(("/", "./", "../")):
        path = os.path.normpath(os.path.join(folder, entry))
        return path.strip("/"), f"file://{path}"
    if "://" in entry:
        try:
            parts = urlsplit(entry)
        except ValueError as error:
            raise CampaignError(f"{where}: is no address: {error}") from error
        entry = entry.replace(parts.netloc, parts.netloc.lower(), 1)
        if parts.scheme not in _SCHEMES:
            raise CampaignError(f"{where}: only {', '.join(_SCHEMES)} are allowed")
        if "@" in parts.netloc:
            raise CampaignError(f"{where}: holds credentials; name a variable in forge.token-env, or forge.token-file")
        template = campaign.forge.clone_url
        if origin_of(entry) == origin_of(template):
            before, _, after = template.partition("{name}")
            return entry.removeprefix(before).removesuffix("/").removesuffix(after), entry
        return f"{parts.netloc.lower()}{parts.path}".removesuffix("/").removesuffix(".git").strip("/"), entry
    if not re.fullmatch(r"[\w.-]+(?:/[\w.-]+)+", entry) or {".", ".."} & set(entry.split("/")):
        raise CampaignError(f"{where}: is neither owner/name, nor a URL, nor a path that begins with / or a dot")
    return entry, campaign.clone_url(entry)
