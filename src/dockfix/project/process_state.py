"""The state that a Python module keeps in its process, so that several workers would differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.project.application import State
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    import ast

_MUTATORS: Final = frozenset(
    {
        *("append", "add", "update", "pop", "extend", "insert", "remove", "clear", "setdefault", "appendleft", "put"),
        *("put_nowait", "extendleft", "popleft", "popitem", "discard", "sort", "reverse", "subtract"),
    }
)
# Calls that make an object of this process, which only it sees.
_CONTAINERS: Final = frozenset(
    {
        *("dict", "list", "set", "bytearray", "defaultdict", "OrderedDict", "Counter", "deque", "ChainMap"),
        *("Queue", "SimpleQueue", "LifoQueue", "PriorityQueue", "count", "cycle", "SimpleNamespace", "array"),
        *("TTLCache", "LRUCache", "LFUCache", "FIFOCache", "WeakValueDictionary", "deepcopy", "copy", "loads", "load"),
    }
)
_IN_PROCESS: Final = {
    "SimpleCache": "the cache is in the process",
    "FakeRedis": "the database is in memory",
    "FakeStrictRedis": "the database is in memory",
    "MemoryStorage": "the database is in memory",
    "Lock": "a lock holds in one process only",
    "RLock": "a lock holds in one process only",
    "Semaphore": "a lock holds in one process only",
    "BoundedSemaphore": "a lock holds in one process only",
}
_RANDOM: Final = frozenset(
    {
        *("urandom", "token_hex", "token_urlsafe", "token_bytes", "uuid1", "uuid4", "generate_key", "choices"),
        *("generate_private_key", "get_random_secret_key", "get_random_string", "getrandbits", "randbytes", "randint"),
    }
)
STREAMS: Final = "it streams its answers"
"""No state: several threads serve that, where a plain worker of gunicorn is stopped after 30 seconds."""
LOADS: Final = "it loads a model"
"""No state: a process of its own for each worker would hold it again, and need longer than gunicorn waits."""
_MODELS: Final = frozenset(
    {
        *("torch", "transformers", "tensorflow", "keras", "sentence_transformers", "whisper", "diffusers", "easyocr"),
        *("ultralytics", "llama_cpp", "spacy", "fastai", "paddleocr", "onnxruntime", "gensim", "stanza", "flair"),
    }
)
CREATES: Final = "it creates its tables when it starts, which several processes would do at once"
"""Neither: the first would win, and the others end with an error."""
_FACTORY: Final = pattern(r"(?:create|make|build|init)_\w*app")
_SECRET: Final = pattern(r"secret|key|token|salt|jwt|fernet", re.IGNORECASE)
_BACKGROUND: Final = pattern(
    r"\b\w*(?:Thread|Timer|Scheduler|Process|Observer|APScheduler)\(",
    words=("Thread(", "Timer(", "Scheduler(", "Process(", "Observer("),
)
# Objects of frameworks, which a request has to itself, and of databases, which all processes share.
_SHARED: Final = frozenset({"session", "g", "request", "db", "redis", "collection", "cursor", "messages", "environ"})


def state_of(path: str, tree: ast.Module, text: str) -> Iterator[State]:
    """Yield where the module *tree*, of which *text* is the source, keeps state that several processes do not share."""
    import ast

    background = _BACKGROUND.search(text) is not None
    names = _bound(tree)
    yield from _on_import(path, tree)
    if "create_all" in text:
        yield from _tables(path, tree)
    waiting: list[tuple[ast.AST, frozenset[str] | None]] = [(tree, None)]
    while waiting:
        node, local = waiting.pop()
        if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
            waiting += [(child, local) for child in node.orelse]
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            local = (local or frozenset()) | _locals(node)
        waiting += [(child, local) for child in ast.iter_child_nodes(node)]
        what = _anywhere(node, text) or (_in_function(node, names, local, background) if local is not None else None)
        if what is not None:
            yield State(path, getattr(node, "lineno", 1), what)


def _on_import(path: str, tree: ast.Module) -> Iterator[State]:
    """Yield what the statements of a module do when it is imported."""
    import ast

    changing = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and _changes_itself(node)}
    for statement in _statements(tree):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            named = (
                [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else [statement.module]
            )
            if any((name or "").partition(".")[0] in _MODELS for name in named):
                yield State(path, statement.lineno, LOADS)
        for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
            called = dotted(call.func) or ""
            if isinstance(call.func, ast.Attribute) and call.func.attr == "start":
                yield State(path, call.lineno, f"{called or 'a thread'}{'()' if called else ''} runs on import")
            elif called.rpartition(".")[2] in _RANDOM and isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
                if _SECRET.search(ast.unparse(statement)):
                    yield State(path, call.lineno, "the secret key is another one in every process")
            elif called.rpartition(".")[2] in _IN_PROCESS and isinstance(statement, ast.Assign | ast.AnnAssign):
                yield State(path, call.lineno, _IN_PROCESS[called.rpartition(".")[2]])
            elif called in changing and isinstance(statement, ast.Assign | ast.AnnAssign):
                yield State(path, call.lineno, f"an object of {called} keeps what it is told")


def _tables(path: str, tree: ast.Module) -> Iterator[State]:
    """Yield where tables are created on import, or when a factory makes the application."""
    import ast

    bodies: list[ast.Module | ast.FunctionDef] = [tree]
    bodies += [node for node in tree.body if isinstance(node, ast.FunctionDef) and _FACTORY.match(node.name)]
    for body in bodies:
        for statement in _statements(body):
            for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Attribute) and call.func.attr == "create_all":
                    yield State(path, call.lineno, CREATES)


def _statements(tree: ast.Module | ast.FunctionDef) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported, or the function called.

    Those inside of conditions and classes count as well.
    """
    import ast

    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test):
            continue
        inner = [
            child
            for field in ("body", "orelse", "finalbody")
            for child in getattr(statement, field, ())
            if isinstance(child, ast.stmt)
        ]
        if inner:
            waiting += reversed(inner)
        else:
            yield statement


