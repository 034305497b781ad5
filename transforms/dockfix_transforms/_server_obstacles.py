"""What a development server does for a program that a production server would not, beside serving it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dockfix.build.lineage import lineage
from dockfix.build.model import Build
from dockfix.build.start import Start, looks_at_arguments
from dockfix.project.application import Application
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle

_TEST: Final = pattern(
    r"(?:^|/)(?:tests?|docs?|examples?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py\Z",
    words=("test", "doc", "example"),
)
_RELOADER: Final = pattern(
    r"WERKZEUG_RUN_MAIN|\bRUN_MAIN\b|[\"']runserver[\"']\s+(?:not\s+)?in\s+sys\.argv|sys\.argv\[1\]\s*[!=]=\s*[\"']runserver",
    words=("RUN_MAIN", "runserver"),
)
_ARGUMENTS: Final = pattern(
    r"\bsys\.argv\b|__name__\s*!=|Flask\(\s*[\"']__main__|\bsys\.modules\[[\"']__main__",
    words=("sys.", "__name__", "__main__"),
)
_DEBUG: Final = pattern(
    r"\b(?:current_)?app\.debug\b(?!\s*=[^=])|\.config\.get\([\"']DEBUG|\.config\[[\"']DEBUG[\"']\](?!\s*=[^=])",
    words=("app.debug", "DEBUG"),
)
_PICKLES: Final = pattern(
    r"\b(?:c?[pP]ickle|joblib|dill|cloudpickle)\.load\(|^from joblib import .*\bload\b",
    re.MULTILINE,
    words=(".load(", "joblib"),
)
_OWN: Final = pattern(r"^(?!@)[^\n]*\n(class|def) (\w+)", re.MULTILINE)
"""A class or function at the top of a module, without a decorator."""
_SIGNALS: Final = pattern(
    r"^\s*signal\.signal\(\s*signal\.SIG(?:TERM|INT|QUIT|HUP|USR)", re.MULTILINE, words=("signal.",)
)
_HOST_NETWORK: Final = pattern(r"^\s*network_mode:\s*[\"']?host\b", re.MULTILINE, words=("network_mode",))
_SOCKETS: Final = pattern(
    r"^\s*(?:from|import)\s+(flask_sock|flask_sockets|flask_socketio|simple_websocket)\b",
    re.MULTILINE,
    words=("flask_sock", "simple_websocket"),
)
_SETTINGS: Final = pattern(
    r"""DJANGO_SETTINGS_MODULE["']\s*(?:\]\s*=|,)\s*["']([\w.]+)["']""", words=("DJANGO_SETTINGS_MODULE",)
)
_WRAPPED: Final = pattern(
    r"""^WSGI_APPLICATION\s*=\s*["'][\w.]+\.(\w+)["']""", re.MULTILINE, words=("WSGI_APPLICATION",)
)
_PREPARES: Final = pattern(
    r"\b(?:load_dotenv|read_dotenv|read_env|patch_all|monkey|sys\.path|pymysql)\b",
    words=("load_dotenv", "read_dotenv", "read_env", "patch_all", "monkey", "sys.path", "pymysql"),
)
_SET: Final = pattern(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)
_OF_FLASK: Final = frozenset({"FLASK_APP", "FLASK_ENV", "FLASK_DEBUG", "FLASK_RUN_PORT", "FLASK_RUN_HOST"})
_DOTENV: Final = pattern(r"\bpython[-_.]dotenv\b", re.IGNORECASE, words=("dotenv",))
_MANIFEST: Final = pattern(r"(?:[\w.-]*require[\w.-]*\.(?:txt|in)|pyproject\.toml|Pipfile|setup\.(?:py|cfg))\Z")
_LOADS: Final = pattern(
    r"\b(?:load_dotenv|dotenv_values|read_env|read_dotenv)\b",
    words=("load_dotenv", "dotenv_values", "read_env", "read_dotenv"),
)


