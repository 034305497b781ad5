"""Verify Dockfiles: build both images, run both, look at both, and compare."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

from dockfix.project.context import Context
from dockfix.project.disk import OverlayFiles
from dockfix.project.files import Files
from dockfix.verify.build import Built, build
from dockfix.verify.engine import BuildRequest, Engine, EngineError, RunRequest
from dockfix.verify.image import Image, examine
from dockfix.verify.plan import Plan, make_plan
from dockfix.verify.progress import Progress
from dockfix.verify.result import Side
from dockfix.verify.run import Asking, Observation, observe
from dockfix.verify.scratch import Scratch
from dockfix.verify.services import running

_RUNS: Final = 2
_SHORT_WAIT: Final = 8.0
_FULL: Final = re.compile(r"(?i)no space left on device|disk quota exceeded")
_NETWORK: Final = re.compile(
    r"(?i)temporary failure|could not resolve|timed out|connection (?:reset|refused|aborted|broken)|handshake timeout"
    r"|unexpected eof|network is unreachable|hash sum mismatch|incompleteread|50[234] (?:bad gateway|service|gateway)"
)
"""What a network says that fails now and then: no transform is to blame for it, so the build gets a second try."""
HELPER: Final = "python:3-slim"
"""What looks at a container without Python, where the engine has it."""


class Limits(NamedTuple):
    """How to build and run. Times in seconds."""

    timeout: float = 1800.0
    """For one build."""
    wait: float = 30.0
    """For a program to listen."""
    memory: str = "2g"
    build_network: str | None = None
    network: str = "none"
    arguments: tuple[tuple[str, str | None], ...] = ()
    target: str | None = None
    secrets: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    with_services: bool = False
    cache: bool = True


class Checker:
    """Builds and runs the sides of one repository in its scratch copy."""

    def __init__(self, engine: Engine, limits: Limits, progress: Progress, scratch: Scratch, files: Files) -> None:
        self.engine = engine
        self.limits = limits
        self.progress = progress
        self.scratch = scratch
        self.files = files

    def plan(self, dockerfile: str, texts: Mapping[str, str], given: Mapping[str, str] = MappingProxyType({})) -> Plan:
        """Return how *dockerfile* is built and run with *texts* laid over the repository.

        *given* are variables that stood in the files and come from outside now: compose takes them, too.
        """
        files: Files = OverlayFiles(self.files, texts) if texts else self.files
        return make_plan(files, dockerfile, {**given, **self.limits.environment}, self.limits.target)

    def side(
        self,
        name: str,
        plan: Plan,
        texts: Mapping[str, str],
        before: Side | None = None,
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> Side:
        """Build and run one side; *before* tells how long to wait and what to ask.

        *given* are the variables that stood in the files and come from outside now: the container gets them, and the
        build as secrets of these names.
        """
        self.scratch.show(texts)
        self.progress.phase(f"{plan.dockerfile}: {name}: building")
        plan = plan._replace(environment={**given, **plan.environment})
        secrets = self._secrets(given)
        built = self._build(plan, secrets, cache=self.limits.cache)
        if built.image is None:
            return Side(plan, built, None, (), None)
        first = before or Side(plan, built, None, (), None)
        image = self._examine(name, built.image, first.plan)
        runs = self._run(name, plan, image, first)
        rebuilt = self._rebuild(name, plan, secrets, first.plan.touched, image)
        return Side(plan, built, image, runs, rebuilt)

    def again(self, name: str, side: Side, first: Side) -> Side:
        """Run a side again, and return it with what was seen this time, too. *first* is the image as it was."""
        assert side.image is not None
        return side._replace(runs=(*side.runs, *self._run(name, side.plan, side.image, first)))

    def drop(self, side: Side) -> None:
        """Remove the side's image."""
        if side.image is not None:
            self.engine.remove_image(side.image.id)

    def _secrets(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """Return the secrets of a build; those of *given* lie in files beside the copy, for their owner's eyes only."""
        named = {dict(part.partition("=")[::2] for part in one.split(",")).get("id") for one in self.limits.secrets}
        found = list(self.limits.secrets)
        for number, (name, value) in enumerate(given.items()):
            if name not in named:
                found.append(f"id={name},src={self.scratch.keep(f'secret-{number}', value)}")
        return tuple(found)

    def _build(self, plan: Plan, secrets: tuple[str, ...], *, cache: bool) -> Built:
        limits = self.limits
        given = dict(limits.arguments)
        stated = tuple(pair for pair in plan.arguments if pair[0] not in given)
        request = BuildRequest(
            context=self.scratch.full(plan.context),
            dockerfile=self.scratch.full(plan.dockerfile),
            iidfile=os.path.join(self.scratch.folder, "image"),
            network=limits.build_network,
            arguments=(*stated, *limits.arguments),
            target=plan.target,
            secrets=secrets,
            cache=cache,
        )
        built = build(self.engine, request, limits.timeout, self.progress.step)
        if built.image is None and not built.late and any(map(_NETWORK.search, built.ending)):
            built = build(self.engine, request, limits.timeout, self.progress.step)
        full = None if built.image else next(filter(_FULL.search, built.ending), None)
        if full is not None:
            raise EngineError(f"no space is left to build in: {full.strip()}")
        return built

    def _request(self, image: str, plan: Plan) -> RunRequest:
        return RunRequest(
            image=image,
            network=self.limits.network,
            environment=plan.environment,
            command=plan.command,
            entrypoint=plan.entrypoint,
            memory=self.limits.memory,
        )

    def _examine(self, name: str, image: str, first: Plan) -> Image:
        self.progress.phase(f"{first.dockerfile}: {name}: looking into the image")
        bare = RunRequest(image, memory=self.limits.memory)
        return examine(self.engine, image, first.folders, self.scratch.folder, bare)

    def _run(self, name: str, plan: Plan, image: Image, first: Side) -> tuple[Observation, ...]:
        self.progress.phase(f"{plan.dockerfile}: {name}: running")
        helper = first.image.id if first.image and first.image.python else None
        if image.python is None and helper is None and self.engine.has_image(HELPER):
            helper = HELPER
        ports = tuple(dict.fromkeys((*_numbers(image), *first.plan.ports)))
        asking = Asking(
            wait=self.limits.wait,
            ports=[one.asked for one in first.runs if one.asked] + list(ports),
            routes=first.plan.routes,
            hosts=first.plan.hosts,
            health=image.configuration.health,
            python=image.python,
            helper=helper,
        )
        request = self._request(image.id, plan)
        if not self.limits.with_services or not first.plan.companions:
            return self._observed(request, asking, first)
        network = f"dockfix-{self.engine.run}"
        limits, say = self.limits, self.progress.step
        with running(self.engine, first.plan.companions, network, limits.memory, limits.wait, say):
            return self._observed(request._replace(network=network), asking, first)

    def _observed(self, request: RunRequest, asking: Asking, first: Side) -> tuple[Observation, ...]:
        """Return what the runs showed. A program of which nothing is known may take as long as a server to listen."""
        found: list[Observation] = []
        for _ in range(_RUNS):
            known = (*first.runs, *found)
            idle = not first.plan.serves and bool(known) and not any(one.ports for one in known)
            patient = asking._replace(wait=min(_SHORT_WAIT, asking.wait)) if idle else asking
            found.append(observe(self.engine, request, patient, self.progress.step))
        return tuple(found)

    def _rebuild(
        self, name: str, plan: Plan, secrets: tuple[str, ...], touched: str | None, image: Image
    ) -> Built | None:
        """Build again after a change of one source file; what comes of it is removed at once, *image* is not."""
        if touched is None:
            return None
        self.progress.phase(f"{plan.dockerfile}: {name}: building again after a change of {touched}")
        comment = "//" if touched.endswith((".js", ".ts", ".go", ".php")) else "#"
        text = (
            "<!-- {} -->" if touched.endswith(".html") else "/* {} */" if touched.endswith(".css") else comment + " {}"
        )
        before = self.scratch.touch(touched, "\n" + text.format(self.engine.run) + "\n")
        built = self._build(plan, secrets, cache=True)
        self.scratch.restore(touched, before)
        if built.image not in (None, image.id):  # the same where the file does not reach the final stage
            self.engine.remove_image(built.image)
        return built


def _numbers(image: Image) -> list[int]:
    found = []
    for port in sorted(image.configuration.ports):
        with suppress(ValueError):
            found.append(int(port.partition("/")[0]))
    return found


def hidden_paths(before: Side, after: Side, context: Context) -> tuple[str, ...]:
    """Return the files of the first image that the second one's *context* keeps out by its ignore file."""
    if before.image is None or before.image.files is None or after.image is None or after.image.files is None:
        return ()
    found = []
    for path in before.image.files:
        if path not in after.image.files and any(context.ignored(origin) for origin in origins(path, before.plan)):
            found.append(path)
    return tuple(found)


def origins(path: str, plan: Plan) -> list[str]:
    """Return the paths of the context that a file of the image may come from."""
    found = []
    for source, place in plan.copies:
        inside = place.rstrip("/") + "/"
        if path.startswith(inside):
            rest = path[len(inside) :]
            found.append(f"{source}/{rest}" if source else rest)
            if source and rest == source.rpartition("/")[2]:
                found.append(source)
        elif path == place and source:
            found.append(source)
    return found
