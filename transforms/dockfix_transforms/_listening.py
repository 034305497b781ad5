"""Which web server a start command runs, and where it listens."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dockfix.build.lineage import image_path, start_steps
from dockfix.build.model import Build, Step
from dockfix.build.scripts import argv_of
from dockfix.records import record
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from dockfix.project.application import Application, Run
    from dockfix.syntax.shell import Script

_RUNNERS: Final = frozenset({"poetry", "pipenv", "uv", "pdm", "hatch", "rye"})
_WRAPPERS: Final = frozenset({"exec", "tini", "dumb-init", "env", "nohup", "ddtrace-run", "opentelemetry-instrument"})
_PYTHON: Final = pattern(r"python[\d.]*\Z")
_VARIABLE: Final = pattern(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))\Z")
_MODULE: Final = pattern(r"[A-Za-z_][\w.]*(?::[A-Za-z_]\w*(?:\(.*\))?)?\Z")
_TLS: Final = frozenset({"--certfile", "--keyfile", "--ssl-keyfile", "--ssl-certfile", "--cert", "--https"})
_PORTS: Final[Mapping[str, tuple[int, str, frozenset[str]]]] = {
    "gunicorn": (8000, "127.0.0.1", frozenset({"-b", "--bind"})),
    "hypercorn": (8000, "127.0.0.1", frozenset({"-b", "--bind"})),
    "uvicorn": (8000, "127.0.0.1", frozenset({"--port"})),
    "daphne": (8000, "127.0.0.1", frozenset({"-p", "--port"})),
    "granian": (8000, "127.0.0.1", frozenset({"--port"})),
    "waitress-serve": (8080, "0.0.0.0", frozenset({"--listen", "--port"})),
    "flask": (5000, "127.0.0.1", frozenset({"-p", "--port"})),
    "fastapi": (8000, "0.0.0.0", frozenset({"--port"})),
    "streamlit": (8501, "0.0.0.0", frozenset({"--server.port"})),
    "uwsgi": (0, "0.0.0.0", frozenset({"--http", "--http-socket"})),
}
"""A server's own port and address, and the options that change them."""
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


def listening_of(build: Build) -> Listening | None:
    """Return the web server that the image starts, None for other programs and where that cannot be told."""
    entry, cmd = start_steps(build)
    step = cmd or entry
    if step is None:
        return None
    for first, words in _starts(build, entry, cmd):
        found = served(build, words, step, first)
        if found is not None:
            return found
    return None


