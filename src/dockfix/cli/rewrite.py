"""``dockfix [PATH]...``: the options of rewriting."""

from __future__ import annotations

import click

from dockfix.cli.arguments import Arguments

FORMATS = ("text", "patch", "json", "github", "markdown", "sarif")


def names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in comma-separated lists of them; an empty list is a mistake, such as of a variable not set."""
    found = tuple(name.strip() for item in value for name in item.split(",") if name.strip())
    if value and not found:
        raise click.BadParameter("names no transform")
    return found


@click.command(name="dockfix")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--diff", is_flag=True, help="Show the diff, write nothing.")
@click.option("--write", is_flag=True, help="Write; show what changed and what was refused.")
@click.option("--check", is_flag=True, help="One line a file, for CI.")
@click.option("--verify", is_flag=True, expose_value=False, help="Build and run before and after: see dockfix verify.")
@click.option("--select", multiple=True, callback=names, metavar="NAME,...", help="Only these transforms.")
@click.option("--ignore", multiple=True, callback=names, metavar="NAME,...", help="All but these transforms.")
@click.option("--safe-only", is_flag=True, help="Only fixes that leave the running container the same.")
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also the transforms in this file.")
@click.option("--pin-digests", is_flag=True, help="Ask the registries, and pin the base images by digest.")
@click.option("--config", metavar="FILE", help="The configuration, instead of the repository's own.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="How to show the result.")
@click.option("--output", metavar="FILE", help="Write the result to this file instead of the screen.")
@click.option("--jobs", type=click.IntRange(0), metavar="N", help="Processes; 0 is one a core, as for many files.")
def command(
    paths: tuple[str, ...],
    diff: bool,
    write: bool,
    check: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    safe_only: bool,
    files: tuple[str, ...],
    pin_digests: bool,
    config: str | None,
    form: str,
    output: str | None,
    jobs: int | None,
) -> int:
    """Rewrite the Dockerfiles that PATH names or holds."""
    from dockfix.cli.rewriting import run

    modes = [name for name, wanted in (("diff", diff), ("write", write), ("check", check)) if wanted]
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(f'--{name}' for name in modes)} exclude each other; give one of them")
    mode = modes[0] if modes else None
    return run(Arguments(paths, mode, select, ignore, safe_only, files, config, form, output, jobs, pin_digests))
