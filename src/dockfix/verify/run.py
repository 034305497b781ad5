"""Run an image, look at it from inside its own network, and note what it did."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files as resources
from typing import Any, Final, NamedTuple

from dockfix.verify.engine import Engine, EngineError, RunRequest
from dockfix.verify.image import PYTHONS

_HEALTH_TRIES: Final = 10
_LOG_LINES: Final = 60
_HEALTH_LINES: Final = 4


class Answer(NamedTuple):
    """What a route answered. ``status`` is None where nothing came that is HTTP; ``error`` then says what came."""

    status: int | None
    type: str
    body: str
    location: str
    error: str


class Observation(NamedTuple):
    """What one container did."""

    refused: str | None
    """Why the engine could not start it."""
    running: bool
    code: int | None
    """Its exit status, where it ended."""
    out_of_memory: bool
    ports: tuple[tuple[int, bool], ...]
    """Where it listens, and whether on the loopback interface only."""
    asked: int | None
    seconds: float | None
    """Until it listened."""
    rounds: tuple[Mapping[str, Answer], ...]
    """The answers by route: every route was asked twice."""
    healthy: bool | None
    """None: it has no HEALTHCHECK, or did not run long enough."""
    log: tuple[str, ...]
    unseen: str | None = None
    """Why nobody could look."""
    ailing: tuple[str, ...] = ()
    """What the health check said, where it failed."""


class Asking(NamedTuple):
    """What to look for. ``helper`` is an image with a Python, for those that have none."""

    wait: float
    ports: Sequence[int]
    routes: Sequence[str]
    hosts: Sequence[str]
    """To be asked for where localhost is refused."""
    health: Sequence[str]
    python: str | None
    helper: str | None


def observe(engine: Engine, request: RunRequest, asking: Asking, progress: Callable[[str], None]) -> Observation:
    """Run the container, ask it, remove it. Raises ``EngineError`` where it cannot even be made."""
    progress("starting the container")
    container = engine.create(request)
    try:
        refused = engine.start(container)
        if refused is not None:
            log = tuple(engine.logs(container).splitlines()[-_LOG_LINES:])
            return Observation(refused, False, None, False, (), None, None, (), None, log)
        progress("asking it")
        seen, unseen = _look(engine, request, container, asking)
        healthy: bool | None = None
        ailing: tuple[str, ...] = ()
        if asking.health and engine.state(container)["Running"]:
            progress("asking its health check")
            healthy, ailing = _healthy(engine, container, asking.health)
        state = engine.state(container)
        running = bool(state["Running"])
        return Observation(
            refused=None,
            running=running,
            code=None if running else int(state["ExitCode"]),
            out_of_memory=bool(state.get("OOMKilled")),
            ports=tuple((port, local) for port, local in seen.get("ports", ())),
            asked=seen.get("asked"),
            seconds=seen.get("seconds") if seen.get("ports") else None,
            rounds=tuple(_answers(answers) for answers in seen.get("rounds", ())),
            healthy=healthy,
            log=tuple(engine.logs(container).splitlines()[-_LOG_LINES:]),
            unseen=unseen if running else None,
            ailing=ailing,
        )
    finally:
        engine.remove_container(container)


def _answers(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Answer]:
    return {
        route: Answer(one["status"], one["type"], one["body"], one["location"], one["error"])
        for route, one in answers.items()
    }


def _look(engine: Engine, request: RunRequest, container: str, asking: Asking) -> tuple[Mapping[str, Any], str | None]:
    """Return what the script saw, and why it could not look."""
    script = resources("dockfix.verify.inside").joinpath("look.py").read_text("utf-8")
    only = list(asking.ports) if request.network == "host" else []
    job = {
        "wait": asking.wait,
        "ports": list(asking.ports),
        "routes": list(asking.routes),
        "hosts": list(asking.hosts),
        "only": only,
    }
    arguments = ("-I", "-c", script, json.dumps(job))
    limit = asking.wait + 60 + 40 * (len(asking.routes) + 8)
    if asking.python is not None:
        seen = _read(engine.execute(container, asking.python, *arguments, timeout=limit).stdout)
        if seen is not None:
            return seen, None
        if not _stays(engine, container):
            return {}, None
    if asking.helper is None:
        _pause(engine, container, asking.wait)
        return {}, "the image has no Python to look with, and there is no other image that has"
    for python in PYTHONS:
        beside = request._replace(
            image=asking.helper, network=f"container:{container}", environment={}, user=None, workdir="/", aliases=()
        )
        try:
            done = engine.run_once(beside._replace(entrypoint=(python,), command=arguments), timeout=limit)
        except EngineError:
            continue
        seen = _read(done.stdout)
        if seen is not None:
            return seen, None
    _pause(engine, container, asking.wait)
    return {}, "the container's network could not be looked at"


def _stays(engine: Engine, container: str) -> bool:
    """Whether the container still runs; one that is about to end gets the time for it."""
    time.sleep(0.3)
    return bool(engine.state(container)["Running"])


def _pause(engine: Engine, container: str, seconds: float) -> None:
    """Wait as long as a look would take, or until the container ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and engine.state(container)["Running"]:
        time.sleep(0.5)


def _read(output: str) -> Mapping[str, Any] | None:
    lines = output.strip().splitlines()
    try:
        seen = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return seen if isinstance(seen, dict) else None


def _healthy(engine: Engine, container: str, test: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """Run the test of HEALTHCHECK as the engine would, without waiting for its interval; return what it said last."""
    kind, *rest = test
    command = ["/bin/sh", "-c", *rest] if kind == "CMD-SHELL" else rest
    said: tuple[str, ...] = ()
    for _ in range(_HEALTH_TRIES):
        done = engine.execute(container, *command, timeout=60)
        if done.ok:
            return True, ()
        lines = [line.rstrip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        said = tuple(lines[-_HEALTH_LINES:]) or (done.complaint,)
        if not engine.state(container)["Running"]:
            return False, said
        time.sleep(1)
    return False, said