def served(build: Build, words: Sequence[str], step: Step, first: tuple[str, ...] = ()) -> Listening | None:
    """Return the web server that *words* start in the place of the start command *step*, None for other programs."""
    rest = _unwrapped(words)
    if not rest:
        return None
    name, python = posixpath.basename(rest[0]), ""
    rest = rest[1:]
    if _PYTHON.match(name):
        python = name
        while rest and rest[0] in ("-u", "-B", "-O", "-OO"):
            rest = rest[1:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            name, rest = rest[1], rest[2:]
        elif rest and rest[0].endswith(".py"):
            return _script(build, step, rest, first, python)
        else:
            return None
    elif name.endswith(".py"):
        return _script(build, step, [name if "/" not in words[0] else words[0], *rest], first, python)
    if name not in _PORTS or (name in ("flask", "fastapi", "streamlit") and not {"run", "dev"} & set(rest)):
        return None
    return _server(build, step, name, rest, first, python)


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


def _starts(build: Build, entry: Step | None, cmd: Step | None) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield what may be the program, each with the commands before it: of the shell form, of scripts, of JSON form."""
    exec_entry = entry is not None and entry.instruction.json_form is not None
    if entry is not None and not exec_entry:  # CMD is ignored
        yield from _shell(build, entry)
        return
    before = list(entry.instruction.json_form or ()) if entry is not None else []
    if before and _unwrapped(before) and _is_script(_unwrapped(before)[0]):
        script = _script_text(build, _unwrapped(before)[0])
        if script is None:
            return
        commands = _commands(script)
        yield from ((tuple(first), words) for first, words in commands)
        if cmd is not None and commands and commands[-1][1][:1] in (["$@"], ["${@}"]):
            first = tuple(commands[-1][0])
            yield from ((first + more, words) for more, words in _command(build, [], cmd))
        return
    if cmd is not None:
        yield from _command(build, before, cmd)
    elif before:
        yield (), before


def _command(build: Build, before: list[str], cmd: Step) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    words = cmd.instruction.json_form
    if words is None:
        if not _unwrapped(before):  # else it runs `ENTRYPOINT /bin/sh -c CMD`
            yield from _shell(build, cmd)
        return
    words = (*before, *words)
    if len(words) == 3 and posixpath.basename(words[0]) in ("sh", "bash") and words[1].endswith("c"):
        from dockfix.syntax.dockerfile import Logical

        yield from ((tuple(first), found) for first, found in _read(Logical(words[2], ((0, 0, len(words[2])),))))
        return
    plain = _unwrapped(words)
    script = _script_text(build, plain[0]) if plain and _is_script(plain[0]) else None
    if script is None and len(plain) > 1 and plain[0] in ("sh", "bash", "/bin/sh", "/bin/bash"):
        script = _script_text(build, plain[1])
    if script is not None:
        yield from ((tuple(first), found) for first, found in _commands(script))
    else:
        yield (), list(words)


def _shell(build: Build, step: Step) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    argv = argv_of(step)
    if argv is not None:
        plain = _unwrapped(argv)
        at = 1 if len(plain) > 1 and plain[0] in ("sh", "bash") else 0
        script = _script_text(build, plain[at]) if plain and _is_script(plain[at]) else None
        if script is not None:
            yield from ((tuple(first), found) for first, found in _commands(script))
            return
    if step.script is not None:
        yield from ((tuple(first), found) for first, found in _listed(step.script))


def _is_script(word: str) -> bool:
    return word.endswith((".sh", ".bash")) or "entrypoint" in posixpath.basename(word)


def _script_text(build: Build, word: str) -> str | None:
    """Return the text of the script that the image has at *word*, found by its name among the files."""
    name = posixpath.basename(word)
    context = build.project.context
    found = [path for path in context.paths if posixpath.basename(path) == name]
    placed = [path for path in found if (image_path(build, path) or "").endswith(name)]
    chosen = placed if placed else found
    return context.text(chosen[0]) if len(chosen) == 1 else None


def _commands(text: str) -> list[tuple[list[str], list[str]]]:
    from dockfix.syntax.dockerfile import Logical

    text = text.replace("\r\n", "\n")
    return _read(Logical(text, ((0, 0, len(text)),)))


def _read(source: object) -> list[tuple[list[str], list[str]]]:
    from dockfix.syntax.dockerfile import Logical
    from dockfix.syntax.shell import ShellError, read_shell

    assert isinstance(source, Logical)
    try:
        return _listed(read_shell(source))
    except ShellError:
        return []


def _listed(script: Script) -> list[tuple[list[str], list[str]]]:
    """Return the last command of the script, with the texts of those before it."""
    commands = [command for command in script.commands if command.words and not command.substitution]
    if not commands or commands[-1].depth or commands[-1].before == "|" or commands[-1].after == "&":
        return []
    first = [script.source.text[command.start : command.end] for command in commands[:-1]]
    return [(first, [_word(word.value, word.raw) for word in commands[-1].words if not _is_exec(word.raw)])]


def _is_exec(raw: str) -> bool:
    return raw == "exec"


def _word(value: str | None, raw: str) -> str:
    return value if value is not None else raw.replace('"', "").replace("'", "")


def _unwrapped(words: Sequence[str]) -> list[str]:
    """Return the command behind ``exec``, ``tini --``, ``poetry run`` and the like."""
    rest = list(words)
    while rest:
        name = posixpath.basename(rest[0])
        if name in _WRAPPERS:
            rest = rest[1:]
            while rest and (rest[0].startswith("-") or re.match(r"\w+=", rest[0])):
                rest = rest[1:]
        elif name in _RUNNERS and rest[1:2] == ["run"]:
            rest = rest[2:]
            while rest and rest[0].startswith("-"):
                rest = rest[1:]
        else:
            return rest
    return rest


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
    """Return host and port as written: ``0.0.0.0:80``, ``:80``, ``[::]:80``, ``80``, ``$PORT``."""
    match = re.match(r"(?:(\[[^\]]*\]|[^:$]*):)?(\$\{[^}]*\}|\$?\w+)\Z", text.removeprefix("tcp://").replace("*:", ":"))
    return (match.group(1) or "", match.group(2)) if match else ("?", "")


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


def _expands(step: Step, first: tuple[str, ...]) -> bool:
    """Whether a shell reads the command, so that variables in it are expanded."""
    words = step.instruction.json_form
    return words is None or bool(first) or posixpath.basename(words[0] if words else "") in ("sh", "bash")


def _server(
    build: Build, step: Step, name: str, rest: list[str], first: tuple[str, ...], python: str
) -> Listening | None:
    port, host, options = _PORTS[name]
    env, expanded = step.env, _expands(step, first)
    values = _options(rest, options)
    if name == "gunicorn" and not values:
        values = _options(shlex.split(env.get("GUNICORN_CMD_ARGS") or ""), options)
    variable = _VARIABLES.get(name)
    number: int | None = port
    if values:
        hosts = {_address(value)[0] for value in values}
        host, text = _address(values[-1])
        host = "" if hosts & {"", "0.0.0.0", "[::]", "127.0.0.1", "localhost"} else host
        number, variable = _number(text, env, expanded)
    elif name == "gunicorn" and (config := _gunicorn_config(build, step, rest)) is not None:
        host, number, variable = config
    elif variable is not None and variable in env:
        number = _number(env[variable] or "", env, False)[0]
    elif variable is not None and any(variable in service.environment for service in build.project.services):
        number = port
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
    tls = any(word.partition("=")[0] in _TLS for word in rest)
    return Listening(name, step.line, number, variable, host, tls, _served_by(build, name, rest, env), first, python)


def _gunicorn_config(build: Build, step: Step, rest: list[str]) -> tuple[str, int | None, str | None] | None:
    """Return what gunicorn's configuration file binds, None where there is none or it binds nothing."""
    named = _options(rest, frozenset({"-c", "--config"}))
    name = named[-1].removeprefix("file:") if named else "gunicorn.conf.py"
    target = posixpath.normpath(posixpath.join(build.final.workdir or "/", name))
    context = build.project.context
    base = posixpath.basename(name)
    paths = [path for path in context.paths if posixpath.basename(path) == base and image_path(build, path) == target]
    if not paths:
        return ("?", None, None) if named else None
    text = context.text(paths[0]) or ""
    bound = re.findall(r"^bind\s*=\s*(.*)$", text, re.MULTILINE)
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
    text = _script_text(build, named[0]) if named else None
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


def _script(build: Build, step: Step, rest: list[str], first: tuple[str, ...], python: str) -> Listening | None:
    """Return the server that a Python file of the application starts."""
    target = posixpath.normpath(posixpath.join(build.final.workdir or "/", rest[0]))
    name = posixpath.basename(target)
    context = build.project.context
    paths = [path for path in context.paths if posixpath.basename(path) == name and image_path(build, path) == target]
    if len(paths) != 1:
        return None
    if name == "manage.py":
        if rest[1:2] != ["runserver"]:
            return None
        operands = [word for word in rest[2:] if not word.startswith("-")]
        host, text = _address(operands[0]) if operands else ("127.0.0.1", "8000")
        number, variable = _number(text, step.env, _expands(step, first))
        django = [item for item in build.project.applications if item.path == paths[0]]
        application = django[0] if len(django) == 1 else None
        return Listening("runserver", step.line, number, variable, host, False, application, first, python)
    run, application = _run_of(build, paths[0])
    if run is None:
        return None
    default = 8000 if run.callee == "uvicorn.run" else 5000
    number = (run.port or default) if run.port_known else None
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
