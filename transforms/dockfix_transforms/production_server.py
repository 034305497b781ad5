"""The transform production-server."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final

from dockfix.build.layout import removals
from dockfix.build.manifests import origin_of
from dockfix.build.model import Build, Stage, Step
from dockfix.build.scripts import argv_of
from dockfix.project.application import Application
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

_DEVELOPMENT: Final = pattern(r"\bflask\b.*\brun\b|\brunserver\b|--reload\b|\bfastapi\s+dev\b")
# The releases that pinned manifests get: gunicorn needs Python 3.7, uvicorn 3.9.
_VERSIONS: Final = {"gunicorn": "23.0.0", "uvicorn": "0.34.0"}
_OPTIONS: Final = {"-h": "--host", "-p": "--port", "-A": "--app", "-b": "--host"}
_DROPPED: Final = frozenset(
    {"--reload", "--no-reload", "--debug", "--no-debug", "--debugger", "--with-threads", "--noreload", "--insecure"}
)
_RUN_KEYWORDS: Final = frozenset({"host", "port", "debug", "threaded", "use_reloader", "reload", "app", "use_debugger"})


class _Obstacle(Exception):
    def __init__(self, reason: str, line: int = 0, path: str | None = None) -> None:
        super().__init__(reason)
        self.skip = Skip(reason, line, path)


@record
class _Server:
    """What the container is to run: ``folder`` is where the module imports from, in the image."""

    application: Application
    module: str
    folder: str
    host: str | None
    port: int
    port_variable: str | None

    @property
    def target(self) -> str:
        call = "()" if self.application.factory else ""
        return f"{self.module}:{self.application.variable}{call}"


@transform(safety=Safety.REVIEW, phase=Phase.START)
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

    When it holds back: statements in the main block that would not run any more; socketio.run, ssl_context and other
    arguments without a counterpart; an application that is not found, not certain or not copied into the image;
    start commands with shell features; packages that are locked or not installed by pip; Python before 3.7.

    Source: Flask's documentation, "Deploying to Production" (https://flask.palletsprojects.com/en/stable/deploying/),
    Django's deployment checklist (https://docs.djangoproject.com/en/stable/howto/deployment/checklist/) and
    FastAPI's, "Run a Server Manually" (https://fastapi.tiangolo.com/deployment/manually/).
    """
    stage = build.final
    entry, cmd = stage.last("ENTRYPOINT"), stage.last("CMD")
    step = cmd if cmd is not None and (entry is None or entry.instruction.json_form is not None) else entry
    if step is None:
        return
    try:
        yield from _start(build, stage, entry, step)
    except _Obstacle as obstacle:
        yield obstacle.skip


def _start(build: Build, stage: Stage, entry: Step | None, step: Step) -> Iterator[Fix]:
    argv = argv_of(step)
    if argv is None:
        if _DEVELOPMENT.search(step.instruction.value):
            raise _Obstacle("the start command is more than one plain command", step.line)
        return
    before = argv_of(entry) if entry is not None and entry is not step else ()
    if before and posixpath.basename(before[0]).endswith((".sh", "entrypoint")):
        before = ()
    elif before is None:
        return
    server = _server(build, stage, step, [*(before or ()), *argv])
    if server is None:
        return
    _check_base(stage)
    yield _fix(build, stage, step, entry if before else None, server)


def _server(build: Build, stage: Stage, step: Step, argv: list[str]) -> _Server | None:
    """Return what the command starts, None where it is no development server."""
    line = step.line
    if argv[0] in ("poetry", "pipenv", "uv", "pdm") and _DEVELOPMENT.search(" ".join(argv)):
        raise _Obstacle(f"the program is started through {argv[0]} run", line)
    name = posixpath.basename(argv[0])
    rest = argv[1:]
    if re.fullmatch(r"python[\d.]*", name):
        while rest and rest[0] in ("-u", "-B", "-O"):
            rest = rest[1:]
        if rest[:1] == ["-m"]:
            name, rest = rest[1] if len(rest) > 1 else "", rest[2:]
        elif rest and rest[0].endswith(".py"):
            return _script(build, stage, line, rest)
    elif name == "manage.py":
        return _script(build, stage, line, argv)
    if name == "flask":
        return _flask(build, stage, step, rest)
    if name == "uvicorn" and "--reload" in rest:
        return _uvicorn(build, stage, line, rest)
    if name == "fastapi" and rest[:1] == ["dev"]:
        return _uvicorn(build, stage, line, rest[1:])
    return None


