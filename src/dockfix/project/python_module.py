"""A Python module as ``ast`` reads it: the application objects that it makes, how it starts them, its state."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from dockfix.project.application import Application, Framework, Route, Run
from dockfix.project.files import Files
from dockfix.project.process_state import dotted

if TYPE_CHECKING:
    import ast

_FRAMEWORKS: Final[dict[str, Framework]] = {
    "Flask": "flask",
    "FastAPI": "fastapi",
    "Starlette": "starlette",
    "Quart": "quart",
}
_HARMLESS: Final = frozenset({"print", "load_dotenv", "logging.basicConfig"})


def parse_module(text: str) -> ast.Module | None:
    """Return the syntax tree of *text*, None where it is no Python of this version."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _import_name(path: str, known: set[str]) -> tuple[str, str]:
    """Return the folder from which the module *path* imports, and its dotted name."""
    folder = posixpath.dirname(path)
    parts = [posixpath.basename(path).removesuffix(".py")]
    while folder and f"{folder}/__init__.py" in known:
        parts.insert(0, posixpath.basename(folder))
        folder = posixpath.dirname(folder)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return folder, ".".join(parts)


class Module:
    """One module: the names that it binds, the applications that it makes, and how it starts them."""

    def __init__(
        self, path: str, tree: ast.Module, known: set[str], text_of: Callable[[str], str | None] = lambda path: None
    ) -> None:
        self.path = path
        self.tree = tree
        self.known = known
        self.text_of = text_of
        self.values: dict[str, ast.expr] = {}
        self.imports: dict[str, str] = {}
        self.factories: dict[str, tuple[Framework, bool]] = {}
        self.made: dict[str, tuple[Framework, int, str | None]] = {}
        self.read()

    def read(self) -> None:
        """Collect what the module imports, binds and defines."""
        import ast

        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = alias.name
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                framework = next((kind for call in _calls(node) if (kind := self.framework(call))), None)
                returns = any(isinstance(item, ast.Return) and item.value is not None for item in ast.walk(node))
                if framework and returns:
                    required = len(node.args.args) - len(node.args.defaults) > 0 or any(
                        default is None for default in node.args.kw_defaults
                    )
                    self.factories[node.name] = (framework, required)
        for node in self.tree.body:
            self.bind(node, None)
            if isinstance(node, ast.If | ast.Try) and not _is_main(node):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.stmt) and inner is not node:
                        self.bind(inner, f"it is made inside `{'if' if isinstance(node, ast.If) else 'try'}`")

    def bind(self, node: ast.stmt, conditional: str | None) -> None:
        """Note the name that a statement binds; *conditional* says why that is not certain."""
        import ast

        target: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign):
            target, value = node.target, node.value
        if not isinstance(target, ast.Name) or value is None:
            return
        self.values[target.id] = value
        if isinstance(value, ast.Call):
            framework = self.framework(value) or self.from_factory(value)
            if framework:
                self.made[target.id] = (framework, node.lineno, conditional)

    def framework(self, call: ast.Call) -> Framework | None:
        """Return the framework whose application object *call* makes."""
        name = dotted(call.func)
        if name is None:
            return None
        last = name.rpartition(".")[2]
        origin = self.imports.get(name.partition(".")[0], "")
        kind = _FRAMEWORKS.get(last)
        return kind if kind and origin.split(".")[0].lower() in (kind, "apiflask") else None

    def from_factory(self, call: ast.Call) -> Framework | None:
        """Return the framework of the factory that *call* calls."""
        name = dotted(call.func) or ""
        if name in self.factories:
            return self.factories[name][0]
        origin = self.imports.get(name, "")
        if name in ("create_app", "make_app", "build_app", "create_application", "get_app") and origin:
            text = " ".join(self.imports.values()).lower()
            return "fastapi" if "fastapi" in text or "uvicorn" in text else "flask"
        return None

    def imported(self, origin: str) -> Framework | None:
        """Return the framework of an object that a module of the same program made, None where that is not seen."""
        module, _, name = origin.rpartition(".")
        place = module.replace(".", "/")
        for folder in dict.fromkeys((posixpath.dirname(self.path), _import_name(self.path, self.known)[0])):
            for ending in (".py", "/__init__.py"):
                path = posixpath.join(folder, place + ending) if place else ""
                if path not in self.known or path == self.path:
                    continue
                text = self.text_of(path) or ""
                made = re.search(rf"^{re.escape(name)}[ \t]*(?::[^=\n]+)?=[ \t]*(?:\w+\.)*(\w+)\(", text, re.MULTILINE)
                if made is None:
                    return None
                if made[1] in _FRAMEWORKS:
                    return _FRAMEWORKS[made[1]]
                tree = parse_module(text)
                return Module(path, tree, self.known, self.text_of).made_kind(name) if tree is not None else None
        return None

    def made_kind(self, name: str) -> Framework | None:
        """Return the framework of the application that this module makes under *name*."""
        return self.made[name][0] if name in self.made else None

    def applications(self) -> Iterator[Application]:
        """Yield the application objects of the module; its factories where it makes none."""
        root, module = _import_name(self.path, self.known)
        routes = tuple(self.routes())
        socketio = any("socketio" in origin.lower() for origin in self.imports.values())
        made = dict(self.made)
        runs = self.runs()
        for name in {"app", "application", "server", *runs} & self.imports.keys() - made.keys():
            framework = self.imported(self.imports[name])
            if framework is not None:  # an object that another module made, which may be started here
                made[name] = (framework, runs[name].line if name in runs else 1, None)
        for name, (framework, line, conditional) in made.items():
            own = runs.get(name) or (next(iter(runs.values())) if len(made) == 1 and runs else None)
            yield Application(
                framework, self.path, root, module, name, line, False, conditional, own, routes, (), socketio
            )
        if not made:
            for name, (framework, required) in self.factories.items():
                reason = "the factory takes arguments" if required else None
                yield Application(framework, self.path, root, module, name, 0, True, reason, None, routes, (), socketio)

    def routes(self) -> Iterator[Route]:
        """Yield the routes that decorators of this module state."""
        import ast

        prefixes = {}
        for name, value in self.values.items():
            if isinstance(value, ast.Call):
                for keyword in value.keywords:
                    if keyword.arg in ("url_prefix", "prefix") and isinstance(keyword.value, ast.Constant):
                        prefixes[name] = str(keyword.value.value)
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
                    continue
                verb = decorator.func.attr
                first = decorator.args[0] if decorator.args else None
                if verb in ("route", "get", "post", "put", "delete", "patch") and isinstance(first, ast.Constant):
                    methods = _methods(decorator) if verb == "route" else (verb.upper(),)
                    owner = dotted(decorator.func.value) or ""
                    yield Route(f"{prefixes.get(owner, '')}{first.value!s}", methods, node.lineno)

    def runs(self) -> dict[str, Run]:
        """Return the calls that start a server when the module runs as a script, by the name of the application."""
        import ast

        found: dict[str, Run] = {}
        functions = {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}
        mains = [node for node in self.tree.body if _is_main(node) and isinstance(node, ast.If)]
        for node in self.tree.body:
            guarded = _is_main(node)
            body = node.body if guarded and isinstance(node, ast.If) else [node]
            if guarded:
                for statement in list(body):
                    call = statement.value if isinstance(statement, ast.Expr) else None
                    called = functions.get(dotted(call.func) or "") if isinstance(call, ast.Call) else None
                    if called is not None and any(self.starts(inner) for inner in _calls(called)):
                        body = [item for item in body if item is not statement] + called.body
            elif not isinstance(node, ast.Expr):
                continue
            for statement in body:
                call = next((inner for inner in _calls(statement) if self.starts(inner)), None)
                if call is None:
                    continue
                direct = isinstance(statement, ast.Expr) and statement.value is call
                elsewhere = [item for main in mains if main is not node for item in main.body]
                others = tuple(
                    (item.lineno, ast.unparse(item).partition("\n")[0][:80])
                    for item in [*body, *elsewhere]
                    if guarded and (item is not statement or not direct) and not self.harmless(item)
                )
                run = self.run(call, guarded, others)
                owner = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else None
                name = owner if run.callee != "uvicorn.run" else (run.target or "").rpartition(":")[2]
                found[name or ""] = run
        return found

    def harmless(self, node: ast.stmt) -> bool:
        """Whether a statement of the main block may be missed; imports of the program's own modules may not."""
        import ast

        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            places = [posixpath.join(posixpath.dirname(self.path), name.replace(".", "/")) for name in names]
            return not any(f"{place}.py" in self.known or f"{place}/__init__.py" in self.known for place in places)
        if any(dotted(call.func) == "load_dotenv" for call in _calls(node)):  # the image has one
            return self.text_of(posixpath.join(posixpath.dirname(self.path), ".env")) is None
        return _harmless(node)

    def starts(self, call: ast.Call) -> bool:
        """Whether *call* starts a server."""
        import ast

        if not isinstance(call.func, ast.Attribute) or call.func.attr != "run":
            return False
        owner = dotted(call.func.value) or ""
        return owner in self.made or owner in ("app", "application", "uvicorn", "socketio", "server")

    def run(self, call: ast.Call, guarded: bool, others: tuple[tuple[int, str], ...]) -> Run:
        """Return what a call that starts a server says."""
        import ast

        callee = dotted(call.func) or "run"
        keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        names = ("host", "port", "debug") if callee != "uvicorn.run" else ("app",)
        for name, value in zip(names, call.args, strict=False):
            keywords.setdefault(name, value)
        port, port_known, variable = self.number(keywords.get("port"))
        host, host_known = self.string(keywords.get("host"))
        target: str | None = None
        first = keywords.get("app")
        if callee == "uvicorn.run" and first is not None:
            target = str(first.value) if isinstance(first, ast.Constant) else dotted(first)
        star = {"**"} if any(keyword.arg is None for keyword in call.keywords) else set()
        given = frozenset({*keywords, *star})
        return Run(callee, call.lineno, port, port_known, variable, host, host_known, target, given, guarded, others)

    def number(self, node: ast.expr | None, depth: int = 0) -> tuple[int | None, bool, str | None]:
        """Return a port, whether it is known, and the variable that overrides it."""
        import ast

        if node is None:
            return None, True, None
        if isinstance(node, ast.Constant):
            text = str(node.value)
            return (int(text), True, None) if text.isdigit() else (None, False, None)
        if isinstance(node, ast.Name) and node.id in self.values and depth < 3:
            return self.number(self.values[node.id], depth + 1)
        if isinstance(node, ast.Call) and dotted(node.func) == "int" and node.args:
            return self.number(node.args[0], depth + 1)
        if isinstance(node, ast.Call) and dotted(node.func) in (
            "os.environ.get",
            "os.getenv",
            "environ.get",
            "getenv",
        ):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            default = node.args[1] if len(node.args) > 1 else None
            value, known, _ = self.number(default, depth + 1) if default is not None else (None, False, None)
            return value, known and isinstance(name, str), name if isinstance(name, str) else None
        return None, False, None

    def string(self, node: ast.expr | None) -> tuple[str | None, bool]:
        """Return a host name, and whether it is known."""
        import ast

        if node is None:
            return None, True
        if isinstance(node, ast.Name) and node.id in self.values:
            node = self.values[node.id]
        if isinstance(node, ast.Call) and dotted(node.func) in ("os.environ.get", "os.getenv") and len(node.args) == 2:
            node = node.args[1]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value, True
        return None, False


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    import ast

    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _methods(decorator: ast.Call) -> tuple[str, ...]:
    """Return the methods that a ``route`` decorator names; without them it is GET."""
    import ast

    for keyword in decorator.keywords:
        if keyword.arg == "methods" and isinstance(keyword.value, ast.List | ast.Tuple | ast.Set):
            stated = [item.value for item in keyword.value.elts if isinstance(item, ast.Constant)]
            return tuple(item.upper() for item in stated if isinstance(item, str))
    return ("GET",)


