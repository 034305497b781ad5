"""Run the chain over what was named on a command line: Dockerfiles and folders, in one repository or in many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from dockfix.chain import Settings, run
from dockfix.changes import Change
from dockfix.config import ConfigError, load_config
from dockfix.records import record, replace
from dockfix.registry import RegistryError, choose, load_transforms
from dockfix.result import Failure, Refused, Result
from dockfix.transform import Transform

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dockfix.parts import Part


@record
class Request:
    """What to run. Empty or None means what the repository's configuration says."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    safe_only: bool = False
    transform_files: tuple[str, ...] = ()
    config: str | None = None
    options: Mapping[str, Mapping[str, object]] | None = None
    """Options by transform; one that is set here goes before the repository's own."""
    also: tuple[str, ...] = ()
    """Transforms that run whatever is selected."""


@record
class Repository:
    """Some Dockerfiles below one root. ``prefix`` leads from where the user stands to the root ("" or ends in /)."""

    root: str
    prefix: str
    dockerfiles: tuple[str, ...]


@record
class Outcome:
    """What the chain makes of one repository; nothing is written yet."""

    repository: Repository
    changes: tuple[Change, ...]
    result: Result


def find_repositories(paths: Iterable[str]) -> tuple[list[Repository], list[Failure]]:
    """Return the Dockerfiles that *paths* name or hold, by repository, and what is wrong with the paths."""
    from dockfix.project.disk import find_dockerfiles, repository_root

    found: dict[str, dict[str, None]] = {}
    seen: set[str] = set()
    failures: list[Failure] = []
    for path in paths:
        if os.path.isdir(path):
            try:
                names = find_dockerfiles(path)
            except OSError as error:
                failures.append(Failure(path, 0, f"cannot be read: {error.strerror}"))
                continue
            if not names:
                failures.append(Failure(path, 0, "no Dockerfile in this folder; name one, or another folder"))
        elif os.path.lexists(path):
            names = [path]
        else:
            failures.append(Failure(path or "''", 0, "no such file or folder"))
            continue
        for name in sorted(names, key=os.path.islink):  # a file and links to it are one Dockerfile
            if (real := os.path.realpath(name)) in seen:
                continue
            seen.add(real)
            folder = os.path.realpath(os.path.dirname(name) or ".")
            root = repository_root(folder)
            if os.path.isdir(path) and not os.path.exists(os.path.join(root, ".git")):
                root = os.path.realpath(path)
            relative = os.path.relpath(os.path.join(folder, os.path.basename(name)), root)
            found.setdefault(root, {})[relative.replace(os.sep, "/")] = None
    here = os.path.realpath(".")
    repositories = []
    for root, dockerfiles in found.items():
        away = os.path.relpath(root, here)
        prefix = "" if away == "." else f"{away}/"
        repositories.append(Repository(root, prefix, tuple(dockerfiles)))
    return repositories, failures


def run_all(
    repositories: Sequence[Repository],
    request: Request,
    jobs: int = 1,
    done: Callable[[int], None] = lambda count: None,
) -> Iterator[Outcome]:
    """Run the chain over every repository, with *jobs* processes (0: one a core), in the order given.

    *done* is told how many Dockerfiles were finished since it was told last.
    """
    jobs = jobs or os.cpu_count() or 1
    if (
        jobs == 1
        or sum(len(repository.dockerfiles) for repository in repositories) < 2
        or (len(repositories) == 1 and not _is_large(repositories[0]))
    ):
        for repository in repositories:
            yield run_one(repository, request)
            done(len(repository.dockerfiles))
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        waiting = [
            None if _is_large(repository) else pool.submit(run_one, repository, request) for repository in repositories
        ]
        for repository, future in zip(repositories, waiting, strict=True):
            if future is None:
                yield _run_large(repository, request, pool, jobs, done)
            else:
                yield future.result()
                done(len(repository.dockerfiles))


def run_one(repository: Repository, request: Request) -> Outcome:
    """Run the chain over one repository. Never raises: what goes wrong is in the result's failures."""
    from dockfix.project.disk import DiskFiles

    return _outcome(
        repository,
        request,
        lambda: run(DiskFiles(repository.root), repository.dockerfiles, settings_for(repository.root, request)),
    )


def _is_large(repository: Repository) -> bool:
    from dockfix.parts import SMALLEST

    return len(repository.dockerfiles) >= 4 * SMALLEST


def _run_large(
    repository: Repository, request: Request, pool: Executor, jobs: int, done: Callable[[int], None]
) -> Outcome:
    from functools import partial

    from dockfix.parts import run_parts

    def all_parts() -> Result:
        settings_for(repository.root, request)  # its errors are said once
        return run_parts(repository.dockerfiles, partial(_run_part, repository.root, request), pool, jobs, done)

    return _outcome(repository, request, all_parts)


def _run_part(root: str, request: Request, dockerfiles: tuple[str, ...]) -> Part:
    from dockfix.parts import run_part
    from dockfix.project.disk import DiskFiles

    return run_part(DiskFiles(root), settings_for(root, request), dockerfiles)


def _outcome(repository: Repository, request: Request, work: Callable[[], Result]) -> Outcome:
    try:
        result = _told(repository, request, work())
    except (ConfigError, RegistryError) as error:
        return Outcome(repository, (), Result(failures=(Failure("", 0, str(error)),)))
    except OSError as error:
        where = error.filename or repository.root
        return Outcome(repository, (), Result(failures=(Failure(str(where), 0, f"{error.strerror}"),)))
    changes = tuple(Change(path, result.before[path], text) for path, text in result.after.items())
    return Outcome(repository, changes, result)


def _told(repository: Repository, request: Request, result: Result) -> Result:
    """Return the result with a word on each transform that was asked for and that the configuration leaves out."""
    if not request.select:
        return result
    config = load_config(repository.root, request.config)
    path = os.path.relpath(config.path, repository.root) if config.path else ""
    reason = "it is left out: the configuration's ignore names it"
    refused = [
        Refused(name, dockerfile, path, 0, reason)
        for name in request.select
        if name in config.ignore
        for dockerfile in repository.dockerfiles[:1]
    ]
    return replace(result, skips=(*refused, *result.skips)) if refused else result


def settings_for(root: str, request: Request) -> Settings:
    """Return the transforms and options for the repository at *root*: the command line goes before configuration.

    Raises ``ConfigError`` and ``RegistryError``.
    """
    transforms = _transforms(request.transform_files)
    config = load_config(root, request.config)
    if request.options:
        names = {**config.options, **request.options}
        own, given = config.options, request.options
        config = replace(config, options={name: {**own.get(name, {}), **given.get(name, {})} for name in names})
    config.check(transforms)
    select = request.select or config.select
    chosen = choose(transforms, (*select, *request.also) if select else (), (*config.ignore, *request.ignore))
    known = tuple(item.name for item in transforms)
    return Settings(chosen, request.safe_only or config.safe_only, config.options, known)


def summaries(request: Request) -> dict[str, str]:
    """Return what each transform does, in a line, by its name; none where they cannot be loaded."""
    try:
        return {item.name: item.summary for item in _transforms(request.transform_files)}
    except RegistryError:
        return {}


@cache
def _transforms(files: tuple[str, ...]) -> tuple[Transform, ...]:
    return load_transforms(files)
