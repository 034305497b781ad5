"""Where each pull request stands now: ask the forge, note it in the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.forge import ForgeError, open_forge
from dockfix.fleet.journal import Journal, Standing, locked
from dockfix.fleet.progress import Progress
from dockfix.fleet.secret import read_secret


def refresh(campaign: Campaign, folder: str, progress: Progress | None = None) -> int:
    """Bring the journal up to date with the forge; return how many could not be asked. Raises ``CampaignError``."""
    with locked(folder, "publish", "; `dockfix fleet status --offline` shows how far it is"):
        journal = Journal(folder)
        try:
            if journal.get("campaign") != campaign.name:
                raise CampaignError(f"{folder} belongs to the campaign {journal.get('campaign')}")
            asked = sum(one.number > 0 for one in journal.standings())
            if not asked:
                return 0
            progress = progress or Progress("status", asked)
            return _refresh(campaign, journal, progress)
        finally:
            if progress is not None:
                progress.close()
            journal.close()


def _refresh(campaign: Campaign, journal: Journal, progress: Progress) -> int:
    failed = 0
    with open_forge(campaign, read_secret(campaign.forge, required=False)) as forge:
        for one in journal.standings():
            known = journal.pull(one.name)
            if known is None or not known.number:
                continue
            try:
                pulls = forge.pulls(forge.repository(one.name), campaign.branch)
            except ForgeError as error:
                failed += 1
                progress.done(one.name, "failed", str(error))
                continue
            pull = next((pull for pull in pulls if pull.number == known.number), None)
            if pull is None:
                progress.done(one.name, "failed", f"the forge shows no pull request {known.number} any more")
                failed += 1
                continue
            state = known.state if pull.state == "open" and known.state == "refused" else pull.state
            if state != known.state:
                journal.set_pull(one.name, replace(known, state=state, note="" if state != "open" else known.note))
            progress.done(one.name, state)
    return failed


def as_json(campaign: str, standings: Iterator[Standing]) -> Iterator[str]:
    """Yield the JSON document that docs/fleet.md describes, piece by piece."""
    yield f'{{"version": 1, "campaign": {json.dumps(campaign)}, "repositories": ['
    for number, one in enumerate(standings):
        item: dict[str, Any] = {
            "name": one.name,
            "state": one.state,
            "reason": one.reason,
            "commit": one.commit or None,
            "patch_sha256": one.patch or None,
            "fixes": one.fixes,
            "transforms": list(one.transforms),
            "pull_request": {"number": one.number, "url": one.pull_url} if one.number else None,
        }
        yield ("," if number else "") + "\n" + json.dumps(item)
    yield "\n]}\n"