def _read(words: Sequence[str], line: int) -> tuple[dict[str, str], list[str]]:
    """Return the options with a value and the operands of a command line."""
    options: dict[str, str] = {}
    operands: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in _DROPPED:
            continue
        if not word.startswith("-"):
            operands.append(word)
            continue
        name, equals, value = word.partition("=")
        name = _OPTIONS.get(name, name)
        if name not in ("--host", "--port", "--app", "--reload-dir"):
            raise _Obstacle(f"{word} has no counterpart that is known", line)
        if not equals:
            if not waiting:
                raise _Obstacle(f"{word} has no value", line)
            value = waiting.pop(0)
        options[name] = value
    return options, operands


def _number(text: str, line: int) -> int:
    if not text.isdigit():
        raise _Obstacle(f"the port {text} is not a number", line)
    return int(text)


def _script(build: Build, stage: Stage, line: int, rest: list[str]) -> _Server | None:
    path = posixpath.normpath(posixpath.join(stage.workdir or "/", rest[0]))
    if posixpath.basename(path) == "manage.py":
        if rest[1:2] != ["runserver"]:
            return None
        operands = _read(rest[2:], line)[1]
        found = [item for item in build.project.applications if item.framework == "django"]
        found = [item for item in found if _image_path(build, item.path) == path]
        application = _one(build, found, line)
        host, _, port = (operands[0] if operands else "127.0.0.1:8000").rpartition(":")
        if application.asgi:
            raise _Obstacle(f"{application.asgi} serves more than WSGI does", line)
        host = host or "127.0.0.1"
        return _Server(application, application.module, posixpath.dirname(path), host, _number(port, line), None)
    found = [item for item in build.project.applications if _image_path(build, item.path) == path and item.run]
    if not found:
        return None
    application = _one(build, found, line)
    run = application.run
    assert run is not None
    if len(rest) > 1:
        raise _Obstacle(f"the program takes arguments: {rest[1]}", line)
    place = build.project.context.repository_path(application.path)
    if application.socketio or "socketio" in run.callee:
        raise _Obstacle("socketio.run serves web sockets", run.line, place)
    if not run.guarded:
        raise _Obstacle(f"{run.callee}() runs whenever the module is imported", run.line, place)
    if run.others:
        number, source = run.others[0]
        raise _Obstacle(
            f"the main block does more than to start the server, which would be lost: {source}", number, place
        )
    if unknown := sorted(run.keywords - _RUN_KEYWORDS):
        raise _Obstacle(f"{run.callee}() takes {unknown[0]}, which has no counterpart that is known", run.line, place)
    if not run.port_known or not run.host_known or run.port_variable not in (None, "PORT"):
        raise _Obstacle(f"the address that {run.callee}() binds is computed", run.line, place)
    default = 8000 if run.callee == "uvicorn.run" else 5000
    if run.target and ":" in run.target and run.target.split(":")[0] != posixpath.basename(path).removesuffix(".py"):
        raise _Obstacle(f"uvicorn.run starts another module, {run.target}", run.line, place)
    module = posixpath.basename(path).removesuffix(".py")
    host = run.host or "127.0.0.1"
    return _Server(application, module, posixpath.dirname(path), host, run.port or default, run.port_variable)


def _flask(build: Build, stage: Stage, step: Step, rest: list[str]) -> _Server | None:
    options, operands = _read(rest, step.line) if "run" in rest else ({}, [])
    if operands != ["run"]:
        return None
    env = {**_flaskenv(build), **{key: value for key, value in step.env.items() if value is not None}}
    spec = options.get("--app") or env.get("FLASK_APP") or ""
    file, _, variable = spec.partition(":")
    variable = variable.removesuffix("()")
    module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
    names = {module} if module else {"app", "wsgi"}
    found = [item for item in build.project.applications if item.framework == "flask"]
    found = [item for item in found if _module_at(build, stage, item) in names and variable in ("", item.variable)]
    if not variable and len(found) > 1:
        found = [item for item in found if item.variable in ("app", "application", "create_app", "make_app")]
    application = _one(build, found, step.line)
    if application.run is not None and not application.run.guarded:
        raise _Obstacle("app.run() runs whenever the module is imported", step.line)
    port = _number(options.get("--port") or env.get("FLASK_RUN_PORT") or "5000", step.line)
    host = options.get("--host") or env.get("FLASK_RUN_HOST") or "127.0.0.1"
    folder = _folder(build, application, step.line)
    return _Server(application, application.module, folder, host, port, None)


