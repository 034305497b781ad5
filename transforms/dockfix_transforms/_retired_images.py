"""How images that are no longer maintained start a program: ``knowledge/retired_images.toml``, read for one build."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Final

from dockfix.build.keyvalue import pairs_of
from dockfix.build.lineage import image_path
from dockfix.build.model import Build, Stage
from dockfix.build.scripts import argv_of
from dockfix.records import record
from dockfix.syntax.image import ImageReference
from dockfix.syntax.patterns import pattern
from dockfix_transforms._knowledge import table
from dockfix_transforms._obstacle import Obstacle

_TAG: Final = pattern(r"(?:flask-)?python(3\.\d+)(?:-slim)?(?P<alpine>-alpine[\d.]*)?(?:-\d{4}-\d\d-\d\d)?\Z")
_BASE_SCRIPTS: Final = pattern(
    r"(?<![\w./-])/(?:start|start-reload|entrypoint|uwsgi-nginx-entrypoint)\.sh\b|\bsupervisord\b"
)
_MACHINERY: Final = pattern(
    r"\bnginx\b|\bsupervisor|\buwsgi\b(?!\.ini)|/start\.sh\b|/gunicorn_conf\.py\b|/entrypoint\.sh\b"
)
_ALPINE: Final = pattern(r"\b(?:apk|adduser|addgroup)\b")
_INI_KEYS: Final = frozenset(
    {"callable", "chdir", "die-on-term", "enable-threads", "lazy-apps", "master", "module", "need-app", "processes"}
    | {"threads", "vacuum", "workers", "wsgi-file", "cheaper", "single-interpreter", "py-autoreload"}
)
_ASGI: Final = frozenset({"fastapi", "starlette", "quart"})


@record
class Retired:
    """An image of the table: its ``name``, the Python version of its tag, the table's entry and its conventions."""

    name: str
    python: str
    entry: dict[str, Any]
    conventions: dict[str, Any]
    alpine: bool

    @property
    def kind(self) -> str:
        """``gunicorn``, ``uvicorn`` or ``uwsgi``."""
        return str(self.entry["conventions"])


@record
class Program:
    """What the image starts: ``target`` such as ``app.main:app``, its ``port``, ``workers`` ("" for the default).

    ``prestart`` is the script that runs first, "" for none. ``consumed`` are the variables that mean nothing any more.
    """

    target: str
    port: str
    workers: str
    prestart: str
    consumed: frozenset[str]
    threads: str = ""
    """How many threads a worker has, "" for the default."""


def retired_image(image: ImageReference | None) -> bool:
    """Return whether *image* is one of the table."""
    return (
        image is not None
        and image.registry in (None, "docker.io")
        and image.repository in table("retired_images")["images"]
    )


def read_image(image: ImageReference, line: int) -> Retired:
    """Return what the table says of *image*. Raises ``Obstacle`` for a tag whose Python is not known."""
    entry = table("retired_images")["images"][image.repository]
    conventions = table("retired_images")["conventions"][entry["conventions"]]
    if image.tag in (None, "latest"):
        return Retired(image.repository, entry["latest"], entry, conventions, alpine=False)
    match = _TAG.match(image.tag or "")
    if not match:
        raise Obstacle(f"which Python the tag {image.tag} has is not known", line)
    return Retired(image.repository, match[1], entry, conventions, match["alpine"] is not None)


def own_start(stage: Stage) -> bool:
    """Return whether the Dockerfile says what starts, rather than the image. Raises ``Obstacle`` where it is mixed."""
    entry, cmd = stage.last("ENTRYPOINT"), stage.last("CMD")
    for step in (entry, cmd):
        words = argv_of(step) if step is not None else None
        if step is None or not _BASE_SCRIPTS.search(step.instruction.value):
            continue
        if step is cmd and entry is None and words is not None and words[-1] == "/start.sh" and len(words) <= 2:
            return False
        raise Obstacle(f"{step.keyword} calls a script of the image", step.line)
    return entry is not None or cmd is not None


