"""Which web server a start command runs, and where it listens."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dockfix.build.lineage import image_path
from dockfix.build.model import Build, Step
from dockfix.build.start import Start, start_of, wrapped
from dockfix.records import record
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from dockfix.project.application import Application, Run

_PYTHON: Final = pattern(r"python[\d.]*\Z")
_VARIABLE: Final = pattern(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))\Z")
_MODULE: Final = pattern(r"[A-Za-z_][\w.]*(?::[A-Za-z_]\w*(?:\(.*\))?)?\Z")
_TLS: Final = frozenset({"--certfile", "--keyfile", "--ssl-keyfile", "--ssl-certfile", "--cert", "--https"})
_PORTS: Final[Mapping[str, tuple[int, str, frozenset[str]]]] = {
    "gunicorn": (8000, "127.0.0.1", frozenset({"-b", "--bind"})),
    "hypercorn": (8000, "127.0.0.1", frozenset({"-b", "--bind"})),
    "uvicorn": (8000, "127.0.0.1", frozenset({"--port"})),
    "daphne": (8000, "127.0.0.1", frozenset({"-p", "--port", "-e", "--endpoint"})),
    "granian": (8000, "127.0.0.1", frozenset({"--port"})),
    "waitress-serve": (8080, "0.0.0.0", frozenset({"--listen", "--port"})),
    "flask": (5000, "127.0.0.1", frozenset({"-p", "--port"})),
    "fastapi": (8000, "0.0.0.0", frozenset({"--port"})),
    "streamlit": (8501, "0.0.0.0", frozenset({"--server.port"})),
    "uwsgi": (0, "0.0.0.0", frozenset({"--http", "--http-socket"})),
}
"""A server's own port and address, and the options that change them."""
_CONFIGS: Final = {"gunicorn": "gunicorn.conf.py", "hypercorn": ""}
"""Servers that read a configuration file, and the one that they read when none is named."""
_HOSTS: Final = frozenset({"--host", "-h", "--host-name", "-u", "--unix", "--uds", "--fd", "--server.address"})
_VARIABLES: Final = {
    "gunicorn": "PORT",
    "uvicorn": "UVICORN_PORT",
    "flask": "FLASK_RUN_PORT",
    "streamlit": "STREAMLIT_SERVER_PORT",
}


@record
class Listening:
    """A web server: ``port`` is None where it cannot be told, ``variable`` the environment variable that overrides it.

    ``application`` is the application that it serves, None where that is not certain. ``first`` are the commands that
    the start command runs before it, ``python`` the interpreter that it names, "" where it names none.
    """

    program: str
    line: int
    port: int | None
    variable: str | None
    host: str
    tls: bool
    application: Application | None
    first: tuple[str, ...]
    python: str


@record
class Call:
    """Where words are started: in the place of the start command *step*, behind the commands *first*."""

    build: Build
    step: Step
    first: tuple[str, ...]
    shell: bool


def listening_of(build: Build) -> Listening | None:
    """Return the web server that the image starts, None for other programs and where that cannot be told."""
    start = start_of(build)
    if not isinstance(start, Start):
        return None
    words = [word if "$(" in word else word.replace('"', "").replace("'", "") for word in start.words[start.prefix :]]
    return served(build, words if start.shell else start.words[start.prefix :], start.step, start.before, start.shell)


