"""Plan a campaign: every repository on a worker, every result in the journal.

Written against ``concurrent.futures.Executor``: threads here, or a Dask cluster. Few futures are under way at once, so
that memory does not grow with the number of repositories. Engines may run a job twice; the last answer counts, and
both are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from dockfix.fleet.campaign import Campaign, CampaignError
from dockfix.fleet.executors import Workers, threads
from dockfix.fleet.executors import cluster as on_cluster
from dockfix.fleet.journal import Journal, locked
from dockfix.fleet.progress import Progress
from dockfix.fleet.repositories import in_shard, repositories
from dockfix.fleet.secret import origin_of, read_secret
from dockfix.fleet.worker import Job, Planned, chain_key, check_chain, plan_repository

_CLONES: Final = ".dockfix-clones"
"""A folder that nobody else has: it is removed, whatever it holds."""
_MEMORY: Final = "/dev/shm"
_QUIET: Final = 10.0
"""Seconds without a result after which those who work are looked at."""
_SILENT: Final = 10
"""Repositories in a row after which a forge is taken to be away."""
_PLENTY: Final = 4
"""Times what the clones may need at most."""


def plan(
    campaign: Campaign,
    folder: str,
    *,
    jobs: int = 0,
    shard: tuple[int, int] | None = None,
    cluster: str = "",
    scratch: str = "",
    progress: Progress | None = None,
) -> int:
    """Plan all repositories of *campaign* into *folder*; return how many failed. Raises ``CampaignError``.

    Clones are made in *scratch*, where it is given.
    """
    key = chain_key(campaign.chain)
    with locked(folder, "plan"):
        journal = Journal(folder, create=True)
        try:
            _same_campaign(journal, campaign)
            if journal.get("chain") != key:
                check_chain(campaign.chain)
            found = repositories(campaign, _of_organisation(campaign))
            total = journal.set_repositories(entry for entry in found if in_shard(entry[0], shard))
            if not total and shard is None:
                raise CampaignError(f"{campaign.path}: names no repository; see [repositories]")
            journal.remember("chain", key)
            journal.remember("asked", campaign.asked)
            journal.remember("shard", f"{shard[0]}/{shard[1]}" if shard else "")
            journal.remember("title", campaign.title)
            progress = progress or Progress("plan", total)
            count = jobs or os.cpu_count() or 1
            place = _place(folder, scratch, count * campaign.limits.megabytes * 1e6)
            with _scratch(place) as clones, on_cluster(cluster) if cluster else threads(count) as workers:
                wanted = _jobs(journal, campaign, key, None if cluster else clones)
                return _run(workers, wanted, journal, key, progress, _Silence(campaign))
        finally:
            if progress is not None:
                progress.close()
            journal.close()


def _same_campaign(journal: Journal, campaign: Campaign) -> None:
    if (name := journal.get("campaign", campaign.name)) != campaign.name:
        raise CampaignError(
            f"{journal.folder} belongs to the campaign {name}, not {campaign.name}; name another folder"
        )
    journal.remember("campaign", campaign.name)


def _of_organisation(campaign: Campaign) -> Iterator[str]:
    if campaign.sources.organisation:
        from dockfix.fleet.forge import ForgeError, open_forge

        with open_forge(campaign, read_secret(campaign.forge, required=False)) as forge:
            try:
                yield from forge.repositories(campaign.sources.organisation)
            except ForgeError as error:
                where = f"{campaign.path}: organisation {campaign.sources.organisation}"
                raise CampaignError(f"{where}: {error}") from error


def _jobs(journal: Journal, campaign: Campaign, key: str, scratch: str | None) -> Iterator[Job]:
    for name, url in journal.repositories():
        known = journal.known_commit(name, key)
        theirs = "" if scratch else key
        yield Job(name, url, campaign.chain, campaign.forge, campaign.limits, known, scratch, theirs)


class _Silence:
    """Tells a repository that does not answer from a forge that does not: that is the campaign's failure."""

    def __init__(self, campaign: Campaign) -> None:
        self._forge = origin_of(campaign.forge.clone_url)
        self._heard = False
        self._silent = 0
        self._why = ""

    def heard(self, url: str, planned: Planned) -> None:
        """Count what came of one repository. Raises ``CampaignError`` after many in a row that did not answer."""
        if origin_of(url) != self._forge:
            self._heard = True
        elif planned.away:
            self._silent, self._why = self._silent + 1, planned.reason
            if self._silent == _SILENT:
                self._fail()
        else:
            self._heard, self._silent = True, 0

    def ended(self) -> None:
        """Raise ``CampaignError`` where nobody answered at all."""
        if self._silent and not self._heard:
            self._fail()

    def _fail(self) -> NoReturn:
        raise CampaignError(f"{self._forge} does not answer: {self._why}; try again later, it goes on where it was")


def _run(
    workers: Workers, wanted: Iterator[Job], journal: Journal, key: str, progress: Progress, silence: _Silence
) -> int:
    running: dict[Future[Planned], Job] = {}
    failed = 0
    more = True
    try:
        while running or more:
            while more and len(running) < workers.width:
                job = next(wanted, None)
                if job is None:
                    more = False
                else:
                    running[workers.executor.submit(plan_repository, job)] = job
            ready = wait(running, _QUIET, return_when=FIRST_COMPLETED).done
            if running and not ready:
                workers.check()
            for future in ready:
                job = running.pop(future)
                planned = _answer(future, job)
                if planned.state != "cached":
                    document: dict[str, Any] = json.loads(planned.document)
                    fixes = document.get("result", {}).get("fixes", [])
                    names = tuple(dict.fromkeys(fix["transform"] for fix in fixes))
                    journal.add_result(planned, key, len(fixes), names)
                failed += planned.state == "failed"
                progress.done(job.name, planned.state, planned.reason)
                silence.heard(job.url, planned)
        silence.ended()
    finally:
        for future in running:
            future.cancel()
    return failed


def _answer(future: Future[Planned], job: Job) -> Planned:
    try:
        return future.result()
    except CampaignError:
        raise
    except CancelledError as error:
        raise CampaignError("the cluster gave up what it was asked to do; start it again") from error
    except OSError as error:
        raise CampaignError(f"{error.filename or 'a worker'}: {error.strerror or error}") from error
    except Exception as error:  # a worker that died, or a fault of ours: it is this repository's result
        return Planned(job.name, "failed", f"the worker stopped: {type(error).__name__}: {error}"[:300])


@contextmanager
def _scratch(path: str) -> Iterator[str]:
    """Give an empty folder for clones. Those of runs that were killed go, as far as nothing writes there any more."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        own = tempfile.mkdtemp(dir=path)
    except OSError as error:
        raise CampaignError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        yield own
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _place(folder: str, scratch: str, needed: float) -> str:
    """Return where clones are made: in *scratch*, or in memory where there is plenty of it, else beside the plan.

    Making and removing small files on a disk takes longer than everything else. The place is the same in every run,
    so that the next one removes what a killed one left.
    """
    usual = os.path.join(os.path.abspath(scratch or folder), _CLONES)
    if scratch:
        return usual
    place = f"{_MEMORY}/dockfix-{os.getuid()}-{hashlib.sha256(os.fsencode(usual)).hexdigest()[:16]}"
    try:
        disk = os.statvfs(_MEMORY)
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
        if min(disk.f_bavail * disk.f_frsize, free) < needed * _PLENTY:
            return usual
        os.makedirs(place, 0o700, exist_ok=True)
        found = os.lstat(place)
    except (OSError, StopIteration):
        return usual
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return place if own else usual
