"""The route that tells whether an application is well, read from its code; and what would get in the way of asking."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.project.python_module import parse_module
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix_transforms._code_names import dotted, module_file, text_of
from dockfix_transforms._health_gates import answers, gated

if TYPE_CHECKING:
    import ast

    from dockfix.project.application import Application
    from dockfix.project.context import Context

_NAMES: Final = (
    "healthz",
    "health",
    "healthcheck",
    "health-check",
    "health_check",
    "_health",
    "livez",
    "live",
    "alive",
)
_MORE_NAMES: Final = ("liveness", "heartbeat", "up", "ping", "readyz", "ready", "readiness", "status")
_ORDER: Final = (*_NAMES, *_MORE_NAMES)
_GUARD: Final = pattern(r"(?i)auth|user|token|login|key|permission|verify|admin|role")
_DEPTH: Final = 4


@record
class Module:
    """A parsed module of the build context: ``names`` leads from a name to (file, name there) of what it imports."""

    path: str
    text: str
    tree: ast.Module
    names: dict[str, tuple[str, str]]


def health_route(context: Context, application: Application) -> tuple[str, str] | None:
    """Return the host to ask for and the path of the application's health route, None where none is certain.

    Routes with parameters, behind a log-in or a rate limit, or of a prefix that is computed do not count.
    """
    if application.framework == "django":
        from dockfix_transforms._health_django import allowed_host, routes

        host = allowed_host(context, application)
        found = list(routes(context, application)) if host is not None else []
    else:
        host = "127.0.0.1"
        module = _module(context, application.path, application.import_root)
        if module is None or gated(context):
            return None
        found = list(_routes(context, application, module, None, "", 0))
    known = [path for path in found if _rank(path) < len(_ORDER)]
    return (host, min(known, key=lambda path: (_rank(path), len(path), path))) if known and host else None


def _rank(path: str) -> int:
    last = path.rstrip("/").rpartition("/")[2].lower()
    plain = re.fullmatch(r"[\w./~-]+", path) is not None and path.startswith("/")
    return _ORDER.index(last) if plain and last in _ORDER else len(_ORDER)


def _module(context: Context, path: str, root: str) -> Module | None:
    text = context.text(path)
    tree = parse_module(text) if text is not None else None
    if text is None or tree is None:
        return None
    return Module(path, text, tree, dict(_imports(context, path, root, tree)))


def _imports(context: Context, path: str, root: str, tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each imported name with the file that it comes from and its name there ("" for a module itself)."""
    import ast

    folder = posixpath.dirname(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = folder
            for _ in range(node.level - 1):
                above = posixpath.dirname(above)
            base = posixpath.join(above if node.level else root, *(node.module or "").split("."))
            for alias in node.names:
                inside = module_file(context, posixpath.join(base, alias.name))
                own = module_file(context, base)
                if inside is not None:
                    yield alias.asname or alias.name, (inside, "")
                elif own is not None:
                    yield alias.asname or alias.name, (own, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                target = module_file(context, posixpath.join(root, *alias.name.split(".")))
                if target is not None:
                    yield alias.asname or alias.name, (target, "")


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _routes(
    context: Context, application: Application, module: Module, name: str | None, prefix: str, depth: int
) -> Iterator[str]:
    """Yield the paths of what answers GET at the object *name* of the module (None: the application itself)."""
    import ast

    flask = application.framework in ("flask", "quart")
    calls = {
        target.id: node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if name is None:
        names = {application.variable}
        if application.factory:
            names = {
                key
                for key, call in calls.items()
                if dotted(call.func).rpartition(".")[2].lower() == application.framework
            }
        if any(_keyword(calls[key], "dependencies") for key in names if key in calls):
            return
    else:
        names = {name}
        own = calls.get(name)
        if own is None or _keyword(own, "dependencies") is not None:
            return
        inner = text_of(_keyword(own, "url_prefix" if flask else "prefix"))
        if inner is None:
            return
        prefix = prefix or inner if flask else prefix + inner
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                path = _path(decorator, names)
                if path is not None and _open(node, names) and not (path.endswith("/status") and _injected(node)):
                    yield prefix + path
    for node in ast.walk(module.tree):
        if (
            depth < _DEPTH
            and (name is None or not flask)
            and isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.args
        ):
            verb, owner = node.func.attr, dotted(node.func.value)
            if owner in names and verb in ("register_blueprint", "include_router"):
                added = text_of(_keyword(node, "url_prefix" if flask else "prefix"))
                if added is None or _keyword(node, "dependencies") is not None:
                    continue
                yield from _included(
                    context, application, module, dotted(node.args[0]), added if flask else prefix + added, depth
                )


def _included(
    context: Context, application: Application, module: Module, dotted: str, prefix: str, depth: int
) -> Iterator[str]:
    head, _, rest = dotted.partition(".")
    if not rest and head not in module.names:
        if head:
            yield from _routes(context, application, module, head, prefix, depth + 1)
        return
    for size in range(dotted.count("."), -1, -1):  # the longest name that is imported: a.b.router
        parts = dotted.split(".")
        known = module.names.get(".".join(parts[: size + 1]))
        if known is None:
            continue
        path, inside = known
        name = ".".join([part for part in (inside, *parts[size + 1 :]) if part])
        other = _module(context, path, application.import_root)
        if other is None or not name:
            return
        if "." not in name and name in other.names:  # a package that hands it on
            path, again = other.names[name]
            other, name = _module(context, path, application.import_root), again or name
        if other is not None and "." not in name:
            yield from _routes(context, application, other, name, prefix, depth + 1)
        elif other is not None:
            yield from _included(context, application, other, name, prefix, depth + 1)
        return


def _path(decorator: ast.expr, names: set[str]) -> str | None:
    """Return the path of a decorator that routes GET requests to a function, None for other decorators."""
    import ast

    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    verb = decorator.func.attr
    if dotted(decorator.func.value) not in names or verb not in ("route", "get", "api_route"):
        return None
    methods = _keyword(decorator, "methods")
    if methods is not None and "GET" not in ast.unparse(methods).upper():
        return None
    if {"dependencies", "host", "subdomain"} & {keyword.arg for keyword in decorator.keywords}:
        return None
    first = decorator.args[0] if decorator.args else _keyword(decorator, "path") or _keyword(decorator, "rule")
    return text_of(first) or None


def _injected(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether FastAPI gives the function something, such as a database: a status then may be that of its data."""
    import ast

    return "Depends" in ast.unparse(function.args)


def _open(function: ast.FunctionDef | ast.AsyncFunctionDef, names: set[str]) -> bool:
    """Whether anybody may call the function without arguments."""
    import ast

    if not answers(function, [item for item in function.decorator_list if _path(item, names) is None]):
        return False
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for argument, default in pairs:
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        if _GUARD.search(annotation) or (default is not None and _GUARD.search(ast.unparse(default))):
            return False
        injected = (
            annotation.rpartition(".")[2] in ("Request", "Response", "BackgroundTasks") or "Depends" in annotation
        )
        if default is None and not injected:
            return False
    return True
