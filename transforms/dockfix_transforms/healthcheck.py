"""The transform healthcheck."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.layout import above
from dockfix.build.lineage import last_step, lineage, start_steps
from dockfix.build.model import Build
from dockfix.syntax.edit import insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from dockfix.build.model import Step
    from dockfix_transforms._listening import Listening

_SERVER: Final = pattern(
    r"gunicorn|uvicorn|hypercorn|daphne|granian|waitress|flask|fastapi|streamlit|uwsgi|runserver|\.py\b|\.sh\b|entrypoint"
)
_TIMES: Final = "--interval=30s --timeout=5s --start-period=10s"
_MIGRATES: Final = pattern(r"\b(?:migrate|alembic|db\s+upgrade|loaddata|initdb|create_?db|init_?db|syncdb)\b")
_PYTHON_PACKAGES: Final = frozenset({"python3", "python3-pip", "python3-venv", "python3-dev", "python3-devel"})
"""Packages of distributions that bring ``/usr/bin/python3``."""
_ADDS: Final = frozenset({"install", "add"})
_REMOVES: Final = frozenset({"remove", "purge", "autoremove", "del", "erase"})
_PYTHON_BASE: Final = pattern(r"(?:.*/)?(?:python|pypy)(?:-\w+)?\Z|.*/?uv\Z|tiangolo/.*|.*python.*")


@transform(safety=Safety.REVIEW, phase=Phase.CONTENT, production=True)
def healthcheck(build: Build) -> Iterator[Fix | Skip]:
    """Tell Docker how to find out whether the web server still answers.

    Why: a process that runs is not yet a program that works. With a health check Docker knows when the container is
    ready (compose's ``service_healthy``), and when it hangs.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY . .
         RUN pip install -r requirements.txt
        +HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \\
        +    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), timeout=4).close()"]
         CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:app"]
        @@ requirements.txt
         flask==3.1.0
         gunicorn==23.0.0
        @@ app.py
         from flask import Flask

         app = Flask(__name__)

    The question is asked with Python, since slim images have no curl, and past any proxy that the container is
    configured for. It goes to a route for that purpose (/health, /healthz, /ping, /ready, /status ...) where the code
    has one that answers without a log-in, a parameter or a rate limit, and for Django where ALLOWED_HOSTS lets it in.
    Without one it is asked whether the port accepts connections. The command is read where it stands: in CMD and
    ENTRYPOINT, in the script that they start, in a configuration file, or in the compose file alone.

    When it holds back: a health check in the Dockerfile (NONE as well) or in the compose file; a port that cannot be
    told; a compose service that runs another program from the image, such as a worker, which would never be healthy;
    servers that speak TLS or send every request on to HTTPS; migrations before the start, since nobody knows how long
    they take; an image without Python. Workers, bots and other programs that do not listen are none of its business.

    Source: Docker's reference, HEALTHCHECK (https://docs.docker.com/reference/dockerfile/#healthcheck).
    """
    entry, cmd = start_steps(build)
    step = cmd or entry
    starts = [one.instruction.value for one in (entry, cmd) if one is not None]
    if not any(map(_SERVER.search, starts or _commands(build))):
        return
    if last_step(build, "HEALTHCHECK") is not None or build.final.of("ONBUILD"):
        return
    from dockfix_transforms._listening import listening_of

    found = listening_of(build) if step is not None else _started_by_compose(build)
    if found is None:
        return
    obstacle = _obstacle(build, found)
    if obstacle is not None:
        yield obstacle
        return
    python = _python(build, found)
    if python is None:
        yield Skip("the image is built on one that may have no Python, which the check would be asked with", found.line)
        return
    question, title = _question(build, found)
    newline, escape = build.dockerfile.newline, build.dockerfile.escape
    last = step or build.final.steps[-1]
    keyword, command = ("healthcheck", "cmd") if last.instruction.keyword_text.islower() else ("HEALTHCHECK", "CMD")
    words = json.dumps([python, "-c", question])
    text = f"{keyword} {_TIMES} {escape}{newline}    {command} {words}{newline}"
    if step is not None and step.stage == build.final.index:
        edit = above(build.dockerfile, _anchor(build, step).instruction, text)
    else:
        text = text if build.dockerfile.text.endswith("\n") else newline + text.removesuffix(newline)
        edit = insert(len(build.dockerfile.text), text)
    notes = [f"{path}:{line}: {what}" for path, line, what in _exposed(build, found)]
    yield Fix(title, {build.path: (edit,)}, last.line, notes=tuple(notes))


def _commands(build: Build) -> list[str]:
    """Return the commands that compose gives an image that has none."""
    if not build.project.services or not any(stage.of("COPY", "RUN", "ADD") for stage in build.stages):
        return []
    commands = [service.command for service in build.project.services if service.command]
    return [command if isinstance(command, str) else " ".join(command) for command in commands]


def _started_by_compose(build: Build) -> Listening | None:
    """Return the server that compose starts in an image without a command of its own."""
    from dockfix_transforms._listening import served, words_of

    for service in build.project.services:
        if service.command and service.entrypoint is None:
            found = served(build, words_of(service.command), build.final.steps[-1])
            if found is not None:
                return found
    return None


def _anchor(build: Build, step: Step) -> Step:
    """Return the instruction before which the check stands: the first of ENTRYPOINT and CMD that end the stage."""
    found = step
    for other in reversed(build.final.steps):
        if other.keyword not in ("ENTRYPOINT", "CMD", "EXPOSE", "STOPSIGNAL", "LABEL"):
            break
        if other.keyword in ("ENTRYPOINT", "CMD"):
            found = other
    return found


def _obstacle(build: Build, found: Listening) -> Skip | None:
    if any(_MIGRATES.search(command) for command in found.first):
        return Skip("the start command migrates the database first, and how long that takes is not known", found.line)
    if found.tls:
        return Skip("the server speaks TLS itself, with a certificate for another name", found.line)
    if found.host not in ("", "0.0.0.0", "127.0.0.1", "localhost", "::", "[::]"):
        return Skip("the address that the server binds is not known", found.line)
    if found.port is None and (found.variable is None or found.program == "script"):
        return Skip("the port that the server binds is not known", found.line)
    if found.application is not None:
        from dockfix_transforms._health_gates import https_only

        context = build.project.context
        place = https_only(context, found.application)
        if place is not None:
            return Skip("it sends every request on to HTTPS", place[1], context.repository_path(place[0]))
    return _services(build, found)


def _services(build: Build, found: Listening) -> Skip | None:
    """Return why the compose services that run the image forbid a check in it."""
    from dockfix_transforms._listening import served, words_of
    from dockfix_transforms._migrations import migrates

    step = last_step(build, "CMD") or last_step(build, "ENTRYPOINT") or build.final.steps[-1]
    services = build.project.services
    if services and all(service.target not in (None, build.final.name) for service in services):
        first = services[0]
        return Skip(f"{first.name} is built from the stage {first.target}, not the last one", first.line, first.path)
    for service in services:
        if service.healthcheck is not None:
            return Skip(f"{service.name} has a health check of its own", service.line, service.path)
    for service in services:
        command = service.command or service.entrypoint
        if command is None:
            continue
        words = words_of(command)
        if migrates(words):  # it ends before anybody looks
            continue
        other = served(build, words, step)
        if other is None or (other.port, other.tls) != (found.port, False):
            reason = f"{service.name} runs another command from the image, for which the check may not hold"
            return Skip(reason, service.line, service.path)
    return None


def _python(build: Build, found: Listening) -> str | None:
    """Return the name of a Python in the image, None where it may have none."""
    first = lineage(build)[0]
    image = first.image
    if image is not None and _PYTHON_BASE.match(image.repository) and "pypy" not in image.repository:
        return "python3" if "distroless" in image.repository else "python"
    return found.python or _installed_python(build)


def _installed_python(build: Build) -> str | None:
    """Return ``python3`` where a RUN installs it, and no other may remove it."""
    steps = [step for stage in lineage(build) for step in stage.of("RUN")]
    installs = [install for step in steps for install in step.installs if install.manager in ("apt", "apk", "yum")]
    if not any(not _PYTHON_PACKAGES.isdisjoint(install.packages) for install in installs if install.action in _ADDS):
        return None
    scripts = [step.script for step in steps]
    if any(
        script is None or any(_REMOVES.intersection(command.argv) for command in script.commands) for script in scripts
    ):
        return None
    return "python3"


def _question(build: Build, found: Listening) -> tuple[str, str]:
    """Return what Python is to run, and what that is in words."""
    route = None
    if found.application is not None:
        from dockfix_transforms._health_route import health_route

        route = health_route(build.project.context, found.application)
    port = repr(str(found.port)) if found.port is not None else ""
    if found.variable is not None:
        lookup = f"os.environ.get('{found.variable}', {port})" if port else f"os.environ['{found.variable}']"
        imports = "import os, "
    else:
        lookup, imports = "", "import "
    if route is None:
        number = f"int({lookup})" if lookup else str(found.port)
        question = f"{imports}socket; socket.create_connection(('127.0.0.1', {number}), timeout=4).close()"
        shown = f"port {found.port}" if found.port is not None else f"the port in ${found.variable}"
        return question, f"check that {shown} accepts connections"
    host, path = route
    address = f"'http://{host}:' + {lookup} + '{path}'" if lookup else f"'http://{host}:{found.port}{path}'"
    question = f"{imports}urllib.request as u; u.build_opener(u.ProxyHandler({{}})).open({address}, timeout=4)"
    return question, f"ask {path} whether it is well"


def _exposed(build: Build, found: Listening) -> Iterator[tuple[str, int, str]]:
    """Yield where EXPOSE names other ports than the one that the server binds."""
    steps = [step for stage in lineage(build) for step in stage.of("EXPOSE")]
    numbers = [number for step in steps for number in re.findall(r"(?<![\w$-])\d+", step.instruction.value)]
    if found.port is not None and numbers and str(found.port) not in numbers:
        yield build.path, steps[-1].line, f"EXPOSE names other ports than {found.port}, where the server listens"
