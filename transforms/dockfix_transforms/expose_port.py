"""The transform expose-port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dockfix.build.layout import above
from dockfix.build.lineage import lineage, start_steps
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step
    from dockfix_transforms._listening import Listening

_TAIL: Final = frozenset({"USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL"})
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1", "[::1]")


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def expose_port(build: Build) -> Iterator[Fix | Skip]:
    """Name the port on which the web server listens.

    Why: EXPOSE opens nothing. It tells people, ``docker run -P``, proxies and platforms which port to ask, and spares
    them a search in the code.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY . .
        +EXPOSE 8000
         CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:app"]

    When it holds back: an EXPOSE is there, or may be in a base image that is not known; the port cannot be told, or
    comes from a variable that nothing here sets, or that compose sets otherwise; the server listens to its own
    container alone; compose publishes other ports only.

    Source: Docker's reference, EXPOSE (https://docs.docker.com/reference/dockerfile/#expose).
    """
    entry, cmd = start_steps(build)
    step = cmd or entry
    stages = lineage(build)
    if step is None or build.final.of("ONBUILD") or any(stage.of("EXPOSE") for stage in stages):
        return
    from dockfix_transforms._listening import listening_of

    found = listening_of(build)
    if found is None:
        return
    from dockfix_transforms._base_images import exposes_nothing

    if not exposes_nothing(stages[0].image):
        shown = stages[0].base or "the base image"
        yield Skip(f"whether {shown} names a port already is not known", step.line)
        return
    obstacle = _obstacle(build, found)
    if obstacle is not None:
        yield obstacle
        return
    anchor = _anchor(build, step).instruction
    keyword = "expose" if anchor.keyword_text.islower() else "EXPOSE"
    edit = above(build.dockerfile, anchor, f"{keyword} {found.port}{build.dockerfile.newline}")
    server = "the program" if found.program == "script" else found.program
    yield Fix(f"name port {found.port}, on which {server} listens", {build.path: [edit]}, step.line)


def _anchor(build: Build, step: Step) -> Step:
    """Return the first of the instructions around the start command that say how the container runs."""
    steps = build.stages[step.stage].steps
    at = steps.index(step)
    while at > 1 and steps[at - 1].keyword in _TAIL:
        at -= 1
    return steps[at]


def _obstacle(build: Build, found: Listening) -> Skip | None:
    if found.port is None:
        reason = f"it comes from ${found.variable}, which is not set here" if found.variable else "it is not known"
        return Skip(f"no port is named: {reason}", found.line)
    if found.host in _LOOPBACK:
        return Skip(f"no port is named: the server listens on {found.host}, in the container alone", found.line)
    for service in build.project.services:
        if service.target not in (None, build.final.name):
            continue
        if found.variable is not None and service.environment.get(found.variable, str(found.port)) != str(found.port):
            reason = f"{service.name} sets {found.variable} to another one"
        elif service.ports and found.port not in service.ports:
            reason = f"{service.name} publishes other ports than {found.port}, where the server listens"
        else:
            continue
        return Skip(f"no port is named: {reason}", service.line, service.path)
    return None