def check_customised(build: Build, retired: Retired) -> None:
    """Raise ``Obstacle`` where files, instructions or compose change how the image's own programs work."""
    context = build.project.context
    for step in build.final.steps[1:]:
        if step.keyword in ("RUN", "COPY", "ADD") and (match := _MACHINERY.search(step.instruction.value)):
            raise Obstacle(f"it configures what the image runs ({match.group()})", step.line)
        alpine = _ALPINE.search(step.instruction.value) if retired.alpine and step.keyword == "RUN" else None
        if alpine is not None:
            raise Obstacle(f"{alpine.group()} is Alpine's, and the slim image is Debian", step.line)
    for path in context.paths:
        name = posixpath.basename(path)
        target = image_path(build, path) if name.endswith((".conf", ".py", ".sh", ".ini")) else None
        if target is None:
            continue
        if target in ("/app/nginx.conf", "/app/gunicorn_conf.py", "/app/app/gunicorn_conf.py"):
            raise Obstacle(
                f"{context.repository_path(path)} configures what the image runs", 0, context.repository_path(path)
            )
        if name.endswith(".sh") and _BASE_SCRIPTS.search(context.text(path) or ""):
            raise Obstacle(
                f"{context.repository_path(path)} calls a script of the image", 0, context.repository_path(path)
            )
    names = {*retired.conventions["written"], *retired.conventions["others"]} - {
        "PORT",
        "WEB_CONCURRENCY",
        "PYTHONPATH",
    }
    for service in build.project.services:
        for command in (service.command, service.entrypoint):
            text = " ".join(command) if isinstance(command, tuple) else command or ""
            if _BASE_SCRIPTS.search(text):
                raise Obstacle(f"the service {service.name} calls a script of the image", service.line, service.path)
        if given := sorted(names & service.environment.keys()):
            raise Obstacle(
                f"the service {service.name} sets {given[0]}, which the image reads", service.line, service.path
            )


def program(build: Build, retired: Retired, line: int) -> Program:
    """Return what the image starts, in a *build* that names no start command. Raises ``Obstacle``.

    *build* is the new one, with the directory /app that the image has.
    """
    env = _environment(build)
    for name in retired.conventions["others"]:
        if name in env and (name, env[name]) not in (("HOST", "0.0.0.0"), ("NGINX_MAX_UPLOAD", "0")):
            raise Obstacle(f"{name} is read by the image, and nothing else reads it", line)
    target = _uwsgi_target(build, retired, env, line) if retired.kind == "uwsgi" else _gunicorn_target(build, env, line)
    _check_target(build, retired, target, line)
    port = env.get("LISTEN_PORT" if retired.kind == "uwsgi" else "PORT", "80")
    most = env.get("MAX_WORKERS")
    if port is None or not port.isdigit() or (most is not None and not most.isdigit()):
        raise Obstacle("the port or the number of workers is computed", line)
    threads = ""
    workers = "" if _sets(build, env, "WEB_CONCURRENCY") else str(min(4, int(most))) if most else "4"
    if retired.kind == "uwsgi" and workers == "4":
        settings = _uwsgi_settings(build, _uwsgi_ini(build, env))
        given = settings.get("processes") or settings.get("workers") or workers
        if not given.isdecimal():
            raise Obstacle("the number of workers is computed", line)
        workers, threads = given, settings.get("threads", "")
        if threads and not threads.isdecimal():
            raise Obstacle("the number of threads is computed", line)
    prestart = next((path for path in build.project.context.paths if image_path(build, path) == "/app/prestart.sh"), "")
    if prestart and re.search(r"\b(?:nginx|uwsgi|supervisor)", build.project.context.text(prestart) or ""):
        raise Obstacle(f"{prestart} prepares nginx or uWSGI", line, build.project.context.repository_path(prestart))
    consumed = frozenset({*retired.conventions["written"], *retired.conventions["dropped"]}) - {"PORT", "PYTHONPATH"}
    before = "/app/prestart.sh" if prestart else ""
    return Program(target, port, workers, before, consumed - {"WEB_CONCURRENCY"}, threads)


def _environment(build: Build) -> dict[str, str | None]:
    """Return the variables behind the last instruction of the final stage."""
    from dockfix.build.expand import expand_word

    last = build.final.steps[-1]
    env = dict(last.env)
    for pair in pairs_of(last.instruction, build.dockerfile.escape) if last.keyword == "ENV" else ():
        env[pair.name] = expand_word(pair.raw or "", last.env, build.dockerfile.escape)
    return env


def _sets(build: Build, env: Any, name: str) -> bool:
    return name in env or any(name in service.environment for service in build.project.services)


