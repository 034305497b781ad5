"""Put the plans of the shards of a campaign together."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.journal import Journal, locked
from dockfix.fleet.repositories import repositories


def join(campaign: Campaign, folder: str, shards: Sequence[str], listed: Sequence[str] = ()) -> None:
    """Make one plan in *folder* of those in *shards*. Raises ``CampaignError``.

    All must be plans of this campaign by the same chain; the campaign's order is kept.
    """
    if os.path.realpath(folder) in map(os.path.realpath, shards):
        raise CampaignError(f"{folder} is one of the parts; name another folder for the whole")
    with locked(folder, "plan"), closing(Journal(folder, create=True)) as journal:
        parts = [Journal(shard) for shard in shards]
        try:
            chains = {part.get("chain") for part in parts}
            asked = {part.get("asked") for part in parts}
            if {part.get("campaign") for part in parts} != {campaign.name}:
                raise CampaignError(f"not all of them are plans of the campaign {campaign.name}")
            if len(chains) != 1 or len(asked) != 1:
                raise CampaignError("they were planned with different versions or options; plan all of them again")
            _check_all_are_there(parts)
            journal.remember("campaign", campaign.name)
            journal.remember("title", campaign.title)
            journal.remember("chain", chains.pop())
            journal.remember("asked", asked.pop())
            found = {name: url for part in parts for name, url in part.repositories()}
            order = [entry for entry in repositories(campaign, listed) if entry[0] in found]
            known = set(order)
            rest = [entry for entry in found.items() if entry not in known]
            journal.set_repositories(iter([*order, *rest]))
            for part in parts:
                _copy(part, journal)
        finally:
            for part in parts:
                part.close()


def _check_all_are_there(parts: Sequence[Journal]) -> None:
    """Raise ``CampaignError`` where a shard is missing, so that no repository is forgotten without a word."""
    shards = [part.get("shard") for part in parts if part.get("shard")]
    counts = {shard.partition("/")[2] for shard in shards}
    if len(counts) > 1:
        raise CampaignError(f"they are of plans with {' and '.join(sorted(counts))} parts; plan all of them again")
    for count in counts:
        if missing := [str(i) for i in range(1, int(count) + 1) if f"{i}/{count}" not in shards]:
            raise CampaignError(f"of {count} parts these are missing: {', '.join(missing)}")


def _copy(part: Journal, journal: Journal) -> None:
    for one in part.standings():
        if one.patch:
            target = journal.patch_path(one.patch)
            try:
                shutil.copyfile(part.patch_path(one.patch), f"{target}.new")
                os.replace(f"{target}.new", target)
            except OSError as error:
                raise CampaignError(f"{error.filename}: {error.strerror}") from error
    try:
        journal.take_results(os.path.join(part.folder, "journal.sqlite"))
    except sqlite3.Error as error:
        raise CampaignError(f"{part.folder}: {error}") from error
