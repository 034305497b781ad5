"""The transform production-server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.layout import removals
from dockfix.build.lineage import image_path
from dockfix.build.model import Build
from dockfix.build.start import Start, Unclear, shell_word, start_of
from dockfix.project.process_state import CREATES, LOADS, STREAMS
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._development_server import Server, check_directories, development_server, without_reload
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._server_install import installation
from dockfix_transforms._server_obstacles import called, check_address, check_program, check_temporary

_DEVELOPMENT: Final = pattern(r"\bflask\b.*\brun\b|\brunserver\b|--reload\b|\bfastapi\s+dev\b")
_PRODUCTION: Final = pattern(r"\b(?:gunicorn|uwsgi|daphne|hypercorn|waitress-serve|granian)\b")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1", "[::1]")


@transform(safety=Safety.REVIEW, phase=Phase.START, production=True)
def production_server(build: Build) -> Iterator[Fix | Skip]:
    """Run the application with a production server in place of the framework's development server.

    Why: the development servers of Flask and Django handle one thing at a time, are not hardened, and restart when a
    file changes; their own documentation says not to use them in production.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY requirements.txt .
         RUN pip install -r requirements.txt
         COPY . .
        -CMD ["python", "app.py"]
        +CMD ["gunicorn", "--bind", "0.0.0.0:5000", "--workers", "4", "--access-logfile", "-", "app:app"]
        @@ requirements.txt
         flask==3.1.0
        +gunicorn==23.0.0
        @@ app.py
         from flask import Flask

         app = Flask(__name__)

         if __name__ == "__main__":
             app.run(host="0.0.0.0")

    Flask and Django run with gunicorn, FastAPI and Starlette with uvicorn, on the port that they had. Where the
    application keeps state in its process there is one worker with threads, and a note names the place.

    The command is changed where it is written: in CMD or ENTRYPOINT of any form, behind ``sh -c``, at the end of the
    script that they start. Where a lock file rules what is installed, it is not made stale: the server is installed
    by a RUN of its own. Static files that only Django's runserver serves, as it does with DEBUG, are served by
    WhiteNoise, which joins the middleware and the requirements.

    When it holds back: statements in the main block that would not run any more; socketio.run, ssl_context and other
    arguments without a counterpart; static files that only Django's runserver serves, where WhiteNoise cannot be
    added; a program that asks for its development server or for the way in which it was started, or that manage.py or
    Flask's own command prepares; an application that is not found, not certain or not copied into the image; a start
    command in a condition or beside other programs; an environment that cannot get the server; Python 2.

    Source: Flask's documentation, "Deploying to Production" (https://flask.palletsprojects.com/en/stable/deploying/),
    Django's deployment checklist (https://docs.djangoproject.com/en/stable/howto/deployment/checklist/) and
    FastAPI's, "Run a Server Manually" (https://fastapi.tiangolo.com/deployment/manually/).
    """
    start = start_of(build)
    if isinstance(start, Unclear):
        if _DEVELOPMENT.search(start.text) and not _PRODUCTION.search(start.text):
            yield Skip(start.reason, start.line, start.path)
        return
    if start is None or len(start.words) == start.prefix:
        return
    try:
        fix = _fix(build, start)
    except Obstacle as obstacle:
        yield obstacle.skip
        return
    if fix is not None:
        yield fix


def _fix(build: Build, start: Start) -> Fix | None:
    prefix, words = start.words[: start.prefix], start.words[start.prefix :]
    kept = without_reload(words)
    if kept is not None:
        return _without_reload(build, start, prefix, kept)
    server = development_server(build, start, words)
    if server is None:
        return None
    check_directories(build)
    if start.entrypoint is not None:
        _check_arguments(build)
    edits, program, command, notes = _served(build, start, server, words)
    if server.application.framework == "django":
        notes += _keep_static_files(build, start, server, edits)
    mine = edits.setdefault(start.path, [])
    if start.replaceable:  # signals reach the server, not the shell in front of it
        prefix = ("exec", *prefix)
    mine.append(start.rewritten((*prefix, *command)))
    if start.entrypoint is not None:
        mine += removals(build.dockerfile, [start.entrypoint.instruction])
    if program == "gunicorn" and server.variable == "PORT" and "PORT" not in start.step.env:
        keyword = "env" if start.step.instruction.keyword_text.islower() else "ENV"
        line = f"{keyword} PORT={server.port}{build.dockerfile.newline}"
        edits.setdefault(build.path, []).append(insert(start.step.instruction.start, line))
    if server.host in _LOOPBACK:
        notes.append(f"it was bound to {server.host}, where nothing outside of the container reached it")
    notes += _about_services(build)
    title = f"run {server.target} with {program} in place of the development server"
    return Fix(title, _sorted(edits), start.step.line, notes=tuple(notes))


def _check_arguments(build: Build) -> None:
    """Refuse to take an ENTRYPOINT away to which a compose service gives arguments. Raises ``Obstacle``."""
    for service in build.project.services:
        if service.command and not service.entrypoint:
            shown = service.command if isinstance(service.command, str) else " ".join(service.command)
            raise Obstacle(f"{service.name} gives the ENTRYPOINT other arguments: {shown}", service.line, service.path)


def _keep_static_files(build: Build, start: Start, server: Server, edits: dict[str, list[Edit]]) -> list[str]:
    """Add WhiteNoise to *edits* where only the development server serves Django's static files; return what to say."""
    from dockfix_transforms._django_static import lost_static_files, whitenoise_edit

    loss = lost_static_files(build, start, server.application)
    if loss is None:
        return []
    found = whitenoise_edit(build, start, server.application)
    if found is None:
        raise Obstacle(f"{loss.reason}: add WhiteNoise first", loss.line, loss.path)
    for path, more in installation(build, start, "whitenoise").items():
        mine = edits.setdefault(path, [])
        for edit in more:
            same = next((one for one in mine if (one.start, one.end) == (edit.start, edit.end)), None)
            if same is None:
                mine.append(edit)
            elif not edit.replacement.lstrip().startswith(("RUN", "run")):
                mine.remove(same)
                mine.append(Edit(same.start, same.end, same.replacement + edit.replacement.lstrip("\r\n")))
            else:  # beside a lock: the RUN that installs the server installs both
                raise Obstacle(f"{loss.reason}: add WhiteNoise first", loss.line, loss.path)
    path, edit = found
    edits.setdefault(path, []).append(edit)
    return ["WhiteNoise serves the static files, as runserver did with DEBUG; without DEBUG it serves STATIC_ROOT"]


