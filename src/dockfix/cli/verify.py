"""``dockfix verify [PATH]...``: build and run before and after, compare, print the table."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import click

from dockfix import changes
from dockfix.cli.rewrite import names
from dockfix.cli.screen import check_output, colours, printable, show
from dockfix.config import ConfigError
from dockfix.registry import RegistryError
from dockfix.result import Failure
from dockfix.session import Repository, Request, find_repositories, settings_for
from dockfix.verify.check import Limits
from dockfix.verify.engine import EngineError, split_pair
from dockfix.verify.process import Interrupts
from dockfix.verify.progress import Progress
from dockfix.verify.result import Outcome
from dockfix.verify.session import Verified, engine_for_a_run, verify_repository


def _size(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the size, as engines read it; a wrong one is told before anything is built."""
    if re.fullmatch(r"\d+(?:\.\d+)?[bkmg]?", value, re.IGNORECASE) is None:
        raise click.BadParameter(f"{value!r} is no size such as 512m or 2g.")
    return value


@click.command(name="verify")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--write", is_flag=True, help="Leave out the transforms that break the image, and write the rest.")
@click.option("--unproved", is_flag=True, help="Write also where nothing can be proved: the image does not build now.")
@click.option("--select", multiple=True, callback=names, metavar="NAME,...", help="Only these transforms.")
@click.option("--ignore", multiple=True, callback=names, metavar="NAME,...", help="All but these transforms.")
@click.option("--safe-only", is_flag=True, help="Only fixes that leave the running container the same.")
@click.option("--transform", "files", multiple=True, metavar="FILE.py", help="Also the transforms in this file.")
@click.option("--pin-digests", is_flag=True, help="Ask the registries, and pin the base images by digest.")
@click.option("--config", metavar="FILE", help="The configuration, instead of the repository's own.")
@click.option("--engine", type=click.Choice(["docker", "podman"]), help="The container engine; else one that answers.")
@click.option("--timeout", type=click.FloatRange(1), default=1800.0, metavar="SECONDS", help="For one build.")
@click.option("--wait", type=click.FloatRange(1), default=30.0, metavar="SECONDS", help="For a program to listen.")
@click.option("--memory", default="2g", callback=_size, metavar="SIZE", help="For a container, at most (default: 2g).")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME[=VALUE]", help="As docker build takes it.")
@click.option("--target", metavar="STAGE", help="As docker build takes it.")
@click.option("--secret", "secrets", multiple=True, metavar="id=...,src=...", help="As docker build takes it.")
@click.option("--build-network", metavar="NAME", help="The network of the build's RUN steps.")
@click.option("--network", default="none", metavar="NAME", help="The network of the containers (default: none).")
@click.option("--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="A variable of the containers.")
@click.option("--with-services", is_flag=True, help="Start the services that compose declares beside it.")
@click.option("--no-cache", is_flag=True, help="Build without the engine's cache.")
@click.option("--keep-going", is_flag=True, help="Go on to the next Dockerfile after one that is worse or fails.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="The result.")
@click.option("--output", metavar="FILE", help="Write the result to this file instead of the screen.")
def command(
    paths: tuple[str, ...],
    write: bool,
    unproved: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    safe_only: bool,
    files: tuple[str, ...],
    pin_digests: bool,
    config: str | None,
    engine: str | None,
    timeout: float,
    wait: float,
    memory: str,
    arguments: tuple[str, ...],
    target: str | None,
    secrets: tuple[str, ...],
    build_network: str | None,
    network: str,
    variables: tuple[str, ...],
    with_services: bool,
    no_cache: bool,
    keep_going: bool,
    form: str,
    output: str | None,
) -> int:
    """Build and run the image before and after, compare the two, and print the table.

    Nothing is written without --write; with it, a transform that breaks the image is left out, and the rest is
    written. `dockfix --write --verify` is the same.

    Exit status: 0 it holds; 1 worse; 2 an error; 3 not worse, but not proved: it does not build or start now.
    """
    request = Request(select, ignore, safe_only, tuple(map(os.path.abspath, files)), config)
    limits = Limits(
        timeout=timeout,
        wait=wait,
        memory=memory,
        build_network=build_network,
        network=network,
        arguments=tuple(map(split_pair, arguments)),
        target=target,
        secrets=tuple(secrets),
        environment=_environment(variables),
        with_services=with_services,
        cache=not no_cache,
    )
    output = None if output == "-" else output
    if output is not None:
        check_output(output)
    found_repositories, failures = find_repositories(paths or (".",))
    repositories = []
    for repository in found_repositories:
        try:
            settings_for(repository.root, request)
        except (ConfigError, RegistryError) as error:
            failures.append(Failure("", 0, str(error)))
        else:
            repositories.append(repository)
    if pin_digests:
        from dockfix.cli.pinning import with_digests
        from dockfix.session import run_all

        request, refused = with_digests(list(run_all(repositories, request)), request)
        failures += refused
    for failure in dict.fromkeys(failures):
        print(f"dockfix: {printable(str(failure))}", file=sys.stderr)
    show_now = form == "text" and output is None
    found: list[Verified] = []
    written: set[str] = set()
    with Interrupts() as interrupts:
        try:
            wanted = _written(unproved) if write else lambda one: True
            for one in _verified(repositories, request, limits, engine, interrupts, wanted, mend=write):
                if write and one.changes and wanted(one):
                    one = _write(one)
                    if one.error is None:
                        written.add(one.repository.prefix + one.dockerfile)
                found.append(one)
                if show_now:
                    show(_rendered([one], "text", written if write else None, colours=colours()), None)
                if one.outcome in (Outcome.WORSE, Outcome.FAILED) and not keep_going:
                    break
        except EngineError as error:
            raise click.ClickException(str(error)) from error
    if show_now and len(found) > 1:
        from dockfix.report import verify_text

        show([verify_text.summary(found)], None)
    elif not show_now:
        show(_rendered(found, form, written if write else None), output)
    return _status(found, failed=bool(failures))


def _verified(
    repositories: Sequence[Repository],
    request: Request,
    limits: Limits,
    wanted: str | None,
    interrupts: Interrupts,
    used: Callable[[Verified], bool],
    *,
    mend: bool,
) -> Iterator[Verified]:
    """Yield what comes of each Dockerfile; the engine's things are removed when it ends. Raises ``EngineError``."""
    if not repositories:
        return
    progress = Progress()
    with engine_for_a_run(wanted, interrupts) as engine:
        for repository in repositories:
            for one in verify_repository(engine, repository, request, limits, progress, mend=mend, wanted=used):
                progress.end()
                yield one


def _environment(variables: Iterable[str]) -> dict[str, str]:
    """Return the variables of ``--env``; one without a value has that of the surrounding environment."""
    pairs = ((name, value if value is not None else os.environ.get(name)) for name, value in map(split_pair, variables))
    return {name: value for name, value in pairs if value is not None}


def _written(unproved: bool) -> Callable[[Verified], bool]:
    """Return what tells whether changes are to be written: those that hold, and where wanted those not proved."""
    outcomes = {Outcome.HOLDS, Outcome.UNPROVED} if unproved else {Outcome.HOLDS}
    return lambda one: one.outcome in outcomes


def _write(one: Verified) -> Verified:
    """Write the changes; where that fails, the error is in what is returned."""
    try:
        changes.write(one.repository.root, one.changes)
    except changes.WriteError as error:
        return one._replace(outcome=Outcome.FAILED, changes=(), error=str(error))
    return one


def _rendered(
    found: Sequence[Verified], form: str, written: AbstractSet[str] | None, *, colours: bool = False
) -> Iterator[str]:
    from dockfix.report.mask import masked

    found = masked(found)
    if form == "json":
        from dockfix.report import verify_json

        yield verify_json.render(found, written=frozenset(written or ()))
    elif form == "markdown":
        from dockfix.report import verify_markdown

        yield from verify_markdown.render(found, written=None if written is None else frozenset(written))
    else:
        from dockfix.report import text, verify_text

        for one in found:
            was = None if written is None else one.repository.prefix + one.dockerfile in written
            yield from verify_text.render(one, text.colour if colours else text.plain, written=was)
        if len(found) > 1:
            yield verify_text.summary(found)


def _status(found: Iterable[Verified], *, failed: bool) -> int:
    """Return the exit status: an error goes before a worse image, that before one of which nothing is proved."""
    outcomes = {one.outcome for one in found}
    if failed or Outcome.FAILED in outcomes:
        return 2
    if Outcome.WORSE in outcomes:
        return 1
    return 3 if Outcome.UNPROVED in outcomes else 0
