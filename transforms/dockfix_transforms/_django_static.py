"""Whether a Django project would lose its static files with its development server."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.build.start import Start
from dockfix.project.application import Application
from dockfix.project.python_module import parse_module
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix_transforms._knowledge import table

if TYPE_CHECKING:
    import ast

_DJANGO: Final = r"""(?im)^[\s"']*django(?![\w.-])(?:\[[^]]*\])?["']?\s*(?:=\s*["'{])?([^\n#;]*)"""
_DJANGO_IN_COMMAND: Final = r"""(?i)\bdjango(?:\[[^]\s]*\])?((?:[=<~]=?[\w.*]+,?)+)"""
_MANIFEST: Final = r"[\w.-]*requirements?[\w.-]*\.(?:txt|in)|pyproject\.toml|Pipfile(?:\.lock)?|\w+\.lock"
_SECURITY: Final = "django.middleware.security.SecurityMiddleware"
_WITHOUT_FILES: Final = frozenset(
    f"django.contrib.{name}"
    for name in (
        *("auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "humanize", "redirects"),
        *("flatpages", "sitemaps", "syndication", "postgres"),
    )
)
"""Applications of Django that bring no static files."""
_ELSEWHERE: Final = (
    r"whitenoise|dj_static|StaticFilesHandler|staticfiles_urlpatterns|static\(\s*settings\.STATIC_URL|views\.static"
)
_STORED: Final = r"""^(?:STATICFILES_STORAGE|STORAGES)\b(?s:.*)storages\.|^STATIC_URL\s*=\s*f?["'](?:https?:)?//"""
_WEB_SERVER: Final = r"(?:\A|/)(?:[^/]*\.conf(?:\.\w+)?|[^/]*nginx[^/]*|Caddyfile)\Z"
_ON: Final = ("true", "1", "on", "yes", "y", "t")


@record
class Loss:
    """Static files that only the development server serves: whose they are, and the place where that is decided."""

    reason: str
    line: int
    path: str


def lost_static_files(build: Build, start: Start, application: Application) -> Loss | None:
    """Return what a project would lose whose static files only runserver serves, which it does with DEBUG.

    Source: https://docs.djangoproject.com/en/stable/ref/contrib/staticfiles/#runserver
    """
    texts = list(_settings(build, start, application))
    insecure = any("--insecure" in word for word in start.words)
    if not any("django.contrib.staticfiles" in text for _, text in texts) or _served_elsewhere(build, texts):
        return None
    place = _debug(build, start, texts)
    if place is None and not insecure:
        return None
    owner = _with_files(build, application, [text for _, text in texts])
    if owner is None:
        return None
    path, line = place or (start.path, start.line)
    why = "with --insecure" if place is None else "where DEBUG is on"
    return Loss(f"runserver serves the static files of {owner} {why}, and nothing else does", line, path)


def whitenoise_edit(build: Build, start: Start, application: Application) -> tuple[str, Edit] | None:
    """Return the settings module and the edit that adds WhiteNoise to its middleware, None where that is not plain.

    With DEBUG WhiteNoise finds the files where runserver does, without collectstatic
    (https://whitenoise.readthedocs.io/en/stable/django.html#WHITENOISE_USE_FINDERS). It belongs behind
    SecurityMiddleware (https://whitenoise.readthedocs.io/en/stable/django.html#enable-whitenoise).
    """
    import ast

    if application.asgi is not None or not _recent(build):
        return None
    texts = list(_settings(build, start, application))
    found = [(path, text, value) for path, text in texts for value in _assigned(text, "MIDDLEWARE")]
    if len(found) != 1:
        return None
    path, text, value = found[0]
    if not isinstance(value, ast.List):
        return None
    first = [item for item in value.elts if isinstance(item, ast.Constant) and item.value == _SECURITY]
    if len(first) != 1:
        return None
    lines = text.splitlines(keepends=True)
    line = lines[first[0].lineno - 1]
    match = re.fullmatch(rf"([ \t]*)(['\"]){re.escape(_SECURITY)}\2,[ \t]*(?:#[^\r\n]*)?(\r?\n)", line)
    if match is None:
        return None
    indent, quote, newline = match.groups()
    end = sum(map(len, lines[: first[0].lineno]))
    return path, insert(end, f"{indent}{quote}whitenoise.middleware.WhiteNoiseMiddleware{quote},{newline}")


def _recent(build: Build) -> bool:
    """Whether the manifests let no Django in that is older than what WhiteNoise supports."""
    oldest = tuple(map(int, table("servers")["whitenoise"]["django"].split(".")))
    context = build.project.context
    texts = [(build.dockerfile.text, _DJANGO_IN_COMMAND)]
    named = (path for path in context.paths if re.fullmatch(_MANIFEST, posixpath.basename(path)))
    for text, expression in (*texts, *((context.text(path) or "", _DJANGO) for path in named)):
        for match in re.finditer(expression, text):
            limits = re.findall(r"(==|~=|<=?|\^|~)\s*v?(\d+)(?:\.(\d+))?", match[1])
            for operator, major, minor in limits:
                newest = (int(major), int(minor or 0))
                if newest < oldest or (operator == "<" and newest <= oldest):
                    return False
        for major, minor in re.findall(r'(?i)name = "django"\nversion = "(\d+)\.(\d+)', text):
            if (int(major), int(minor)) < oldest:
                return False
    return True


def _settings(build: Build, start: Start, application: Application) -> Iterator[tuple[str, str]]:
    """Yield the settings module in force and what it imports everything from: paths in the repository, and texts."""
    services = [service for service in build.project.services if not service.command and not service.entrypoint]
    given = [service.environment.get("DJANGO_SETTINGS_MODULE") for service in services]
    stated = [name for name in (*given, start.step.env.get("DJANGO_SETTINGS_MODULE")) if name and "$" not in name]
    context, root = build.project.context, posixpath.dirname(application.path)
    waiting = [posixpath.join(root, *(stated[0] if stated else application.settings or "").split("."))]
    seen: set[str] = set()
    while waiting and len(seen) < 20:
        module = waiting.pop(0)
        for path in (f"{module}.py", f"{module}/__init__.py"):
            text = context.text(path)
            if text is None or path in seen:
                continue
            seen.add(path)
            yield context.repository_path(path), text
            for dots, name in re.findall(r"^\s*from\s+(\.*)([\w.]*)\s+import\s+(?:\*|\(\s*\*)", text, re.MULTILINE):
                folder = posixpath.dirname(path) if dots else root
                for _ in dots[1:]:
                    folder = posixpath.dirname(folder)
                waiting.append(posixpath.join(folder, *name.split(".")))


def _served_elsewhere(build: Build, texts: list[tuple[str, str]]) -> bool:
    context, files = build.project.context, build.project.files
    if any(re.search(rf"{_ELSEWHERE}|{_STORED}", text, re.MULTILINE) for _, text in texts):
        return True
    named = re.compile(r"(?:\A|/)(?:urls|wsgi|asgi)(?:/\w+)?\.py\Z")
    paths = [path for path in context.paths if named.search(path) and "site-packages/" not in path]
    if any(re.search(_ELSEWHERE, context.text(path) or "") for path in paths):
        return True
    servers = (path for path in files.paths if re.search(_WEB_SERVER, path))
    return any("static" in (files.text(path) or "") for path in servers)


def _debug(build: Build, start: Start, texts: list[tuple[str, str]]) -> tuple[str, int] | None:
    """Return where DEBUG is on; the first module that sets it decides."""
    for path, text in texts:
        schema = re.search(r"\bDEBUG\s*=\s*\(\s*bool\s*,\s*True\b", text)
        if schema and not any(_stated(build, start, "DEBUG")):  # django-environ's default
            return path, text.count("\n", 0, schema.start()) + 1
        if values := list(_assigned(text, "DEBUG")):
            return next(((path, value.lineno) for value in values if _is_on(build, start, value)), None)
    return None


def _is_on(build: Build, start: Start, value: ast.expr) -> bool:
    import ast

    if isinstance(value, ast.Constant):
        return bool(value.value)
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    for call in calls:
        if call.args and isinstance(name := call.args[0], ast.Constant):
            stated = list(_stated(build, start, str(name.value)))
            default = [*call.args[1:2], *(item.value for item in call.keywords if item.arg == "default")]
            values = stated or [str(item.value) for item in default if isinstance(item, ast.Constant)]
            if any(item.strip().lower() in _ON for item in values):
                return True
    return not calls


def _stated(build: Build, start: Start, name: str) -> Iterator[str]:
    """Yield the values that the image, compose and the files of variables beside them give *name*."""
    files = {build.project.context.repository_path(".env")}
    given = [start.step.env.get(name)]
    for service in build.project.services:
        value = service.environment.get(name)
        default = re.fullmatch(r"\$\{\w+:?-([^{}]*)\}", value or "")
        given.append(default[1] if default else value)
        files |= {
            posixpath.normpath(posixpath.join(posixpath.dirname(service.path), path)) for path in service.env_files
        }
    yield from (value for value in given if value is not None)
    line = re.compile(rf"""^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=[ \t]*["']?([^"'\s#]*)""", re.MULTILINE)
    for path in files:
        yield from line.findall(build.project.files.text(path) or "")


def _with_files(build: Build, application: Application, texts: list[str]) -> str | None:
    """Return what has static files: an application that is not known to have none, or a folder of the project."""
    import ast

    context, root = build.project.context, posixpath.dirname(application.path)
    below = [path for path in context.paths if path.startswith(f"{root}/" if root else "")]
    below = [path for path in below if "site-packages/" not in path]
    for path in below:
        folder, found, _ = f"/{path}".partition("/static/")
        if found:
            return f"{folder}/static"[1:]
    names: list[str] = []
    for value in (value for text in texts for value in _assigned(text, "INSTALLED_APPS")):
        names += [str(item.value) for item in ast.walk(value) if isinstance(item, ast.Constant)]
    own = {path[len(root) + 1 if root else 0 :].partition("/")[0].removesuffix(".py") for path in below}
    return next((name for name in names if name not in _WITHOUT_FILES and name.partition(".")[0] not in own), None)


def _assigned(text: str, name: str) -> Iterator[ast.expr]:
    import ast

    tree = parse_module(text)
    for node in ast.walk(tree) if tree is not None and name in text else ():
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value