def check_program(build: Build, start: Start, application: Application, program: str, module: str) -> None:
    """Raise ``Obstacle`` where *application* relies on its development server, so that *program* would not do.

    *module* is the name by which *program* imports it.
    """
    context = build.project.context
    text = context.text(application.path) or ""
    place = context.repository_path(application.path)
    if module.partition(".")[0] == program:
        raise Obstacle(f"the module is called {module}, as {program} itself is", 0, place)
    package = posixpath.join(posixpath.dirname(application.path), module.partition(".")[0], "__init__.py")
    if application.framework != "django" and package != application.path and context.has(package) and "." not in module:
        raise Obstacle(f"{program} would import the package {posixpath.dirname(package)} instead", 0, place)
    if application.framework != "django" and (found := _ARGUMENTS.search(text)):
        raise Obstacle(f"the program asks how it was started: {found.group()}", _line(text, found.start()), place)
    if application.framework != "django" and (found := _SIGNALS.search(text)):
        raise Obstacle("the program handles signals itself, as the server does", _line(text, found.start()), place)
    for found in _OWN.finditer(text) if application.framework != "django" and _PICKLES.search(text) else ():
        name = found.group(2)
        if found.group(1) == "class" or len(re.findall(rf"\b{name}\b", text)) == 1:
            unpickled = f"what is unpickled may look for {name} in the module that is started"
            raise Obstacle(unpickled, _line(text, found.start(2)), place)
    if script := looks_at_arguments(start):
        raise Obstacle(f"{script} looks at its arguments, which are others then", start.line)
    run = application.run
    debug = application.framework in ("flask", "quart") and run is not None and "debug" in run.keywords
    for path, code in _code(build):
        where = context.repository_path(path)
        if debug and (found := _DEBUG.search(code)):
            raise Obstacle(
                f"the program does otherwise without debug: {found.group()}", _line(code, found.start()), where
            )
        if application.framework == "django" and path.endswith("/management/commands/runserver.py"):
            raise Obstacle("runserver is a command of the project's own", 0, where)
        if found := _RELOADER.search(code):
            raise Obstacle(
                f"the program asks for the development server: {found.group()}", _line(code, found.start()), where
            )
        if application.framework in ("flask", "quart") and (found := _SOCKETS.search(code)):
            raise Obstacle(f"{found.group(1)} serves web sockets", _line(code, found.start()), where)
    if application.framework == "django":
        _check_django(build, start, application, text)
    elif application.framework in ("flask", "quart"):
        reason = env_of_flask(build)
        if reason:
            raise Obstacle(*reason)


def check_address(build: Build, host: str) -> None:
    """Raise ``Obstacle`` where a server on the loopback *host* is reached from the host alone, whose network it has."""
    for service in build.project.services:
        if host.startswith(("127.", "localhost")) and _HOST_NETWORK.search(
            build.project.files.text(service.path) or ""
        ):
            raise Obstacle(
                f"{service.name} has the host's network, which would reach {host} from outside",
                service.line,
                service.path,
            )


def check_temporary(build: Build) -> None:
    """Raise ``Obstacle`` where a compose service has a read-only file system without /tmp.

    Gunicorn keeps a file there by which it sees whether a worker is alive, and does not start without
    (https://docs.gunicorn.org/en/stable/settings.html#worker-tmp-dir).
    """
    from dockfix.syntax.compose import read_yaml

    for service in build.project.services:
        text = build.project.files.text(service.path) or ""
        document = read_yaml(text) if "read_only:" in text else None
        services = document.data.get("services") if document else None
        own = services.get(service.name) if isinstance(services, Mapping) else None
        if not isinstance(own, Mapping) or own.get("read_only") != "true" or service.command or service.entrypoint:
            continue
        tmpfs = own.get("tmpfs")
        places = [tmpfs] if isinstance(tmpfs, str) else [one for one in tmpfs or () if isinstance(one, str)]
        places += [mount.target for mount in service.mounts]
        if not any(place.partition(":")[0].rstrip("/") in ("/tmp", "/var/tmp", "/dev/shm") for place in places):
            reason = f"{service.name} has a read-only file system, and no /tmp for the files of gunicorn"
            raise Obstacle(reason, service.line, service.path)


