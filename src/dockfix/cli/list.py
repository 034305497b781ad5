"""``dockfix list``: which transforms there are."""

from __future__ import annotations

import click

from dockfix.registry import RegistryError, load_transforms


@click.command(name="list")
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also those in this file.")
def command(files: tuple[str, ...]) -> None:
    """Show every transform, in the order in which they run."""
    try:
        transforms = load_transforms(files)
    except RegistryError as error:
        raise click.ClickException(str(error)) from error
    width = max((len(item.name) for item in transforms), default=0)
    for item in transforms:
        click.echo(f"{item.name:{width}}  {item.safety.value:10}  {item.summary}")
