"""``dockfix``: the commands by name; without a name, paths are rewritten."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from dockfix.cli.arguments import COMMANDS

_DEFAULT: Final = "dockfix.cli.rewrite"


class _Commands(click.Group):
    """A group whose first argument may also be a path: then the default command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return _command(_DEFAULT)
        return _command(module)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in COMMANDS
        own = args[: args.index("--")] if "--" in args else args
        if not named and "--verify" in own:  # rewriting that is verified is verifying that writes
            if "--write" in own and "--diff" in own:
                raise click.UsageError("--diff and --write exclude each other; give one of them")
            named, args = True, ["verify", *(arg for arg in args if arg not in ("--verify", "--diff"))]
        if not named:
            asked = next((arg for arg in own if arg in ("-h", "--help", "--version")), None)
            args = [asked] if asked else ["", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return args[0] or ctx.info_name, self.get_command(ctx, args[0]), args[1:]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] [PATH]...")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param.get_help_record(ctx) for param in self.get_params(ctx)]
        rewriting = [
            param.get_help_record(ctx) for param in _command(_DEFAULT).params if isinstance(param, click.Option)
        ]
        with formatter.section("Options"):
            formatter.write_dl([record for record in (*rewriting, *own) if record])
        self.format_commands(ctx, formatter)


def _command(module: str) -> click.Command:
    command = import_module(module).command
    assert isinstance(command, click.Command)
    return command


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"dockfix {version('dockfix')}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version.")
def commands() -> None:
    """Rewrite Dockerfiles, and the files that belong to them; show the diff first.

    PATH is a Dockerfile or a folder that is searched for them (default: here). Without --diff, --write or --check,
    the diff is shown, and at a terminal you are asked before anything is written.

    Exit status: 0 nothing to change, or written; 1 changes that are not written; 2 an error.
    """