class _Names:
    """What a module binds at its top: ``kept`` are objects of this process, ``made`` other objects that calls make.

    ``imported`` are names that no module of Python's own library gave.
    """

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.made: set[str] = set()
        self.imported: set[str] = set()


def _bound(tree: ast.Module) -> _Names:
    import ast
    import sys

    names = _Names()
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            names.kept.add(statement.name)
    for statement in _statements(tree):
        if isinstance(statement, ast.ImportFrom) and statement.level == 0:
            root = (statement.module or "").partition(".")[0]
            if root not in sys.stdlib_module_names:
                names.imported |= {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names.imported |= {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name.partition(".")[0] not in sys.stdlib_module_names:
                    names.imported.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for name, value in _pairs(target, statement.value):
                    if _is_kept(value, names.kept):
                        names.kept.add(name)
                    elif isinstance(value, ast.Call):
                        names.made.add(name)
    return names


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    import ast

    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for left, right in zip(target.elts, value.elts, strict=False):
            yield from _pairs(left, right)


def _is_kept(value: ast.expr, classes: set[str]) -> bool:
    """Whether *value* is a container, or an object of one of the module's own *classes*."""
    import ast

    if isinstance(value, ast.BinOp):
        return _is_kept(value.left, classes) or _is_kept(value.right, classes)
    if isinstance(value, ast.Call):
        called = dotted(value.func) or ""
        return called in classes or called.rpartition(".")[2] in _CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changes_itself(node: ast.ClassDef) -> bool:
    """Whether a method of a class, other than the one that makes an object, changes the object."""
    import ast

    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or method.name == "__init__":
            continue
        for inner in ast.walk(method):
            base: ast.expr | None = None
            if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
                base = inner.value
            elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                base = inner.func.value if inner.func.attr in _MUTATORS and dotted(inner.func) != "self" else None
                base = None if isinstance(base, ast.Name) else base
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name) and base.id == "self":
                return True
    return False


def _locals(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Return the names that are a function's own."""
    import ast

    arguments = node.args
    found = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    found |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None}
    everybodys: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
        elif isinstance(inner, ast.Global | ast.Nonlocal):
            everybodys.update(inner.names)
    return frozenset(found - everybodys)


def _anywhere(node: ast.AST, text: str) -> str | None:
    """Return what *node* says of state, wherever it stands; *text* is that of the module."""
    import ast

    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        value = node.value
        if ":memory:" in value or value == "sqlite://":
            return "the database is in memory"
        if value.endswith(("SimpleCache", "LocMemCache")) or value == "simple":
            return "the cache is in the process"
        if value == "django.contrib.sessions.backends.cache" and "CACHES" not in text:
            return "the sessions are in a cache of the process"
        if value.startswith(("text/event-stream", "multipart/x-mixed-replace")):
            return STREAMS
    limited = isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "Limiter"
    if limited and "flask_limiter" in text and not re.search(r"storage_uri|RATELIMIT_STORAGE", text):
        return "the limits are counted in the process"
    return None


def _in_function(node: ast.AST, names: _Names, local: frozenset[str], background: bool) -> str | None:
    """Return what a node inside of a function says of state; *local* are the function's own names."""
    import ast

    if isinstance(node, ast.Global):
        return f"global {', '.join(node.names)}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next" and node.args:
        return _changed(node.args[0], names, local, "next")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "start" and background:
            return "work runs in the background of the process"
        if node.func.attr in _MUTATORS:
            return _changed(node.func.value, names, local, node.func.attr)
    if isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] in _RANDOM:
        return None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _changed(node.value, names, local, "[]")
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript | ast.Attribute):
        return _changed(node.target.value, names, local, "+=")
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return _changed(node.value, names, local, "=")
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and "secret" in ast.unparse(node.targets[0]).lower():
        for call in (inner for inner in ast.walk(node.value) if isinstance(inner, ast.Call)):
            if (dotted(call.func) or "").rpartition(".")[2] in _RANDOM:
                return "the secret key is another one in every process"
    return None


def _changed(base: ast.expr, names: _Names, local: frozenset[str], how: str) -> str | None:
    """Return what is said where *base* is an object of the module, or of another one, that a function changes."""
    import ast

    parts: list[str] = []
    while isinstance(base, ast.Attribute | ast.Subscript):
        if isinstance(base, ast.Attribute):
            parts.append(base.attr)
        base = base.value
    if not isinstance(base, ast.Name) or base.id in local:
        return None
    shown = ".".join([base.id, *reversed(parts)])
    if base.id in names.kept:
        return f"{shown} is changed in the process"
    if _SHARED & {base.id, *parts}:
        return None
    plain = how in ("append", "extend", "insert", "appendleft", "put", "setdefault", "[]", "+=")
    if base.id in names.imported and "config" not in parts and len(parts) < 2 and (plain or shown.isupper()):
        return f"{shown} is changed in the process" if how != "=" else None
    settings = "config" in parts or "extensions" in parts
    if base.id in names.made and (how == "+=" or (parts and plain and not settings) or (how == "=" and not parts)):
        return f"{shown} is changed in the process"
    return None


def dotted(node: ast.expr) -> str | None:
    """Return the name that an expression such as ``os.environ.get`` is, None for other expressions."""
    import ast

    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
