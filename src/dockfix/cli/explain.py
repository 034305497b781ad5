"""``dockfix explain NAME``: one transform's documentation."""

from __future__ import annotations

import click

from dockfix.registry import RegistryError, find, load_transforms


@click.command(name="explain")
@click.argument("name")
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also those in this file.")
def command(name: str, files: tuple[str, ...]) -> None:
    """Show what the transform NAME does, why, and when it holds back."""
    try:
        item = find(load_transforms(files), name)
    except RegistryError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{item.name} ({item.safety.value}, phase {item.phase.name.lower()})\n")
    click.echo(item.documentation)
    if item.options:
        click.echo(f"\nOptions ([tool.dockfix.{item.name}] in pyproject.toml):")
        for key, default in item.options.items():
            others = [repr(value) for value in item.choices.get(key, ()) if value != default]
            alternative = f"  (or {', '.join(others)})" if others else ""
            click.echo(f"    {key} = {default!r}{alternative}")
