"""Which development server a start command runs: the application, the directory and the address that it has."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from dockfix.build.lineage import image_path
from dockfix.build.model import Build
from dockfix.build.start import Start
from dockfix.project.application import Application
from dockfix.project.compose import Service
from dockfix.records import record, replace
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle

_OPTIONS: Final = {"-h": "--host", "-p": "--port", "-A": "--app", "-b": "--host"}
_DROPPED: Final = frozenset(
    {"--reload", "--no-reload", "--debug", "--no-debug", "--debugger", "--with-threads", "--noreload", "--insecure"}
)
_RUN_KEYWORDS: Final = frozenset({"host", "port", "debug", "threaded", "use_reloader", "reload", "app", "use_debugger"})
_RELOADING: Final = {
    "uvicorn": ("--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay"),
    "gunicorn": ("--reload-engine", "--reload-extra-file"),
    "hypercorn": (),
}
"""Servers that are production servers but for ``--reload``, and the options with a value that go with it."""
_MODULE: Final = pattern(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_ARGUMENT: Final = r"""(?:[A-Za-z_]\w*\s*=\s*)?(?:'[^'"\\$`]*'|"[^'"\\$`]*"|\d+|True|False|None)"""
_CALL: Final = pattern(rf"\(\s*(?:{_ARGUMENT}\s*(?:,\s*{_ARGUMENT}\s*)*)?\)")
"""A call with literals only, which gunicorn takes as flask does."""
_TAKES_ARGUMENTS: Final = "the factory takes arguments"
_PORT: Final = pattern(r"\d+|\$\w+|\$\{\w+(?::?-\d+)?\}")


@record
class Server:
    """What the container is to run. ``folder`` is where the module imports from, in the image.

    ``port`` is a number, or text in which the shell expands a variable. ``variable`` is the environment variable from
    which the program itself read its port, with the number as its default. ``call`` is how a factory is called.
    """

    application: Application
    module: str
    folder: str
    host: str
    port: str
    variable: str | None = None
    call: str = "()"

    @property
    def target(self) -> str:
        """The application as servers take it, such as ``app:create_app()``."""
        return f"{self.module}:{self.application.variable}{self.call if self.application.factory else ''}"


def without_reload(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return the command of a production server without what makes it a development server; None for others."""
    name, at = posixpath.basename(words[0]), 1
    if re.fullmatch(r"python[\d.]*", name) and words[1:2] == ("-m",) and len(words) > 2:
        name, at = words[2], 3
    if name not in _RELOADING or "--reload" not in words[at:]:
        return None
    kept = list(words[:at])
    rest = list(words[at:])
    while rest:
        word = rest.pop(0)
        option, equals, _ = word.partition("=")
        if word == "--reload":
            continue
        if option in _RELOADING[name]:
            if not equals and rest:
                rest.pop(0)
            continue
        kept.append(word)
    return tuple(kept)


def development_server(build: Build, start: Start, words: Sequence[str]) -> Server | None:
    """Return what *words* serve, None where they start no development server. Raises ``Obstacle``."""
    name = posixpath.basename(words[0])
    rest = list(words[1:])
    if re.fullmatch(r"python[\d.]*", name):
        while rest and rest[0] in ("-u", "-B", "-O"):
            rest = rest[1:]
        if rest[:1] == ["-m"]:
            name, rest = rest[1] if len(rest) > 1 else "", rest[2:]
            if _MODULE.fullmatch(name) and name not in ("flask", "fastapi"):
                return _module(build, start, name, rest)
        elif rest and rest[0].endswith(".py"):
            return _script(build, start, rest)
    elif name == "manage.py":
        return _script(build, start, list(words))
    if name == "flask":
        return _flask(build, start, rest)
    if name == "fastapi" and rest[:1] == ["dev"]:
        return _fastapi(build, start, rest[1:])
    return None


def _obstacle(start: Start, reason: str) -> Obstacle:
    return Obstacle(reason, start.line, start.path)


def _read(start: Start, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
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
            raise _obstacle(start, f"{word} has no counterpart that is known")
        if not equals:
            if not waiting:
                raise _obstacle(start, f"{word} has no value")
            value = waiting.pop(0)
        options[name] = value
    return options, operands


def _port(start: Start, text: str) -> str:
    text = text.strip("\"'") if start.shell else text
    if not _PORT.fullmatch(text) or ("$" in text and not start.shell):
        raise _obstacle(start, f"the port {text} is not a number")
    return text


def _script(build: Build, start: Start, rest: list[str]) -> Server | None:
    path = posixpath.normpath(posixpath.join(start.workdir, rest[0]))
    if posixpath.basename(path) == "manage.py":
        return _django(build, start, rest, path) if rest[1:2] == ["runserver"] else None
    module = posixpath.basename(path).removesuffix(".py")
    return _main_block(build, start, path, rest[1:], module, posixpath.dirname(path))


def _module(build: Build, start: Start, name: str, rest: list[str]) -> Server | None:
    """Return what ``python -m name`` serves, where the module's main block starts it."""
    path = posixpath.join(start.workdir, f"{name.replace('.', '/')}.py")
    return _main_block(build, start, path, rest, name, start.workdir)


def _main_block(build: Build, start: Start, path: str, arguments: list[str], module: str, folder: str) -> Server | None:
    """Return what the main block of the file *path* serves; *module* is what it imports as, from *folder*."""
    found = [item for item in build.project.applications if item.run and image_path(build, item.path) == path]
    if not found:
        return None
    application = _one(build, found, start)
    run = application.run
    assert run is not None
    if arguments:
        raise _obstacle(start, f"the program takes arguments: {arguments[0]}")
    place = build.project.context.repository_path(application.path)
    if application.socketio or "socketio" in run.callee:
        raise Obstacle("socketio.run serves web sockets", run.line, place)
    if not run.guarded:
        raise Obstacle(f"{run.callee}() runs whenever the module is imported", run.line, place)
    if run.others:
        number, source = run.others[0]
        raise Obstacle(
            f"the main block does more than to start the server, which would be lost: {source}", number, place
        )
    if unknown := sorted(run.keywords - _RUN_KEYWORDS):
        raise Obstacle(f"{run.callee}() takes {unknown[0]}, which has no counterpart that is known", run.line, place)
    if not run.port_known or not run.host_known:
        raise Obstacle(f"the address that {run.callee}() binds is computed", run.line, place)
    default = 8000 if run.callee == "uvicorn.run" else 5000
    if run.target and ":" in run.target and run.target.split(":")[0] != module:
        raise Obstacle(f"uvicorn.run starts another module, {run.target}", run.line, place)
    host, port = run.host or "127.0.0.1", str(run.port or default)
    return Server(application, module, folder, host, port, run.port_variable)


def _django(build: Build, start: Start, rest: list[str], path: str) -> Server:
    operands = _read(start, rest[2:])[1]
    found = [item for item in build.project.applications if item.framework == "django"]
    found = [item for item in found if image_path(build, item.path) == path]
    application = _one(build, found, start)
    host, _, port = (operands[0].strip("\"'") if operands else "127.0.0.1:8000").rpartition(":")
    if "{" in host:  # the colon of ${PORT:-8000}
        host, _, port = (operands[0].strip("\"'")).partition(":")
    module = application.asgi or application.module
    return Server(application, module, posixpath.dirname(path), host or "127.0.0.1", _port(start, port))


def _flask(build: Build, start: Start, rest: list[str]) -> Server | None:
    options, operands = _read(start, rest) if "run" in rest else ({}, [])
    if operands != ["run"]:
        return None
    env = {**_flaskenv(build), **{key: value for key, value in start.step.env.items() if value is not None}}
    env.update(_given_by_compose(build))
    for text in start.before:
        env.update(re.findall(r"^export\s+(FLASK_\w+)=[\"']?([\w./:()-]+)[\"']?\s*\Z", text))
    spec = options.get("--app") or env.get("FLASK_APP") or ""
    file, _, variable = spec.partition(":")
    variable, opened, arguments = variable.partition("(")
    call = f"({arguments}" if opened else "()"
    if not _CALL.fullmatch(call):
        raise _obstacle(start, f"how {variable} is called is not known: {call}")
    module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
    names = {module} if module else {"app", "wsgi"}
    found = [item for item in build.project.applications if item.framework == "flask"]
    found = [item for item in found if _module_at(build, start, item) in names and variable in ("", item.variable)]
    if not variable and len(found) > 1:
        found = [item for item in found if item.variable in ("app", "application", "create_app", "make_app")]
    if call != "()":  # what it takes is given
        found = [replace(item, conditional=None) if item.conditional == _TAKES_ARGUMENTS else item for item in found]
    application = _one(build, found, start)
    if application.socketio:
        place = build.project.context.repository_path(application.path)
        raise Obstacle("socketio serves web sockets", application.line, place)
    if application.run is not None and not application.run.guarded:
        raise _obstacle(start, "app.run() runs whenever the module is imported")
    port = _port(start, options.get("--port") or env.get("FLASK_RUN_PORT") or "5000")
    host = options.get("--host") or env.get("FLASK_RUN_HOST") or "127.0.0.1"
    return Server(application, application.module, _folder(build, application, start), host, port, call=call)


def _fastapi(build: Build, start: Start, rest: list[str]) -> Server:
    options, operands = _read(start, rest)
    if len(operands) != 1:
        raise _obstacle(start, "which application it starts is not clear")
    module = operands[0].removesuffix(".py").removeprefix("./").replace("/", ".")
    found = [item for item in build.project.applications if item.framework in ("fastapi", "starlette")]
    found = [item for item in found if _module_at(build, start, item) == module]
    found = [item for item in found if options.get("--app") in (None, item.variable)]
    application = _one(build, found, start)
    port = _port(start, options.get("--port", "8000"))
    return Server(application, module, start.workdir, options.get("--host", "127.0.0.1"), port)


def _given_by_compose(build: Build) -> dict[str, str]:
    """Return the settings of Flask that compose gives to what the image itself starts. Raises ``Obstacle``."""
    found: list[tuple[Service, dict[str, str]]] = []
    for service in build.project.services:
        if service.command or service.entrypoint:
            continue
        given: dict[str, str] = {}
        for name in service.env_files:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(service.path), name))
            given.update(_settings_in(build.project.files.text(path) or ""))
        for key, value in service.environment.items():
            if key.startswith("FLASK_") and (value is None or "$" in value):
                raise Obstacle(f"{service.name} gets {key} from elsewhere", service.line, service.path)
            if key.startswith("FLASK_") and value is not None:
                given[key] = value
        if found and given != found[0][1] and service.kind != "laid over":
            raise Obstacle(f"{service.name} gives Flask other settings than {found[0][0].name}", *_place(service))
        found.append((service, given))
    return {key: value for _, given in found for key, value in given.items()}


def _place(service: Service) -> tuple[int, str]:
    return service.line, service.path


def check_directories(build: Build) -> None:
    """Refuse a compose service that starts what the image starts in another directory. Raises ``Obstacle``."""
    workdir = (build.final.workdir or "/").rstrip("/")
    for service in build.project.services:
        elsewhere = service.working_dir is not None and service.working_dir.rstrip("/") != workdir
        if elsewhere and not service.command and not service.entrypoint:
            raise Obstacle(f"{service.name} starts in {service.working_dir}", *_place(service))


def _flaskenv(build: Build) -> dict[str, str]:
    return _settings_in(build.project.context.text(".flaskenv") or "")


def _settings_in(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(?:export\s+)?(FLASK_\w+)\s*=\s*[\"']?([^\"'\s#]+)", text, re.MULTILINE))


def _one(build: Build, found: list[Application], start: Start) -> Application:
    if not found:
        raise _obstacle(start, "the application that it starts is not found in the files that the image has")
    if len({(item.path, item.variable) for item in found}) > 1:
        names = ", ".join(sorted(f"{item.path}:{item.variable}" for item in found)[:3])
        raise _obstacle(start, f"there are several applications: {names}")
    application = found[0]
    if application.conditional:
        place = build.project.context.repository_path(application.path)
        raise Obstacle(f"the application is not certain: {application.conditional}", application.line, place)
    return application


def _module_at(build: Build, start: Start, application: Application) -> str | None:
    """Return the name by which the module is imported from the directory where the program starts."""
    target = image_path(build, application.path)
    if target is None:
        return None
    name = posixpath.relpath(target, start.workdir).removesuffix(".py").removesuffix("/__init__")
    return None if name.startswith("..") else name.replace("/", ".")


def _folder(build: Build, application: Application, start: Start) -> str:
    target = image_path(build, application.path)
    inside = posixpath.relpath(application.path, application.import_root or ".")
    if target is None or not target.endswith(f"/{inside}"):
        raise _obstacle(start, "where the image has the application is not clear")
    return target[: -len(inside) - 1] or "/"
