"""Where repositories are planned: threads of this process, or a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from dockfix.fleet.campaign import CampaignError
from dockfix.fleet.stopping import STOPPED

if TYPE_CHECKING:
    from distributed import Client

_PATIENCE: Final = 60.0
"""Seconds for a cluster to get workers again."""


class Workers(NamedTuple):
    """Who does the work. ``width`` is how many jobs are given at once."""

    executor: Executor
    width: int
    check: Callable[[], None]
    """Raises ``CampaignError`` where nobody is left; asked while nothing gets done."""


@contextmanager
def threads(jobs: int) -> Iterator[Workers]:
    """Give that many threads. What is under way in them is left when the run is stopped."""
    STOPPED.clear()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield Workers(pool, jobs * 2, lambda: None)
        except BaseException:
            STOPPED.set()
            raise


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Give the workers of an existing Dask cluster. Raises ``CampaignError`` where there is none."""
    try:
        from distributed import Client
    except ImportError as error:
        raise CampaignError("--cluster needs Dask: pip install 'dockfix[dask]'") from error
    try:
        client = Client(address, timeout="20s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise CampaignError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        count = sum(client.nthreads().values())
        if not count:
            raise CampaignError(f"the Dask cluster at {address} has no workers")
        with client.get_executor(pure=False) as pool:
            yield Workers(pool, count * 4, _Watch(client, address).check)


class _Watch:
    """Sees that somebody is left to do the work: Dask itself waits for workers for ever."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self._seen = time.monotonic()

    def check(self) -> None:
        if self._client.status == "running" and self._client.nthreads():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > _PATIENCE:
            raise CampaignError(f"the Dask cluster at {self._address} has no workers any more; start it again")