def _about_services(build: Build) -> list[str]:
    """Return what to say of the compose services that run the image."""
    notes: dict[str, str] = {}
    for service in build.project.services:
        place = f"{service.path}:{service.line}"
        if service.command or service.entrypoint:
            notes.setdefault(service.name, f"{place}: the command of {service.name} stays in force")
        elif any(mount.bind and mount.target.rstrip("/") == build.final.workdir for mount in service.mounts):
            text = f"{place}: {service.name} mounts the source, and does not restart any more when a file changes"
            notes.setdefault(service.name, f"{text}: for development give it a command of its own")
    return list(notes.values())


def _settings_of_gunicorn(build: Build, start: Start) -> frozenset[str]:
    """Return what a gunicorn.conf.py sets that gunicorn finds in the directory where it starts."""
    place = f"{start.workdir.rstrip('/')}/gunicorn.conf.py"
    context = build.project.context
    names = [path for path in context.paths if path.rpartition("/")[2] == "gunicorn.conf.py"]
    text = next((context.text(path) or "" for path in names if image_path(build, path) == place), "")
    return frozenset(re.findall(r"^(\w+)\s*=", text, re.MULTILINE))


def _sorted(edits: dict[str, list[Edit]]) -> dict[str, tuple[Edit, ...]]:
    return {path: tuple(sorted(changes)) for path, changes in edits.items()}


def _without_reload(build: Build, start: Start, prefix: tuple[str, ...], kept: tuple[str, ...]) -> Fix:
    """Return the fix that leaves a production server as it is, but for restarting it when a file changes."""
    notes = []
    if any(word.endswith("uvicorn") for word in kept[:3]):
        hosts = [
            word.partition("=")[2] or after
            for word, after in zip(kept, (*kept[1:], ""), strict=True)
            if word.partition("=")[0] == "--host"
        ]
        if not hosts and not any(word.partition("=")[0] in ("--uds", "--fd") for word in kept):
            kept = (*kept, "--host", "0.0.0.0")
            notes.append("it was bound to 127.0.0.1, where nothing outside of the container reached it")
    edits = [start.rewritten((*prefix, *kept))]
    if start.entrypoint is not None:
        _check_arguments(build)
        edits += removals(build.dockerfile, [start.entrypoint.instruction])
    notes += _about_services(build)
    title = "run the server without restarting it when a file changes"
    return Fix(title, {start.path: tuple(sorted(edits))}, start.step.line, notes=tuple(notes))


def _served(
    build: Build, start: Start, server: Server, development: tuple[str, ...]
) -> tuple[dict[str, list[Edit]], str, tuple[str, ...], list[str]]:
    """Return what installs the server, its name, the command that starts it in place of *development*, and notes."""
    application = server.application
    asgi = application.framework in ("fastapi", "starlette", "quart") or application.asgi is not None
    notes: list[str] = []
    elsewhere = server.folder != start.workdir
    port = server.port
    if server.variable is not None and (asgi or server.variable != "PORT"):
        port = f"${{{server.variable}:-{server.port}}}"
    if asgi:
        program = "uvicorn"
        words = [
            *called(build, development, program),
            server.target.removesuffix("()"),
            "--host",
            "0.0.0.0",
            "--port",
            port,
        ]
        words += ["--factory"] if application.factory else []
        words += ["--app-dir", server.folder] if elsewhere else []
    else:
        check_temporary(build)
        program = "gunicorn"
        settings = _settings_of_gunicorn(build, start)
        words = called(build, development, program)
        words += [] if server.variable == "PORT" else ["--bind", f"0.0.0.0:{port}"]
        if application.state:
            state = application.state[0]
            words += ["--workers", "1", "--threads", "8"]
            words += ["--timeout", "0"] if any(one.what == LOADS for one in application.state) else []
            why = (
                state.what if state.what in (CREATES, LOADS, STREAMS) else f"keeps state in the process ({state.what})"
            )
            notes.append(f"one worker: {state.path}:{state.line} {why.removeprefix('it ')}")
        elif "workers" not in settings:
            words += ["--workers", "4"]
        words += ["--access-logfile", "-"] if "accesslog" not in settings else []
        if settings:
            notes.append("gunicorn reads gunicorn.conf.py by itself, and what the command says comes before it")
        words += ["--pythonpath", server.folder] if elsewhere else []  # files are still found from WORKDIR
        words.append(server.target)
    check_program(build, start, application, program, server.module)
    check_address(build, server.host)
    edits = installation(build, start, program, "[standard]" if application.asgi else "")
    if "$" in port and not start.shell:
        if start.prefix:
            raise Obstacle(f"the port comes from {server.variable}, and no shell would expand it", start.line)
        words = ["sh", "-c", "exec " + " ".join(map(shell_word, words))]
    return edits, program, tuple(words), notes
