"""The services that compose declares beside the one that is verified: databases, caches, brokers."""

from __future__ import annotations

import posixpath
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from dockfix.project.compose import Service
from dockfix.project.files import Files
from dockfix.syntax.compose import Value, read_yaml
from dockfix.verify.engine import Engine, EngineError, RunRequest
from dockfix.verify.variables import read_variables, resolve

_LISTENS: Final = re.compile(r"^\s*\d+: (?!0B00007F)\S+ \S+ 0A ", re.MULTILINE)


class Companion(NamedTuple):
    """A service that is run as it is. ``entrypoint`` None and no ``command``: the image's own."""

    name: str
    image: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...]
    health: tuple[str, ...]
    """A command that succeeds when it is ready; empty where compose states none."""


def companions_of(
    files: Files, service: Service, variables: Mapping[str, str]
) -> tuple[tuple[Companion, ...], tuple[str, ...]]:
    """Return the services of the same compose file that have an image, and the names of those that have not."""
    document = read_yaml(files.text(service.path) or "")
    stated = document.data.get("services") if document else None
    found: list[Companion] = []
    others: list[str] = []
    for name, one in stated.items() if isinstance(stated, Mapping) else ():
        if name == service.name or not isinstance(one, Mapping) or one.get("profiles"):
            continue
        image = one.get("image")
        if not isinstance(image, str) or "build" in one:
            others.append(name)
            continue
        entrypoint = one.get("entrypoint")
        found.append(
            Companion(
                name,
                resolve(image, variables),
                _environment(files, posixpath.dirname(service.path), one, variables),
                None if entrypoint is None else words(entrypoint, variables),
                words(one.get("command"), variables),
                _health(one.get("healthcheck"), variables),
            )
        )
    return tuple(found), tuple(others)


def words(value: Value, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of a command or an entry point, as compose reads them."""
    if isinstance(value, tuple):
        return tuple(resolve(word, variables) for word in value if isinstance(word, str))
    try:
        return tuple(shlex.split(resolve(value, variables))) if isinstance(value, str) else ()
    except ValueError:
        return ()


def pairs(value: Value) -> tuple[tuple[str, str | None], ...]:
    """Return what a mapping, or a list of ``NAME=value``, states; None for values that come from outside."""
    if isinstance(value, Mapping):
        return tuple((name, item if isinstance(item, str) else None) for name, item in value.items())
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, tuple) else []
    return tuple((text.partition("=")[0], text.partition("=")[2] if "=" in text else None) for text in texts)


def _environment(
    files: Files, folder: str, stated: Mapping[str, Value], variables: Mapping[str, str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    given = stated.get("env_file")
    for item in given if isinstance(given, tuple) else (given,):
        path = item.get("path") if isinstance(item, Mapping) else item
        if isinstance(path, str):
            found.update(read_variables(files.text(posixpath.normpath(posixpath.join(folder, path))) or ""))
    for name, value in pairs(stated.get("environment")):
        known = variables.get(name) if value is None else resolve(value, variables)
        if known is not None:
            found[name] = known
    return found


def _health(value: Value, variables: Mapping[str, str]) -> tuple[str, ...]:
    test = value.get("test") if isinstance(value, Mapping) else None
    if isinstance(test, str):
        return ("/bin/sh", "-c", resolve(test, variables))
    kind, *rest = words(test, variables) or ("NONE",)
    if kind == "CMD-SHELL":
        return ("/bin/sh", "-c", *rest)
    return tuple(rest) if kind == "CMD" else ()


@contextmanager
def running(
    engine: Engine, companions: Sequence[Companion], network: str, memory: str, wait: float, say: Callable[[str], None]
) -> Iterator[None]:
    """Run *companions* in a new network of this name, which leads nowhere else, and remove all of it in the end.

    Raises ``EngineError`` where one cannot be started, with its name.
    """
    engine.create_network(network)
    containers: list[str] = []
    try:
        for one in companions:
            say(f"starting the service {one.name}")
            request = RunRequest(
                one.image,
                network=network,
                environment=one.environment,
                command=one.command,
                entrypoint=one.entrypoint,
                memory=memory,
                aliases=(one.name,),
            )
            try:
                containers.append(engine.create(request))
                refused = engine.start(containers[-1])
            except EngineError as error:
                raise EngineError(f"the service {one.name} cannot be started: {error}") from error
            if refused is not None:
                raise EngineError(f"the service {one.name} cannot be started: {refused}")
        end = time.monotonic() + wait
        for one, container in zip(companions, containers, strict=True):
            say(f"waiting for the service {one.name}")
            while time.monotonic() < end and not _ready(engine, container, one):
                time.sleep(0.5)
        yield
    finally:
        for container in containers:
            engine.remove_container(container)
        engine.remove_network(network)


def _ready(engine: Engine, container: str, one: Companion) -> bool:
    """Whether a service is healthy; without a health check, whether it listens. Raises ``EngineError`` if it ended."""
    state = engine.state(container)
    if not state["Running"]:
        said = "; ".join(engine.logs(container, 3).split("\n")).strip("; ")
        raise EngineError(f"the service {one.name} ended with status {state['ExitCode']}: {said}")
    if one.health:
        return engine.execute(container, *one.health, timeout=30).ok
    listed = engine.execute(container, "cat", "/proc/net/tcp", "/proc/net/tcp6", timeout=30).stdout
    return _LISTENS.search(listed) is not None