def _has(build: Build, target: str) -> str | None:
    """Return the file of the context that the image has at *target*."""
    context = build.project.context
    kind = posixpath.splitext(target)[1]
    return next((path for path in context.paths if path.endswith(kind) and image_path(build, path) == target), None)


def _gunicorn_target(build: Build, env: Any, line: int) -> str:
    if "APP_MODULE" in env:
        if not env["APP_MODULE"]:
            raise Obstacle("APP_MODULE is computed", line)
        return str(env["APP_MODULE"])
    module = env.get("MODULE_NAME")
    if module is None:
        module = next(
            (found for found in ("app.main", "main") if _has(build, f"/app/{found.replace('.', '/')}.py")), None
        )
    if module is None:
        raise Obstacle("the image has neither /app/app/main.py nor /app/main.py", line)
    return f"{module}:{env.get('VARIABLE_NAME') or 'app'}"


def _uwsgi_ini(build: Build, env: Any) -> str | None:
    return _has(build, posixpath.normpath(posixpath.join("/app", env.get("UWSGI_INI") or "uwsgi.ini")))


def _uwsgi_settings(build: Build, ini: str | None) -> dict[str, str]:
    text = build.project.context.text(ini) if ini is not None else None
    return dict(re.findall(r"^\s*([\w-]+)\s*=\s*(.*?)\s*$", text or "", re.MULTILINE))


def _uwsgi_target(build: Build, retired: Retired, env: Any, line: int) -> str:
    module, variable = "main", str(retired.entry["variable"])
    ini = _uwsgi_ini(build, env)
    if ini is None and "UWSGI_INI" in env:
        raise Obstacle(f"{env['UWSGI_INI']} is not in the build context", line)
    if ini is not None:
        place = build.project.context.repository_path(ini)
        settings = _uwsgi_settings(build, ini)
        if other := sorted(settings.keys() - _INI_KEYS):
            raise Obstacle(f"{place} sets {other[0]}, which has no counterpart that is known", line, place)
        if settings.get("chdir", "/app").rstrip("/") != "/app":
            raise Obstacle(f"{place} starts in {settings['chdir']}", line, place)
        file = settings.get("wsgi-file", "").removeprefix("/app/").removesuffix(".py").replace("/", ".")
        module, _, inside = settings.get("module", file or module).partition(":")
        variable = inside or settings.get("callable", variable if "module" not in settings else "application")
    if env.get("STATIC_INDEX", "0") not in ("0", ""):
        raise Obstacle("STATIC_INDEX: nginx serves index.html by itself", line)
    folders = {posixpath.dirname(f"/app/{module.replace('.', '/')}")}
    folders |= {
        posixpath.dirname(target)
        for item in build.project.applications
        if item.framework == "flask" and (target := image_path(build, item.path)) is not None
    }
    static = env.get("STATIC_PATH", "/app/static")
    has_files = any((image_path(build, path) or "").startswith("/app/static/") for path in build.project.context.paths)
    if env.get("STATIC_URL", "/static") != "/static" or (
        static not in {f"{folder}/static" for folder in folders} and (has_files or "STATIC_PATH" in env)
    ):
        raise Obstacle("nginx serves static files from a path where the application does not look", line)
    return f"{module}:{variable}"


def _check_target(build: Build, retired: Retired, target: str, line: int) -> None:
    """Raise ``Obstacle`` unless the image has the module and the module the application, of the right kind."""
    from dockfix.project.python_module import parse_module

    module, _, variable = target.partition(":")
    base = f"/app/{module.replace('.', '/')}"
    path = _has(build, f"{base}.py") or _has(build, f"{base}/__init__.py")
    if path is None:
        raise Obstacle(f"the module {module} is not found among the files that the image has", line)
    tree = parse_module(build.project.context.text(path) or "")
    place = build.project.context.repository_path(path)
    if tree is None or variable not in _names(tree):
        raise Obstacle(f"the module has no {variable}", 0, place)
    known = [item for item in build.project.applications if item.path == path and item.variable == variable]
    if known and (known[0].framework in _ASGI) != (retired.kind == "uvicorn"):
        raise Obstacle(f"it is an application of {known[0].framework}", known[0].line, place)


def _names(tree: Any) -> set[str]:
    """Return the names that a module binds on its top level, in ``if`` and ``try`` too."""
    import ast

    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        else:
            waiting += ast.iter_child_nodes(node)
    return found