def _is_main(node: ast.stmt) -> bool:
    import ast

    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test) and "__main__" in ast.dump(node.test)


def _harmless(node: ast.stmt) -> bool:
    """Whether a statement of the main block may be missed: a message, a name for the run call, a switch to debug."""
    import ast

    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return dotted(node.value.func) in _HARMLESS
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id.lower() in ("port", "host", "debug")
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute):
        return node.targets[0].attr == "debug" and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def django_application(files: Files, prefix: str, path: str, text: str, known: set[str]) -> Application | None:
    """Return the project that a manage.py belongs to, None where its WSGI module is not found.

    *prefix* leads from the repository to the build context; *known* are the modules of the context.
    """
    match = re.search(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""", text)
    if not match:
        return None
    settings = match.group(1)
    root = posixpath.dirname(path)
    package = settings.partition(".")[0]
    module = f"{package}.wsgi"
    for name in (settings, f"{settings}.base"):
        source = files.text(prefix + posixpath.join(root, *name.split(".")) + ".py")
        stated = re.search(r"""^WSGI_APPLICATION\s*=\s*["']([\w.]+)\.(\w+)["']""", source or "", re.MULTILINE)
        if stated:
            module = stated.group(1)
    if posixpath.join(root, *module.split(".")) + ".py" not in known:
        return None
    asgi = None
    settings_text = files.text(prefix + posixpath.join(root, *settings.split(".")) + ".py") or ""
    if re.search(r"""^ASGI_APPLICATION\s*=""", settings_text, re.MULTILINE) and "channels" in settings_text:
        asgi = f"{package}.asgi"
    return Application("django", path, root, module, "application", 1, False, None, None, (), (), False, asgi, settings)