def _uvicorn(build: Build, stage: Stage, line: int, rest: list[str]) -> _Server:
    options, operands = _read(rest, line)
    if len(operands) != 1:
        raise _Obstacle("which application uvicorn starts is not clear", line)
    file, _, variable = operands[0].partition(":")
    module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
    found = [item for item in build.project.applications if item.framework in ("fastapi", "starlette")]
    found = [item for item in found if _module_at(build, stage, item) == module and variable in ("", item.variable)]
    application = _one(build, found, line)
    folder = stage.workdir or "/"
    port = _number(options.get("--port", "8000"), line)
    return _Server(application, module, folder, options.get("--host", "127.0.0.1"), port, None)


def _flaskenv(build: Build) -> dict[str, str]:
    text = build.project.context.text(".flaskenv") or ""
    return dict(re.findall(r"^(?:export\s+)?(FLASK_\w+)\s*=\s*[\"']?([^\"'\s#]+)", text, re.MULTILINE))


def _one(build: Build, found: list[Application], line: int) -> Application:
    if not found:
        raise _Obstacle("the application that it starts is not found in the files that the image has", line)
    if len({(item.path, item.variable) for item in found}) > 1:
        names = ", ".join(sorted(f"{item.path}:{item.variable}" for item in found)[:3])
        raise _Obstacle(f"there are several applications: {names}", line)
    application = found[0]
    if application.conditional:
        place = build.project.context.repository_path(application.path)
        raise _Obstacle(f"the application is not certain: {application.conditional}", application.line, place)
    return application


def _image_path(build: Build, path: str) -> str | None:
    """Return where the image has the file *path* of the build context; the last COPY counts."""
    index: int | None = build.final.index
    while index is not None:
        stage = build.stages[index]
        for step in reversed(stage.of("COPY", "ADD")):
            target = step.copy.image_path(path) if step.copy else None
            if target is not None and not build.project.context.ignored(path):
                return target
        index = stage.base_stage
    return None


def _module_at(build: Build, stage: Stage, application: Application) -> str | None:
    """Return the name by which the module is imported from the directory where the program starts."""
    target = _image_path(build, application.path)
    if target is None:
        return None
    name = posixpath.relpath(target, stage.workdir or "/").removesuffix(".py").removesuffix("/__init__")
    return None if name.startswith("..") else name.replace("/", ".")


def _folder(build: Build, application: Application, line: int) -> str:
    target = _image_path(build, application.path)
    inside = posixpath.relpath(application.path, application.import_root or ".")
    if target is None or not target.endswith(f"/{inside}"):
        raise _Obstacle("where the image has the application is not clear", line)
    return target[: -len(inside) - 1] or "/"


def _check_base(stage: Stage) -> None:
    tag = (stage.image.tag if stage.image else None) or ""
    if re.match(r"(?:2|3\.[0-6])(?:\D|\Z)", tag) or "windows" in tag:
        raise _Obstacle(f"no release of the server is for this base image ({tag})", stage.steps[0].line)


