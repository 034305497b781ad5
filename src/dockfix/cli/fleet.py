"""``dockfix fleet``: one change to many repositories."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dockfix.fleet.campaign import Campaign


@click.group(name="fleet", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """One change to many repositories, as pull requests.

    CAMPAIGN is a TOML file: which repositories, which transforms, what the pull requests say. `plan` clones, runs the
    chain and keeps patches; `publish` opens drafts from them; `status` asks the forge where each stands; `report` makes
    one HTML page of it. Kill any of them and start it again: nothing is done twice.

    Exit status: 0 done; 1 done, but some repositories failed; 2 the campaign failed.
    """


def _campaign_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--folder", metavar="DIR", help="Where the plan is kept (default: beside CAMPAIGN).")(
        function
    )
    return click.argument("path", metavar="CAMPAIGN")(function)


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter("must be like 2/5: the second of five parts")
    return int(match[1]), int(match[2])


def _folder(campaign: Campaign, folder: str | None) -> str:
    return folder or f"{campaign.path.removesuffix('.toml')}.fleet"


@contextmanager
def _explained() -> Iterator[None]:
    """Say what makes the campaign fail in one line."""
    from dockfix.fleet.campaign import CampaignError

    try:
        yield
    except CampaignError as error:
        raise click.ClickException(str(error)) from error


@command.command()
@_campaign_options
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also the transforms in this file.")
@click.option("--select", multiple=True, metavar="NAME,...", help="Only these transforms.")
@click.option("--jobs", type=click.IntRange(0), default=0, metavar="N", help="Repositories at once; 0 is one a core.")
@click.option("--shard", callback=_shard, metavar="I/N", help="Only the I-th of N parts; `join` puts them together.")
@click.option("--cluster", default="", metavar="tcp://HOST:PORT", help="Run on this Dask cluster.")
def plan(
    path: str,
    folder: str | None,
    files: tuple[str, ...],
    select: tuple[str, ...],
    jobs: int,
    shard: tuple[int, int] | None,
    cluster: str,
) -> int:
    """Clone every repository, run the chain, keep the patches. Needs no write access."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.plan import plan as run

    names = tuple(name.strip() for item in select for name in item.split(",") if name.strip())
    with _explained():
        campaign = load_campaign(path, files, names)
        failed = run(campaign, _folder(campaign, folder), jobs=jobs, shard=shard, cluster=cluster)
        _table(_folder(campaign, folder))
    return 1 if failed else 0


def _table(folder: str, *, everything: bool = False) -> None:
    from dockfix.fleet.journal import Journal
    from dockfix.fleet.progress import table

    journal = Journal(folder)
    for line in table(journal.standings(), everything=everything):
        sys.stdout.write(line)
    journal.close()