def _check_django(build: Build, start: Start, application: Application, manage: str) -> None:
    """Raise ``Obstacle`` where manage.py prepares what the module of the production server does not."""
    context = build.project.context
    module = application.asgi or application.module
    path = posixpath.join(application.import_root, *module.split(".")) + ".py"
    text = context.text(path)
    if text is None:
        raise Obstacle(f"{path} is not found", start.line, start.path)
    place = context.repository_path(path)
    stated = _SETTINGS.search(text)
    fixed = stated is not None and "setdefault" not in text and "]" in stated.group()
    given = any(service.environment.get("DJANGO_SETTINGS_MODULE") for service in build.project.services)
    given = given or bool(start.step.env.get("DJANGO_SETTINGS_MODULE"))
    if stated is not None and stated.group(1) != application.settings and (fixed or not given):
        reason = f"it has the settings {stated.group(1)}, where manage.py has {application.settings}"
        raise Obstacle(reason, _line(text, stated.start()), place)
    for other, code in _code(build):
        wrapped = _WRAPPED.search(code)
        if wrapped is not None and wrapped.group(1) != "application" and application.asgi is None:
            where = context.repository_path(other)
            raise Obstacle(
                f"WSGI_APPLICATION is {wrapped.group(1)}, no application", _line(code, wrapped.start()), where
            )
    for found in _PREPARES.finditer(manage):
        if found.group() not in text:
            where = context.repository_path(application.path)
            raise Obstacle(
                f"{path} does not do what manage.py does: {found.group()}", _line(manage, found.start()), where
            )


def env_of_flask(build: Build) -> tuple[str, int, str] | None:
    """Return why the program needs Flask to load .env or .flaskenv for it, with the place; None where it does not.

    Flask's command and ``app.run`` do so where python-dotenv is installed
    (https://flask.palletsprojects.com/en/stable/cli/#environment-variables-from-dotenv).
    """
    context = build.project.context
    named = [
        (path, [name for name in _SET.findall(context.text(path) or "") if name not in _OF_FLASK])
        for path in (".flaskenv", ".env")
        if path in context.paths
    ]
    found = next(((path, names) for path, names in named if names), None)
    if found is None or not _has_dotenv(build):
        return None
    if any(_LOADS.search(code) for _, code in _code(build)):
        return None
    path, names = found
    services = [service for service in build.project.services if service.kind == "built"]
    if services and all(any(posixpath.basename(name) == path for name in one.env_files) for one in services):
        return None
    return f"Flask's own command gives {names[0]} of {path} to the program", 0, context.repository_path(path)


def _has_dotenv(build: Build) -> bool:
    context = build.project.context
    if any(_DOTENV.search(step.instruction.value) for step in build.steps if step.keyword == "RUN"):
        return True
    return any(
        _DOTENV.search(context.text(path) or "") for path in context.paths if _MANIFEST.match(posixpath.basename(path))
    )


def called(build: Build, words: Sequence[str], program: str) -> list[str]:
    """Return the words that start *program* where *words* start the development server: from the same environment."""
    first = words[0]
    folder, name = posixpath.split(first)
    if re.match(r"python[\d.]*\Z", name):
        return [first, "-m", program] if folder or _off_path(build) else [program]
    return [posixpath.join(folder, program)] if folder and not name.endswith(".py") else [program]


def _off_path(build: Build) -> bool:
    """Whether the packages may be in a place whose programs are not on PATH."""
    options = {"--user", "--target", "-t", "--prefix", "--root"}
    for stage in build.stages:
        for step in stage.of("RUN"):
            for install in step.installs:
                if install.manager not in ("pip", "uv-pip"):
                    continue
                as_user = step.user not in (None, "root", "0") and not step.env.get("VIRTUAL_ENV")
                if install.options & options or as_user:
                    return True
                if any(step.env.get(variable) for variable in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")):
                    return True
    return any(
        re.search(r"(?:site|dist)-packages", step.instruction.value)
        for stage in lineage(build)
        for step in stage.of("COPY")
        if step.copy is None or step.copy.from_ is not None
    )


def _code(build: Build) -> Iterator[tuple[str, str]]:
    context = build.project.context
    for path in context.paths[:2000]:
        if path.endswith(".py") and not _TEST.search(path) and posixpath.basename(path) != "manage.py":
            yield path, context.text(path) or ""


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
