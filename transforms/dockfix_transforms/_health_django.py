"""Where a Django project lets its health be asked: the host that it answers, and its own routes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.project.python_module import parse_module
from dockfix.syntax.patterns import pattern
from dockfix_transforms._code_names import dotted, module_file, text_of
from dockfix_transforms._health_gates import answers, modules

if TYPE_CHECKING:
    import ast

    from dockfix.project.application import Application
    from dockfix.project.context import Context

_SETTINGS: Final = pattern(r"(?:^|/)(?:[^/]*settings[^/]*\.py|settings/(?:[^/]+/)*[^/]+\.py)\Z")
_SETS: Final = pattern(r"^[ \t]*(?:ALLOWED_HOSTS|MIDDLEWARE|ROOT_URLCONF)\b", re.MULTILINE)
_MIDDLEWARE: Final = pattern(
    r"(?:django|whitenoise|corsheaders|allauth|debug_toolbar|simple_history|django_prometheus|silk|crum|waffle|csp"
    r"|django_structlog|request_id|django_htmx|django_browser_reload)\."
)
"""Middleware that lets a plain GET through, by its package."""
_CHANGED: Final = pattern(r"\bMIDDLEWARE\.(?:append|insert|extend)\(")
_DEFAULTS: Final = pattern(r"DEFAULT_(?:PERMISSION|THROTTLE|AUTHENTICATION)_CLASSES")
_BASES: Final = frozenset({"View", "TemplateView", "APIView"})


def _settings(context: Context, application: Application) -> list[str]:
    """Return the settings modules of a Django project: every variant, since which one is in force is not known."""
    root = posixpath.dirname(application.path)
    below = f"{root}/" if root else ""
    return [
        path
        for path, text in modules(context)
        if path.startswith(below) and (_SETTINGS.search(path) or _SETS.search(text))
    ]


def _assigned(text: str, name: str) -> Iterator[ast.expr]:
    import ast

    tree = parse_module(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets) and node.value is not None:
                yield node.value


def allowed_host(context: Context, application: Application) -> str | None:
    """Return the name by which every variant of the settings lets the application be asked, None for none."""
    import ast

    possible = ["127.0.0.1", "localhost"]
    seen = False
    for path in _settings(context, application):
        text = context.text(path) or ""
        if "LoginRequired" in text or _CHANGED.search(text):
            return None
        for value in _assigned(text, "MIDDLEWARE"):
            names = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant)]
            if not all(isinstance(name, str) and _MIDDLEWARE.match(name) for name in names):
                return None
        if "ALLOWED_HOSTS" not in text:
            continue
        if re.search(r"ALLOWED_HOSTS\.", text):
            return None
        for value in _assigned(text, "ALLOWED_HOSTS"):
            seen = True
            if not isinstance(value, ast.List | ast.Tuple):
                return None
            hosts = {item.value for item in value.elts if isinstance(item, ast.Constant)}
            possible = [host for host in possible if "*" in hosts or host in hosts]
    return possible[0] if seen and possible else None


def routes(context: Context, application: Application) -> Iterator[str]:
    """Yield the paths that the project's own URL configuration leads to a view."""
    import ast

    root = posixpath.dirname(application.path)
    for settings in _settings(context, application):
        for value in _assigned(context.text(settings) or "", "ROOT_URLCONF"):
            name = text_of(value)
            path = module_file(context, posixpath.join(root, *name.split("."))) if name else None
            tree = parse_module(context.text(path) or "") if path else None
            for node in _patterns(tree) if tree is not None else ():
                if not isinstance(node, ast.Call) or dotted(node.func) != "path" or len(node.args) < 2:
                    continue
                route, view = text_of(node.args[0]), node.args[1]
                if route and _answers(context, application, view):
                    yield f"/{route}"


def _patterns(tree: ast.Module) -> Iterator[ast.expr]:
    import ast

    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and isinstance(node.value, ast.List):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(dotted(target) == "urlpatterns" for target in targets):
                yield from node.value.elts


def _answers(context: Context, application: Application, view: ast.expr) -> bool:
    """Whether a view, as the URL configuration names it, answers everybody: it is found, and nothing in it asks who."""
    import ast

    if isinstance(view, ast.Lambda):
        return True
    name = dotted(view)
    if isinstance(view, ast.Call):
        name = dotted(view.func)
        if not name.endswith(".as_view") or view.args or view.keywords:
            return False
        name = name.removesuffix(".as_view")
    name = name.rpartition(".")[2]
    definition = re.compile(rf"^(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)
    found: list[ast.stmt] = []
    for _, text in modules(context):
        tree = parse_module(text) if name and definition.search(text) else None
        found += [node for node in tree.body if getattr(node, "name", "") == name] if tree is not None else ()
    guarded = any(_DEFAULTS.search(context.text(path) or "") for path in _settings(context, application))
    return bool(found) and all(_open(node, guarded) for node in found)


def _open(node: ast.stmt, guarded: bool) -> bool:
    """Whether a view function or class answers everybody; *guarded*: the REST framework asks every APIView who does."""
    import ast

    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return answers(node, node.decorator_list)
    if not isinstance(node, ast.ClassDef) or node.decorator_list:
        return False
    bases = {dotted(base).rpartition(".")[2] for base in node.bases}
    if not bases or not bases <= _BASES or ("APIView" in bases and guarded):
        return False
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "permission_classes" in ast.unparse(node) or "dispatch" in methods:
        return False
    if "get" not in methods and bases != {"TemplateView"}:
        return False
    return all(answers(item, item.decorator_list) for item in methods.values())
