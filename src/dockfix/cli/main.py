"""Where the program starts, before anything is imported that takes time."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run dockfix; errors are one line on stderr and exit status 2."""
    import gc

    gc.set_threshold(50_000, 20, 20)  # what is imported stays: looking for garbage among it is a tenth of the start
    import click

    from dockfix.cli.commands import commands

    try:
        status = commands.main(prog_name="dockfix", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        print(f"dockfix: {' '.join(error.format_message().split())}", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("dockfix: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
