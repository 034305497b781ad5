"""The Python web application in the build context, found by ``ast``: framework, module, variable, port, state."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Final, Literal

from dockfix.project.files import Files
from dockfix.records import record, replace
from dockfix.syntax.patterns import pattern

Framework = Literal["flask", "django", "fastapi", "starlette", "quart"]


@record
class Run:
    """A call that starts the development server: ``app.run(...)``, ``uvicorn.run(...)``, ``socketio.run(...)``.

    ``port``/``host`` are literal values (the default of an environment lookup), None where not given or not literal
    (``port_known``/``host_known`` False). ``port_variable`` is the environment variable that overrides the port.
    ``others`` are ``(line, source)`` of the statements that run beside it when the module runs as a script, and that
    a production server would not run. ``keywords`` are the names of all its keyword arguments.
    ``guarded`` tells that it stands under ``if __name__ == "__main__":``.
    """

    callee: str
    line: int
    port: int | None
    port_known: bool
    port_variable: str | None
    host: str | None
    host_known: bool
    target: str | None
    """The text of uvicorn.run's first argument if it is a string or name."""
    keywords: frozenset[str]
    guarded: bool
    others: tuple[tuple[int, str], ...]


@record
class State:
    """A place where the application keeps state in its process, so that several workers would differ."""

    path: str
    line: int
    what: str


@record
class Route:
    """A route known from the code, with the HTTP methods that it takes."""

    path: str
    methods: tuple[str, ...]
    line: int


@record
class Application:
    """One application object, or one factory.

    ``path`` is the module's file, relative to the context's root. ``import_root`` is the folder (relative to the
    root) from which ``module`` imports, e.g. "" for ``app/main.py`` as ``app.main``, "src" for ``src/main.py``.
    ``variable`` is the name in the module; with ``factory`` it is a function that takes no required argument.
    ``conditional`` is a reason where the object is made inside ``if``, ``try`` or by something that is not clear.
    For Django ``path`` is manage.py, ``module`` the WSGI module and ``variable`` "application"; ``asgi`` names the ASGI
    module if only that is used (channels), None otherwise.
    """

    framework: Framework
    path: str
    import_root: str
    module: str
    variable: str
    line: int
    factory: bool
    conditional: str | None
    run: Run | None
    routes: tuple[Route, ...]
    state: tuple[State, ...]
    socketio: bool
    asgi: str | None = None
    settings: str | None = None
    """Django: DJANGO_SETTINGS_MODULE of manage.py."""


_MENTION: Final = pattern(
    r"\b(?:flask|fastapi|starlette|quart|Flask|FastAPI|create_app|make_app|build_app)\b"
    r"|^\s*from[ \t].+[ \t]import[ \t].*\b(?:app|application|server)\b",
    re.MULTILINE,
)
_ELSEWHERE: Final = pattern(
    r"(?:^|/)(?:tests?|testing|examples?|docs?|migrations|alembic|site-packages|node_modules|\.?venv|env|build|dist)/"
    r"|(?:^|/)(?:tests?|test_[^/]*|[^/]*_test|conftest)\.py\Z",
    words=("/", "test"),
)
_USUAL: Final = ("app.py", "main.py", "wsgi.py", "application.py", "server.py", "run.py", "api.py")
_MOST_FILES: Final = 400


def find_applications(files: Files, root: str) -> tuple[Application, ...]:
    """Return the applications below *root*; tests, examples, migrations and virtual environments are not searched."""
    prefix = f"{root}/" if root else ""
    present = {path[len(prefix) :] for path in files.below(root) if path.endswith(".py")}
    paths = [path for path in sorted(present) if not _ELSEWHERE.search(path)][:_MOST_FILES]
    known = set(paths)
    from dockfix.project.python_module import Module, django_application, parse_module

    found: list[Application] = []
    state: list[State] = []
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        text = files.text(prefix + path)
        if text is None:
            continue
        if posixpath.basename(path) == "manage.py" and "DJANGO_SETTINGS_MODULE" in text:
            django = django_application(files, prefix, path, text, present)
            if django is not None:
                found.append(django)
            continue
        kept = _state_in(path, text)
        if kept is None:
            continue
        state += kept
        if _MENTION.search(text) and (tree := parse_module(text)) is not None:
            found += Module(path, tree, known, lambda path: files.text(prefix + path)).applications()
    apps = [replace(item, state=tuple(state)) for item in found]
    return tuple(sorted(apps, key=_likeliness))


@lru_cache(maxsize=1024)
def _state_in(path: str, text: str) -> tuple[State, ...] | None:
    """Return the state that a module keeps, None where it cannot be parsed; it is asked for after every change."""
    from dockfix.project.process_state import state_of
    from dockfix.project.python_module import parse_module

    tree = parse_module(text)
    return None if tree is None else tuple(sorted(state_of(path, tree, text), key=lambda state: state.line))


def _likeliness(application: Application) -> tuple[bool, int, bool, str]:
    name = posixpath.basename(application.path)
    return (application.factory, application.path.count("/"), name not in _USUAL, application.path)