def _fix(build: Build, stage: Stage, step: Step, entry: Step | None, server: _Server) -> Fix:
    program = "uvicorn" if server.application.framework in ("fastapi", "starlette") else "gunicorn"
    notes: list[str] = []
    elsewhere = server.folder != (stage.workdir or "/")
    if program == "uvicorn":
        if server.port_variable:
            raise _Obstacle("the port is read from a variable, which uvicorn does not read", step.line)
        words = [program, server.target.removesuffix("()"), "--host", "0.0.0.0", "--port", str(server.port)]
        words += ["--factory"] if server.application.factory else []
        words += ["--app-dir", server.folder] if elsewhere else []
    else:
        words = [program]
        if server.port_variable is None:
            words += ["--bind", f"0.0.0.0:{server.port}"]
        if server.application.state:
            state = server.application.state[0]
            words += ["--workers", "1", "--threads", "8"]
            notes.append(f"one worker: {state.path}:{state.line} keeps state in the process ({state.what})")
        else:
            words += ["--workers", "4"]
        words += ["--access-logfile", "-"]
        words += ["--chdir", server.folder] if elsewhere else []
        words.append(server.target)
    if server.host in ("127.0.0.1", "localhost", "::1"):
        notes.append(f"it was bound to {server.host}, where nothing outside of the container reached it")
    if server.application.framework == "django":
        notes.append("runserver served the static files with DEBUG; gunicorn does not: WhiteNoise or a web server does")
    overriding = [service for service in build.project.services if service.command]
    notes += [f"{service.path}:{service.line}: the command of {service.name} stays in force" for service in overriding]
    edits = _install(build, stage, program, step.line)
    tag = (stage.image.tag if stage.image else None) or ""
    if edits and program == "uvicorn" and re.match(r"3\.[0-8](?:\D|\Z)", tag):
        raise _Obstacle(f"the release of uvicorn that would be installed needs Python 3.9 ({tag})", step.line)
    instruction = step.instruction
    length = len(instruction.value)
    mine = edits.setdefault(build.path, [])
    mine.append(Edit(*instruction.arguments.raw_span(0, length), json.dumps(words)))
    if server.port_variable and "PORT" not in step.env:
        keyword = "env" if instruction.keyword_text.islower() else "ENV"
        mine.append(insert(instruction.start, f"{keyword} PORT={server.port}{build.dockerfile.newline}"))
    if entry is not None:
        mine += removals(build.dockerfile, [entry.instruction])
    title = f"run {server.target} with {program} in place of the development server"
    return Fix(title, {path: tuple(sorted(changes)) for path, changes in edits.items()}, step.line, notes=tuple(notes))


def _install(build: Build, stage: Stage, program: str, line: int) -> dict[str, list[Edit]]:
    """Return the edits that make the image install *program*, none where it does already."""
    from dockfix.syntax.requirements import add_requirement_edit, parse_requirements, reachable_manifests

    context = build.project.context
    stages = [stage]
    while stages[-1].base_stage is not None:
        stages.append(build.stages[stages[-1].base_stage])
    steps = [step for one in stages for step in one.steps]
    copies = [step.copy for step in steps if step.copy is not None]
    installs = [install for step in steps for install in step.installs if install.manager in ("pip", "uv-pip")]
    files: list[str] = []
    for install in installs:
        if any(re.match(rf"{program}\b", package or "") for package in install.packages):
            return {}
        for name in install.requirements:
            target = posixpath.normpath(posixpath.join(install.workdir or "/", name))
            source = next((found for copy in copies if (found := origin_of(copy, context, target))), None)
            if source is None:
                raise _Obstacle(f"{name} is not in the build context", line)
            files.append(source)
    for path in files:
        for reached in reachable_manifests(context.text, path)[0]:
            lines = parse_requirements(context.text(reached) or "") or ()
            names = {item.name for item in lines} | {extra for item in lines for extra in item.extras}
            if program in names or (program == "uvicorn" and names & {"standard", "all"}):
                return {}
    if files:
        text = context.text(files[-1]) or ""
        parsed = parse_requirements(text)
        if parsed is None or any(item.has_hash for item in parsed):
            raise _Obstacle(f"{files[-1]} holds hashes, and {program} has none there", line)
        wanted = [item for item in parsed if item.kind == "requirement"]
        pinned = bool(wanted) and all(item.pinned for item in wanted)
        requirement = f"{program}=={_VERSIONS[program]}" if pinned else program
        return {context.repository_path(files[-1]): [add_requirement_edit(text, requirement)]}
    for install in reversed(installs):
        named = [word for word in install.command.words if word.value and word.value in install.packages]
        if named and any(re.match(r"(?:flask|django|fastapi|starlette)\b", word.value or "", re.I) for word in named):
            pinned = all("==" in (word.value or "") for word in named)
            requirement = f"{program}=={_VERSIONS[program]}" if pinned else program
            return {build.path: [insert(install.script.span(named[-1])[1], f" {requirement}")]}
    raise _Obstacle(f"what installs {program} is not clear: no requirements file, and no framework named", line)
