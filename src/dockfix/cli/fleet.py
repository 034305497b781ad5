"""``dockfix fleet``: one change to many repositories."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"(tcp|tls|ws|wss|ucx)://\S+:\d+", value):
        raise click.BadParameter("must be like tcp://HOST:8786, the scheduler of a Dask cluster")
    return value


def _folder(campaign: Campaign, folder: str | None) -> str:
    return folder or f"{campaign.path.removesuffix('.toml')}.fleet"


@contextmanager
def _explained() -> Iterator[None]:
    """Say what makes the campaign fail in one line."""
    from dockfix.fleet.campaign import CampaignError
    from dockfix.fleet.stopping import ending_like_ctrl_c

    try:
        with ending_like_ctrl_c():
            yield
    except CampaignError as error:
        raise click.ClickException(str(error)) from error


@command.command()
@_campaign_options
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also the transforms in this file.")
@click.option("--select", multiple=True, metavar="NAME,...", help="Only these transforms.")
@click.option("--jobs", type=click.IntRange(0), default=0, metavar="N", help="Repositories at once; 0 is one a core.")
@click.option("--shard", callback=_shard, metavar="I/N", help="Only the I-th of N parts; `join` puts them together.")
@click.option("--scratch", default="", metavar="DIR", help="Where clones are made and removed again.")
@click.option("--cluster", default="", callback=_address, metavar="tcp://HOST:PORT", help="Run on this Dask cluster.")
def plan(
    path: str,
    folder: str | None,
    files: tuple[str, ...],
    select: tuple[str, ...],
    jobs: int,
    shard: tuple[int, int] | None,
    scratch: str,
    cluster: str,
) -> int:
    """Clone every repository, run the chain, keep the patches. Needs no write access."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.plan import plan as run

    names = tuple(name.strip() for item in select for name in item.split(",") if name.strip())
    with _explained():
        campaign = load_campaign(path, files, names)
        failed = run(campaign, _folder(campaign, folder), jobs=jobs, shard=shard, cluster=cluster, scratch=scratch)
        _table(_folder(campaign, folder))
    return 1 if failed else 0


def _table(folder: str, *, everything: bool = False) -> None:
    from dockfix.fleet.journal import Journal
    from dockfix.fleet.progress import table

    with closing(Journal(folder)) as journal:
        for line in table(journal.standings(), everything=everything):
            sys.stdout.write(line)


@command.command()
@_campaign_options
@click.option("--continue", "go_on", is_flag=True, help="The first pull requests were looked at: open the rest.")
@click.option("--reopen-closed", is_flag=True, help="Ask again where one was closed, if the change is another now.")
def publish(path: str, folder: str | None, go_on: bool, reopen_closed: bool) -> int:
    """Push branches, open drafts and renew them, from the plan. Needs a token; goes on where it was stopped."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.publish import Wishes
    from dockfix.fleet.publish import publish as run

    with _explained():
        campaign = load_campaign(path)
        failed = run(campaign, _folder(campaign, folder), Wishes(go_on, reopen_closed))
        _table(_folder(campaign, folder))
    return 1 if failed else 0


@command.command()
@_campaign_options
@click.option("--offline", is_flag=True, help="Show what is known; do not ask the forge.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to show it.")
def status(path: str, folder: str | None, offline: bool, form: str) -> int:
    """Ask the forge where each pull request stands, and show where each repository does."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.status import refresh

    with _explained():
        campaign = load_campaign(path)
        failed = 0 if offline else refresh(campaign, _folder(campaign, folder))
        if form == "json":
            _json(campaign.name, _folder(campaign, folder))
        else:
            _table(_folder(campaign, folder), everything=True)
    return 1 if failed else 0


@command.command()
@_campaign_options
@click.option("--output", metavar="FILE", help="The page (default: report.html beside the plan).")
def report(path: str, folder: str | None, output: str | None) -> int:
    """Make one HTML page of the campaign: totals, states, reasons, every diff."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.page import write_page

    with _explained():
        campaign = load_campaign(path)
        written = write_page(campaign, _folder(campaign, folder), output)
    click.echo(written)
    return 0


@command.command()
@_campaign_options
@click.argument("shards", nargs=-1, required=True, metavar="DIR...")
def join(path: str, folder: str | None, shards: tuple[str, ...]) -> int:
    """Put the plans that `plan --shard` made in the folders DIR together."""
    from dockfix.fleet.campaign import load_campaign
    from dockfix.fleet.join import join as run

    with _explained():
        campaign = load_campaign(path)
        run(campaign, _folder(campaign, folder), shards)
        _table(_folder(campaign, folder))
    return 0


def _json(campaign: str, folder: str) -> None:
    from dockfix.fleet.journal import Journal
    from dockfix.fleet.status import as_json

    with closing(Journal(folder)) as journal:
        for piece in as_json(campaign, journal.standings()):
            sys.stdout.write(piece)
