"""The modules of an image that hold settings which belong into its environment."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix.transform import Skip

if TYPE_CHECKING:
    from dockfix.syntax.edit import Edit
    from dockfix_transforms._config_literals import Literal

_MENTION: Final = pattern(
    r"(?:PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|DEBUG)\w*['\"]?\]?\s*[:=]|secret_key\s*=|debug\s*=\s*True"
    r"|://[^\s/'\"]*:[^\s/'\"]+@|(?:AK|AS)IA[A-Z0-9]{16}|[\"'](?:gh[pousr]_|sk[-_]|xox|AIza|glpat|SG\.)",
    words=(
        *("PASS", "PWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "DEBUG", "secret_key", "debug", "://", "AKIA", "ASIA"),
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "sk-", "sk_", "xox", "AIza", "glpat", "SG."),
    ),
)
_ELSEWHERE: Final = pattern(
    r"(?:^|/)(?:tests?|testing|examples?|samples?|docs?|migrations|alembic|site-packages|node_modules|\.?venv|env|build"
    r"|dist|scripts|fixtures|locust\w*|benchmarks?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|tests|conftest|setup|noxfile)\.py\Z",
    words=("/", "test", "setup", "noxfile"),
)
_SETTINGS: Final = pattern(
    r"(?:^|/)(?:settings|config|configuration|conf)(?:/[\w]+)?\.py\Z|(?:^|/)\w*(?:settings|config)\.py\Z"
)
_DJANGO: Final = pattern(
    r"^(?:INSTALLED_APPS|ROOT_URLCONF|MIDDLEWARE|ALLOWED_HOSTS|DATABASES|WSGI_APPLICATION)\b", re.MULTILINE
)
_WRITTEN_OUT: Final = pattern(r"(?:SECRET_KEY|PASSWORD|TOKEN)['\"]?\]?\s*[:=]\s*['\"]\w")
_MOST_FILES: Final = 400


@record
class Module:
    """A module with settings that are to change. ``path`` is relative to the build context."""

    path: str
    literals: tuple[Literal, ...]
    edits: tuple[Edit, ...]


def settings_modules(build: Build) -> Iterator[Module | Skip]:
    """Yield the modules in the image with something in them that is to change, and what is left alone in any."""
    context = build.project.context
    likely = [path for path in context.paths if path.endswith(".py") and not _ELSEWHERE.search(path)][:_MOST_FILES]
    likely = [path for path in likely if _mentions(context.text(path) or "")]
    for path in _in_image(build, likely) if likely else ():
        yield from _module(build, path)


@lru_cache(maxsize=2048)
def _mentions(text: str) -> bool:
    return _MENTION.search(text) is not None


def _in_image(build: Build, paths: list[str]) -> list[str]:
    from dockfix.build.lineage import image_path
    from dockfix_transforms._config_literals import for_trials

    return [path for path in paths if image_path(build, path) is not None and not for_trials(path)]


def _module(build: Build, path: str) -> Iterator[Module | Skip]:
    """Yield the module if something in it is to change, and what is left alone."""
    from dockfix.project.python_module import parse_module
    from dockfix_transforms._config_literals import Left, Settings

    context = build.project.context
    text = context.text(path) or ""
    place = context.repository_path(path)
    tree = parse_module(text)
    if tree is None:
        if _WRITTEN_OUT.search(text):
            undecoded = re.search("[\ud800-\udfff]", text) is not None
            yield Skip(f"its settings stay: it {'is not in UTF-8' if undecoded else 'cannot be parsed'}", 0, place)
        return
    django = _DJANGO.search(text) is not None or (
        re.search(r"^from \.\w* import \*", text, re.MULTILINE) is not None
        and any(one.rpartition("/")[2] == "manage.py" for one in context.paths)
    )
    settings = Settings(tree, django=django, strict=not (django or _is_settings(path, text)), shared=passwords(build))
    literals: list[Literal] = []
    for item in settings.find():
        reason = None
        if isinstance(item, Left):
            reason = item.reason
        elif item.value is not None or item.variable == "DEBUG":
            other = _elsewhere(build, path, item.variable)
            reason = f"{item.variable} stays: {other} sets it as well" if other else None
            if item.variable == "DEBUG" and reason is None and not build.project.services and _runs_runserver(build):
                reason = "DEBUG stays: the image starts runserver, which serves the static files with it alone"
        if reason is not None:
            yield Skip(reason, item.line, place)
        elif not isinstance(item, Left):
            literals.append(item)
    if not any(one.variable == "DEBUG" for one in literals):
        literals = [one for one in literals if one.variable != "ALLOWED_HOSTS"]
    values: dict[str, set[str | None]] = {}
    for one in literals:
        values.setdefault(one.variable, set()).add(one.value)
    for name in [name for name, given in values.items() if len(given) > 1]:
        line = next(one.line for one in literals if one.variable == name)
        yield Skip(f"{name} has several values", line, place)
        literals = [one for one in literals if one.variable != name]
    if not literals:
        return
    from dockfix_transforms._rewritten_module import Unchangeable, rewritten

    try:
        yield Module(path, tuple(literals), tuple(rewritten(text, tree, literals)))
    except Unchangeable as reason_:
        yield Skip(f"its settings stay: {reason_}", literals[0].line, place)


def _runs_runserver(build: Build) -> bool:
    from dockfix.build.lineage import start_steps

    started = " ".join(step.instruction.value for step in start_steps(build) if step is not None)
    return "runserver" in build.project.context.with_scripts(started)


def _is_settings(path: str, text: str) -> bool:
    return _SETTINGS.search(path) is not None or re.search(r"\bFlask\(|\bSQLALCHEMY_", text) is not None


def _elsewhere(build: Build, path: str, name: str) -> str | None:
    """Return another module of a package of settings that sets *name*."""
    folder, base = posixpath.split(path)
    if not re.search(r"(?:settings|config|conf)\Z", folder) and base != "base.py":
        return None
    expression = re.compile(rf"^\s*{name}\s*(?::[^=\n]*)?=", re.MULTILINE)
    context = build.project.context
    for other in context.paths:
        beside = other != path and posixpath.dirname(other) == folder and other.endswith(".py")
        if beside and expression.search(context.text(other) or ""):
            return context.repository_path(other)
    return None


def passwords(build: Build) -> list[tuple[str, str]]:
    """Return the passwords in the compose file by their names, which the code may hold as well."""
    from dockfix.build.secrets import is_placeholder, is_secret_name
    from dockfix_transforms._compose_files import compose_files, environment

    found: list[tuple[str, str]] = []
    for file in compose_files(build):
        for service in file.services.values():
            for name, value in environment(service).items():
                if value and is_secret_name(name) and not is_placeholder(value):
                    found.append((name, value))
    return found
