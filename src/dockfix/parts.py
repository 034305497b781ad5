"""One repository with many Dockerfiles, done by several processes.

The Dockerfiles of a repository may share files: a requirements file, a .dockerignore, a compose file. So each part of
them says which files it read. Parts of which one changed what another read or changed are done again as one, one
Dockerfile after the other, so that the result is that of a single process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, TypeVar

from dockfix.chain import Settings, run
from dockfix.project.files import Files
from dockfix.records import record
from dockfix.result import Done, Failure, Refused, Result

T = TypeVar("T", Done, Refused, Failure)

SMALLEST: Final = 16
"""Dockerfiles in a part: fewer do not pay for what each process reads of the repository."""


@record
class Part:
    """What the chain did to some Dockerfiles, and the files that it looked at to do so."""

    dockerfiles: tuple[str, ...]
    result: Result
    read: frozenset[str]

    def meets(self, other: Part) -> bool:
        """Return whether one of both changes what the other reads or changes."""
        mine, others = self.result.after.keys(), other.result.after.keys()
        return not mine.isdisjoint(other.read | others) or not others.isdisjoint(self.read)


def run_parts(
    dockerfiles: Sequence[str],
    one: Callable[[tuple[str, ...]], Part],
    pool: Executor,
    jobs: int,
    done: Callable[[int], None],
) -> Result:
    """Run the chain over *dockerfiles* by parts in *pool*; *one* does a part, *done* is told how many are finished."""
    size = max(SMALLEST, -(-len(dockerfiles) // (jobs * 4)))
    cut = [tuple(dockerfiles[at : at + size]) for at in range(0, len(dockerfiles), size)]
    parts = []
    for part in pool.map(one, cut):
        parts.append(part)
        done(len(part.dockerfiles))
    while (meeting := _meeting(parts)) is not None:
        joined = {path for part in meeting for path in part.dockerfiles}
        again = one(tuple(path for path in dockerfiles if path in joined))
        parts = [part for part in parts if part not in meeting] + [again]
    return merged(parts, dockerfiles)


def _meeting(parts: Sequence[Part]) -> list[Part] | None:
    """Return the parts that have to be done as one: the first that meets another, and all that it meets."""
    for index, part in enumerate(parts):
        others = [other for other in parts[index + 1 :] if part.meets(other)]
        if others:
            return [part, *others]
    return None


def merged(parts: Iterable[Part], dockerfiles: Sequence[str]) -> Result:
    """Return the result of all parts as one, in the order of *dockerfiles*."""
    results = [part.result for part in parts]
    place = {path: index for index, path in enumerate(dockerfiles)}

    def in_order(items: Iterable[T]) -> tuple[T, ...]:
        return tuple(sorted(items, key=lambda item: place.get(_dockerfile_of(item), len(place))))

    return Result(
        before={path: text for result in results for path, text in result.before.items()},
        after=dict(sorted((path, text) for result in results for path, text in result.after.items())),
        fixes=in_order(item for result in results for item in result.fixes),
        suggestions=in_order(item for result in results for item in result.suggestions),
        skips=in_order(item for result in results for item in result.skips),
        failures=in_order(item for result in results for item in result.failures),
    )


def _dockerfile_of(item: Done | Refused | Failure) -> str:
    return item.path if isinstance(item, Failure) else item.dockerfile


def run_part(files: Files, settings: Settings, dockerfiles: tuple[str, ...]) -> Part:
    """Run the chain over *dockerfiles* and take note of what it reads."""
    watched = _Watched(files)
    result = run(watched, dockerfiles, settings)
    return Part(dockerfiles, result, frozenset(watched.read))


class _Watched:
    """Files that remember which of them were asked for."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.read: set[str] = set()

    @property
    def paths(self) -> frozenset[str]:
        return self._files.paths

    def text(self, path: str) -> str | None:
        self.read.add(path)
        return self._files.text(path)

    def trouble(self, path: str) -> str:
        return self._files.trouble(path)

    def is_directory(self, path: str) -> bool:
        return self._files.is_directory(path)

    def below(self, folder: str) -> tuple[str, ...]:
        return self._files.below(folder)