def served(
    build: Build, words: Sequence[str], step: Step, first: tuple[str, ...] = (), shell: bool = True
) -> Listening | None:
    """Return the web server that *words* start in the place of the start command *step*, None for other programs.

    *first* are the commands before it; *shell* tells that a shell expands variables in the words.
    """
    rest = list(words[wrapped(tuple(words)) :])
    if not rest:
        return None
    called = Call(build, step, first, shell)
    name, python = posixpath.basename(rest[0]), ""
    if name.endswith(".py"):
        return _script(called, [name if "/" not in rest[0] else rest[0], *rest[1:]], "")
    rest = rest[1:]
    if _PYTHON.match(name):
        python = name
        while rest and rest[0] in ("-u", "-B", "-O", "-OO"):
            rest = rest[1:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            name, rest = rest[1], rest[2:]
        elif rest and rest[0].endswith(".py"):
            return _script(called, rest, python)
        else:
            return None
    if name not in _PORTS or (name in ("flask", "fastapi", "streamlit") and not {"run", "dev"} & set(rest)):
        return None
    return _server(called, name, rest, python)


def words_of(command: str | Sequence[str]) -> list[str]:
    """Return the words of a compose ``command:`` or ``entrypoint:``; no words where it is no plain command."""
    if not isinstance(command, str):
        words = list(command)
        if len(words) == 3 and posixpath.basename(words[0]) in ("sh", "bash") and words[1].endswith("c"):
            return words_of(words[2])
        return words
    text = re.split(r"&&|;|\n", command.strip())[-1]
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    return words_of(words) if len(words) == 3 and words[1:2] == ["-c"] else words


def _options(words: Sequence[str], names: frozenset[str]) -> list[str]:
    """Return the values of the options called *names*, in order."""
    values = []
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            values.append(value if equals else next(iter(words[at + 1 : at + 2]), ""))
        elif len(word) > 2 and word[:2] in names and word[1] != "-":
            values.append(word[2:])
    return values


def _address(text: str) -> tuple[str, str]:
    """Return host and port as written: ``0.0.0.0:80``, ``:80``, ``[::]:80``, ``80``, ``$PORT``; ``0`` is 0.0.0.0."""
    match = re.match(r"(?:(\[[^\]]*\]|[^:$]*):)?(\$\{[^}]*\}|\$?\w+)\Z", text.removeprefix("tcp://").replace("*:", ":"))
    if match is None:
        return "?", ""
    host = match.group(1) or ""
    return "0.0.0.0" if host == "0" else host, match.group(2)


def _number(text: str, env: Mapping[str, str | None], expanded: bool) -> tuple[int | None, str | None]:
    """Return the port and the variable that it comes from."""
    if text.isascii() and text.isdigit():
        return int(text), None
    match = _VARIABLE.match(text)
    if not match or not expanded:
        return None, None
    name = match.group(1) or match.group(3)
    value = env.get(name) or match.group(2) or ""
    return (int(value) if value.isascii() and value.isdigit() else None), name


def _server(called: Call, name: str, rest: list[str], python: str) -> Listening | None:
    build, step = called.build, called.step
    port, host, options = _PORTS[name]
    env, expanded = step.env, called.shell
    values = _options(rest, options)
    elsewhere = shlex.split(env.get("GUNICORN_CMD_ARGS") or "") if name == "gunicorn" else []
    values = values or _options(elsewhere, options)
    variable = _VARIABLES.get(name)
    number: int | None = port
    if not values and _told_elsewhere(build, name):
        number, variable = None, None
    elif values:
        hosts = {_address(value)[0] for value in values}
        host, text = _address(values[-1])
        host = "" if hosts & {"", "0.0.0.0", "[::]", "127.0.0.1", "localhost"} else host
        number, variable = _number(text, env, expanded)
    elif name in _CONFIGS and (config := _configured(build, name, rest)) is not None:
        host, number, variable = config
    elif variable is not None and variable in env:
        number = _number(env[variable] or "", env, False)[0]
    elif variable is not None and (name == "gunicorn" or _in_compose(build, variable)):
        number = port  # gunicorn is told its port by the platform that runs the image, as often as not
    elif name == "uwsgi":
        found = _uwsgi(build, rest)
        if found is None:
            return None
        number, variable = _number(found, env, True)
    else:
        variable = None
    if any(value.startswith(("unix:", "fd:", "/")) for value in values) or {"--uds", "--fd", "--unix"} & set(rest):
        return None
    given = (
        _options(rest, frozenset({"--host", "-h", "--host-name"})) if name in ("uvicorn", "flask", "fastapi") else []
    )
    host = given[-1] if given else host
    tls = any(word.partition("=")[0] in _TLS for word in (*rest, *elsewhere)) or _tls_configured(build, name, rest)
    return Listening(
        name, step.line, number, variable, host, tls, _served_by(build, name, rest, env), called.first, python
    )


def _file(build: Build, name: str) -> str | None:
    """Return the one file of the context that the image has at *name*, relative to where the program starts."""
    target = posixpath.normpath(posixpath.join(build.final.workdir or "/", name))
    base = posixpath.basename(target)
    likely = [path for path in build.project.context.paths if posixpath.basename(path) == base]
    found = [path for path in likely if image_path(build, path) == target]
    return found[0] if len(found) == 1 else None


def _told_elsewhere(build: Build, program: str) -> bool:
    """Whether a compose file or a configuration file of its own tells the server a port that is not read here."""
    if program == "gunicorn":
        return _in_compose(build, "GUNICORN_CMD_ARGS")
    text = build.project.context.text(".streamlit/config.toml") if program == "streamlit" else None
    return re.search(r"^\s*(?:server\.)?port\s*=", text or "", re.MULTILINE) is not None


def _in_compose(build: Build, variable: str) -> bool:
    """Whether a compose service sets the variable, in its environment or in an ``env_file``."""
    line = re.compile(rf"^[ \t]*(?:export[ \t]+)?{variable}[ \t]*=", re.MULTILINE)
    files = build.project.files
    return any(
        variable in service.environment or any(line.search(files.text(path) or "") for path in service.env_files)
        for service in build.project.services
    )


def _config_of(build: Build, program: str, rest: list[str]) -> str | None:
    """Return the configuration file that *program* reads, None where it is not among the files."""
    named = _options(rest, frozenset({"-c", "--config"}))
    name = named[-1].removeprefix("file:") if named else _CONFIGS.get(program)
    return _file(build, name.removeprefix("python:")) if name else None


def _tls_configured(build: Build, program: str, rest: list[str]) -> bool:
    path = _config_of(build, program, rest) if program in _CONFIGS else None
    text = build.project.context.text(path) if path is not None else None
    return re.search(r"^\s*(?:certfile|keyfile)\b", text or "", re.MULTILINE) is not None


def _configured(build: Build, program: str, rest: list[str]) -> tuple[str, int | None, str | None] | None:
    """Return what the configuration file of *program* binds, None where there is none or it binds nothing."""
    path = _config_of(build, program, rest)
    if path is None:
        return ("?", None, None) if _options(rest, frozenset({"-c", "--config"})) else None
    text = build.project.context.text(path) or ""
    bound = re.findall(r"^bind\s*=\s*(.*)$", text, re.MULTILINE)
    if len(bound) != len(re.findall(r"^[^#\n]*\bbind\b", text, re.MULTILINE)):
        return "?", None, None
    if not bound:
        return None
    match = re.fullmatch(r"""\[?\s*["']([^"':]*):(\d+)["']\s*,?\s*\]?\s*(?:#.*)?""", bound[-1].strip())
    return (match.group(1), int(match.group(2)), None) if match else ("?", None, None)


def _uwsgi(build: Build, rest: list[str]) -> str | None:
    """Return the port that uwsgi speaks HTTP on, as written on the command line or in its ini file."""
    inline = _options(rest, frozenset({"--http", "--http-socket"}))
    if inline:
        return _address(inline[-1])[1]
    named = [word for word in (*_options(rest, frozenset({"--ini"})), *rest) if word.endswith(".ini")]
    path = _file(build, named[0]) if named else None
    text = build.project.context.text(path) if path is not None else None
    found = re.findall(r"^\s*http(?:-socket)?\s*=\s*\S*?:(\d+)\s*$", text or "", re.MULTILINE)
    return str(found[-1]) if found else None


def _served_by(build: Build, name: str, rest: list[str], env: Mapping[str, str | None]) -> Application | None:
    """Return the one application that the server is told to serve."""
    if name == "streamlit":
        return None
    applications = build.project.applications
    spec = ""
    if name == "flask":
        spec = next(iter(_options(rest, frozenset({"--app", "-A"}))), env.get("FLASK_APP") or "app")
        if spec == "app" and not any(item.module == "app" for item in applications):
            spec = "wsgi"
    elif name == "fastapi":
        spec = next((word for word in rest if word.endswith(".py")), "main")
    else:
        named = [word for word in rest if _MODULE.match(word) and "workers" not in word]
        spec = next((word for word in named if ":" in word), next((word for word in named if "wsgi" in word), ""))
    module, _, variable = spec.partition(":")
    module = module.removesuffix(".py").removeprefix("./").replace("/", ".")
    variable = variable.partition("(")[0]
    found = [item for item in applications if module and _same_module(item, module)]
    if variable and not (found and found[0].framework == "django"):
        found = [item for item in found if item.variable == variable]
    return found[0] if len(found) == 1 and image_path(build, found[0].path) is not None else None


def _same_module(item: Application, module: str) -> bool:
    if item.framework == "django":
        return module in (item.module, item.asgi or "", item.module.replace(".wsgi", ".asgi"))
    dotted = item.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return dotted == module or dotted.endswith(f".{module}")


def _script(called: Call, rest: list[str], python: str) -> Listening | None:
    """Return the server that a Python file of the application starts."""
    build, step, first = called.build, called.step, called.first
    path = _file(build, rest[0])
    if path is None:
        return None
    if posixpath.basename(path) == "manage.py":
        if rest[1:2] != ["runserver"]:
            return None
        if "default_port" in (build.project.context.text(path) or ""):
            return None
        operands = [word for word in rest[2:] if not word.startswith("-")]
        host, text = _address(operands[0]) if operands else ("127.0.0.1", "8000")
        number, variable = _number(text, step.env, called.shell)
        django = [item for item in build.project.applications if item.path == path]
        application = django[0] if len(django) == 1 else None
        return Listening("runserver", step.line, number, variable, host, False, application, first, python)
    run, application = _run_of(build, path)
    if run is None:
        return None
    default = 8000 if run.callee == "uvicorn.run" else 5000
    number = (run.port or default) if run.port_known else None
    text = build.project.context.text(path) or ""
    if re.search(r"^[^#\n]*\bserve\(", text, re.MULTILINE) or (run.port is None and "SERVER_NAME" in text):
        number = None
    if run.port_variable is not None and (value := step.env.get(run.port_variable)):
        number = int(value) if value.isascii() and value.isdigit() else None
    tls = bool(run.keywords & {"ssl_context", "ssl_keyfile", "ssl_certfile", "certfile", "keyfile", "**"})
    host = run.host or "127.0.0.1" if run.host_known else "?"
    return Listening("script", step.line, number, run.port_variable, host, tls, application, first, python)


def _run_of(build: Build, path: str) -> tuple[Run | None, Application | None]:
    """Return the call in the file *path* that starts a server, and the application that it serves."""
    text = build.project.context.text(path) or ""
    if ".run(" not in text:
        return None, None
    found = [item for item in build.project.applications if item.path == path and item.run is not None]
    if found:
        return (found[0].run, found[0]) if len(found) == 1 else (None, None)
    from dockfix.project.python_module import Module, parse_module

    tree = parse_module(text)
    runs = list(Module(path, tree, set()).runs().values()) if tree is not None else []
    if len(runs) != 1 or runs[0].callee != "uvicorn.run" or runs[0].target is None:
        return None, None
    return runs[0], _served_by(build, "uvicorn", [runs[0].target], {})
