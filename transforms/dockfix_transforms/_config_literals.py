"""Settings that Python modules hold as literals: secrets, and debugging that is switched on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from dockfix.build.secrets import is_placeholder, is_secret_name, password_in_url, secret_in
from dockfix.syntax.patterns import pattern

_FOR_TRIALS: Final = pattern(
    r"(?i)(?:^|_|(?<=[a-z]))(?:dev|devel|development|test|tests|testing|local|example|ci)(?![a-z])"
)
_TRIAL_CLASS: Final = pattern(r"(?:Dev|Test|Local|Debug|Example|CI|Unit)(?![a-z])|Develop|Testing")
_CONFIG_BASE: Final = pattern(r"(?:\w+\.)?(?:object|\w*Config(?:uration)?|\w*Base)\Z")
_RANDOM: Final = pattern(r"(?=.*[0-9])(?=.*[A-Za-z])[^\s/]{12,}\Z")
_LOOKUP: Final = pattern(r"(?:os\.)?(?:environ\.get|getenv)\Z|(?:\w+\.)?(?:config|env)(?:\.str)?\Z")
_NO_SERVER: Final = frozenset(
    {"uvicorn", "asyncio", "socketio", "subprocess", "trio", "anyio", "web", "bot", "client", "loop"}
)
HOSTS: Final = ".localhost,127.0.0.1,[::1]"
"""What Django answers to with DEBUG and no ALLOWED_HOSTS."""


class Literal(NamedTuple):
    """A literal that is to come from the environment: *node* of the module, in whose place *text* stands then.

    In ``text`` a ``{environ}`` stands for the mapping, and ``{q}`` for a quote. ``value`` is that of a secret.
    """

    variable: str
    node: ast.expr
    text: str
    value: str | None
    started: bool = False
    """Whether it counts only where the module is what is started: ``app.run(debug=True)``."""

    @property
    def line(self) -> int:
        """Its line in the module."""
        return self.node.lineno


class Left(NamedTuple):
    """A setting that is left as it is, and why."""

    line: int
    reason: str


class Settings:
    """The settings in one module. ``strict`` takes only values that are random to look at: it is no settings module."""

    def __init__(self, tree: ast.Module, *, django: bool, strict: bool, shared: Iterable[tuple[str, str]] = ()) -> None:
        self.tree = tree
        self.django = django
        self.strict = strict
        self.shared = {value: name for name, value in shared}
        self.flask = any(
            isinstance(node, ast.Import | ast.ImportFrom)
            and "flask" in (getattr(node, "module", None) or node.names[0].name).lower()
            for node in ast.walk(tree)
        )

    def find(self) -> Iterator[Literal | Left]:
        """Yield what is to change and what is left."""
        yield from self._secrets()
        yield from self._debug()

    def _secrets(self) -> Iterator[Literal | Left]:
        for statements, trial, name in self._blocks():
            for statement in statements:
                for setting, value in _settings(statement):
                    for item in self._secret(setting, value, statement, name) if not trial else ():
                        if isinstance(item, Literal) and name in self._chosen():
                            reason = f"{setting} stays: {name} is one of several configurations, which all need it then"
                            yield Left(item.line, reason)
                        else:
                            yield item
                if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While) and not trial:
                    yield from self._conditional(statement)

    def _chosen(self) -> frozenset[str]:
        """Return the classes of which the program chooses one: they have a base in common, which is here as well.

        All of them are run when the module is imported, also where another one is chosen.
        """
        classes = [node for node in self.tree.body if isinstance(node, ast.ClassDef)]
        names = {node.name for node in classes}
        bases = [base.id for node in classes for base in node.bases if isinstance(base, ast.Name)]
        shared = {base for base in bases if base in names and bases.count(base) > 1}
        return frozenset(
            node.name
            for node in classes
            if node.name not in shared and any(isinstance(base, ast.Name) and base.id in shared for base in node.bases)
        )

    def _blocks(self) -> Iterator[tuple[list[ast.stmt], bool, str]]:
        """Yield the statements of the module, its classes and functions, each with whether they are for trials."""
        yield self.tree.body, False, ""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                if all(map(_CONFIG_BASE.match, bases)) and not node.keywords:
                    yield node.body, _TRIAL_CLASS.search(node.name) is not None, node.name
            elif isinstance(node, ast.FunctionDef):
                body = [one for one in node.body if isinstance(one, ast.Assign | ast.Expr) and _of_application(one)]
                yield [*body, *(one for one in node.body if isinstance(one, ast.If))], False, node.name

    def _secret(self, setting: str, node: ast.expr, statement: ast.stmt, where: str) -> Iterator[Literal | Left]:
        if setting == "DATABASES" and isinstance(node, ast.Dict):
            yield from self._databases(node)
            return
        fallback = _fallback(node)
        if fallback is not None and self._counts(setting, fallback):
            yield Left(node.lineno, f"{setting} falls back on a value that is written out")
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            if node.value and is_secret_name(setting) and not self.strict:
                yield Left(node.lineno, f"{setting} is made of bytes, which a variable does not hold")
            return
        if isinstance(node, ast.JoinedStr):
            password = password_in_url(ast.unparse(node)[2:-1])
            if password is not None and "{" not in password:
                yield Left(node.lineno, f"{setting} is put together, with a password in it")
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and self._counts(setting, node.value):
            if isinstance(statement, ast.Expr) and "from_mapping" in ast.unparse(statement) and self._replaced():
                yield Left(node.lineno, f"{setting} is a default, which another configuration may replace")
                return
            variable = "SECRET_KEY" if setting == "secret_key" else setting
            yield Literal(variable, node, "{environ}[{q}" + variable + "{q}]", node.value)

    def _replaced(self) -> bool:
        """Return whether the application reads its configuration from elsewhere, too."""
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
        return bool(
            names & {"from_pyfile", "from_object", "from_envvar", "from_prefixed_env", "from_file", "from_json"}
        )

    def _counts(self, setting: str, value: str) -> bool:
        name = "SECRET_KEY" if setting == "secret_key" else setting
        if secret_in(name, value) is None or not value.isprintable() or not re.fullmatch(r"[A-Za-z_]\w*", name, re.A):
            return False
        return not self.strict or _RANDOM.match(value) is not None

    def _databases(self, node: ast.Dict) -> Iterator[Literal | Left]:
        found = []
        for inner in ast.walk(node):
            if isinstance(inner, ast.Dict):
                for key, value in zip(inner.keys, inner.values, strict=True):
                    named = isinstance(key, ast.Constant) and key.value == "PASSWORD"
                    if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
                        if not is_placeholder(value.value):
                            found.append((value, value.value))
                    elif named and (text := _fallback(value)) and not is_placeholder(text):
                        yield Left(value.lineno, "the password of DATABASES falls back on a value that is written out")
        if len({value for _, value in found}) > 1:
            yield Left(found[0][0].lineno, "DATABASES holds several passwords")
            return
        for constant, password in found:
            variable = self.shared.get(password, "DATABASE_PASSWORD")
            yield Literal(variable, constant, "{environ}[{q}" + variable + "{q}]", password)

    def _conditional(self, statement: ast.stmt) -> Iterator[Left]:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.stmt) and inner is not statement:
                for setting, node in _settings(inner):
                    text = node.value if isinstance(node, ast.Constant) else None
                    if isinstance(text, str) and self._counts(setting, text):
                        yield Left(inner.lineno, f"{setting} is set under a condition")

    def _debug(self) -> Iterator[Literal | Left]:
        switches = [
            node
            for statements, trial, _ in self._blocks()
            for statement in statements
            for setting, node in _settings(statement)
            if setting in ("DEBUG", "debug") and isinstance(node, ast.Constant) and node.value is True and not trial
        ]
        if self.django:
            yield from self._django_debug(switches)
            return
        own = self.flask or any(name.startswith("SQLALCHEMY") or name == "SECRET_KEY" for name in self._names())
        if not own and not self._imported():
            return
        if switches and (line := self._depends_on_debug()):
            yield Left(switches[0].lineno, f"DEBUG stays: what line {line} does depends on it")
            return
        for node in switches if own else ():
            yield Literal("FLASK_DEBUG", node, "{environ}.get({q}FLASK_DEBUG{q}) == {q}1{q}", None)
        mains: list[ast.stmt] = [
            node for node in self.tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
        ]
        mains += [node for node in self.tree.body if isinstance(node, ast.Expr)]
        imported = self._imported()
        for call in (inner for main in mains for inner in ast.walk(main)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "run":
                on = call.func.value
                if isinstance(on, ast.Name) and (on.id not in _NO_SERVER if self.flask else on.id in imported):
                    for keyword in call.keywords:
                        value = keyword.value
                        if keyword.arg == "debug" and isinstance(value, ast.Constant) and value.value is True:
                            text = "{environ}.get({q}FLASK_DEBUG{q}) == {q}1{q}"
                            yield Literal("FLASK_DEBUG", value, text, None, True)

    def _imported(self) -> set[str]:
        """Return the application where another module of the program makes it: ``from shop import app``."""
        froms = (node for node in self.tree.body if isinstance(node, ast.ImportFrom))
        names = {alias.asname or alias.name for node in froms for alias in node.names}
        return names & {"app", "application"}

    def _names(self) -> set[str]:
        return {setting for statements, _, _ in self._blocks() for one in statements for setting, _ in _settings(one)}

    def _depends_on_debug(self) -> int:
        """Return the line of the first condition that asks whether debugging is on, 0 for none."""
        for inner in ast.walk(self.tree):
            asked: ast.expr | None = None
            if isinstance(inner, ast.If | ast.IfExp):
                asked = inner.test
            elif isinstance(inner, ast.BoolOp | ast.Compare) or (
                isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not)
            ):
                asked = inner
            if asked is not None and any(_asks_for_debug(one) for one in ast.walk(asked)):
                return asked.lineno
        return 0

    def _django_debug(self, switches: Sequence[ast.expr]) -> Iterator[Literal | Left]:
        if len(switches) != 1:
            return
        node = switches[0]
        if line := self._depends_on_debug():
            yield Left(node.lineno, f"DEBUG stays: what line {line} does depends on it")
            return
        hosts = [
            value for statement in self.tree.body for name, value in _settings(statement) if name == "ALLOWED_HOSTS"
        ]
        if len(hosts) != 1:
            yield Left(node.lineno, "DEBUG stays: without it Django answers to no host, and ALLOWED_HOSTS is not plain")
            return
        if isinstance(hosts[0], ast.List) and not hosts[0].elts:
            text = "{environ}.get({q}ALLOWED_HOSTS{q}, {q}" + HOSTS + "{q}).split({q},{q})"
            yield Literal("ALLOWED_HOSTS", hosts[0], text, None)
        text = "{environ}.get({q}DEBUG{q}, {q}{q}).lower() in ({q}1{q}, {q}true{q}, {q}yes{q})"
        yield Literal("DEBUG", node, text, None)


def _settings(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the settings that one statement gives: ``NAME = x``, ``app.config["NAME"] = x``, ``app.secret_key = x``."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        name = _name(statement.targets[0])
        if name is not None:
            yield name, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        name = _name(statement.target)
        if name is not None:
            yield name, statement.value
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if re.fullmatch(r"\w+\.config\.(?:update|from_mapping)", ast.unparse(call.func)):
            for keyword in call.keywords:
                if keyword.arg is not None:
                    yield keyword.arg, keyword.value


def _asks_for_debug(node: ast.AST) -> bool:
    if isinstance(node, ast.Name | ast.Attribute):
        return (node.id if isinstance(node, ast.Name) else node.attr) in ("DEBUG", "debug")
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "DEBUG"


def _name(target: ast.expr) -> str | None:
    if isinstance(target, ast.Name):
        return target.id if target.id.isupper() else None
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.attr if target.attr in ("secret_key", "debug") else None
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute) and target.value.attr == "config":
        key = target.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    return None


def _of_application(statement: ast.Assign | ast.Expr) -> bool:
    """Whether a statement in a function is about the application that the function makes."""
    return isinstance(statement, ast.Expr) or not isinstance(statement.targets[0], ast.Name)


def _fallback(node: ast.expr) -> str | None:
    """Return the literal that stands in where a variable is not set."""
    if isinstance(node, ast.Call) and _LOOKUP.match(ast.unparse(node.func)):
        named = (one.value for one in node.keywords if one.arg == "default")
        last = node.args[1] if len(node.args) > 1 else next(named, None)
        return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else None
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        last = node.values[-1]
        return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else None
    return None


def for_trials(path: str) -> bool:
    """Whether a module is for development, tests or examples, by its name."""
    return any(_FOR_TRIALS.search(part) for part in path.removesuffix(".py").split("/"))
