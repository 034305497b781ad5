"""Where the program starts, before anything is imported that takes time."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run dockfix and leave; errors are one line on stderr and exit status 2."""
    import gc

    gc.set_threshold(50_000, 20, 20)  # what is imported stays: looking for garbage among it is a tenth of the start
    from dockfix.cli.arguments import plain_arguments
    from dockfix.cli.screen import CommandError

    for name in ("stdout", "stderr"):  # closed ones are None
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        arguments = plain_arguments(sys.argv[1:])
        if arguments is None:
            status = _with_click()
        else:
            from dockfix.cli.rewriting import run

            status = run(arguments)
        sys.stdout.flush()
    except CommandError as error:
        _drop_stdout()
        print(f"dockfix: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("dockfix: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _drop_stdout()
        sys.exit(1)
    except OSError as error:
        _drop_stdout()
        print(f"dockfix: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    if arguments is None:
        sys.exit(status)
    sys.stderr.flush()
    os._exit(status)  # nothing is left to be done, and taking the modules apart costs as much as starting Python


def _drop_stdout() -> None:
    """Let what was not written yet go to nowhere: nobody can take it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _with_click() -> int:
    import click

    from dockfix.cli.commands import commands

    try:
        status = commands.main(prog_name="dockfix", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        print(f"dockfix: {' '.join(error.format_message().split())}", file=sys.stderr)
        return 2
    except click.Abort as error:
        raise KeyboardInterrupt from error
    return status if isinstance(status, int) else 0
