"""What stands between a health route and its answer: log-ins, redirects, other hosts and prefixes, limits of rate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dockfix.syntax.patterns import pattern
from dockfix_transforms._code_names import dotted

if TYPE_CHECKING:
    import ast

    from dockfix.project.application import Application
    from dockfix.project.context import Context

_HARMLESS: Final = pattern(
    r"(?:cross_origin|csrf\.exempt|limiter\.exempt|csrf_exempt|require_GET|never_cache|require_safe)\Z"
)
_GATES: Final = pattern(
    r"\bbefore_(?:app_)?request|\bBASIC_AUTH_FORCE\b|\bDispatcherMiddleware\(|\bdefault_limits\b|\bSERVER_NAME\b"
    r"|\bhost_matching\b|\bTrustedHostMiddleware\b|\bapplication_limits\b"
    r"|add_middleware\(\s*\w*(?i:auth|host|key|token|limit)|\bwsgi_app\s*=(?!\s*(?:ProxyFix|WhiteNoise)\()",
    words=(
        *("before_", "BASIC_AUTH", "Dispatcher", "limits", "SERVER_NAME", "host_matching", "TrustedHost"),
        *("_middleware", "wsgi_app"),
    ),
)
"""What answers in the place of a route, or for other hosts and paths alone."""
_MIDDLEWARE: Final = pattern(r"\.middleware\(|\bBaseHTTPMiddleware\b", words=("iddleware",))
_REFUSES: Final = pattern(r"\b40[13]\b|(?i:unauthori[sz]ed|forbidden)")
_ASKS: Final = pattern(
    r"\brequest\.(?:headers|args|form|json|get_json|cookies|values|query_params|authorization|user|GET|POST|META)\b"
    r"|\bsession(?:\[|\.get\()|\bcurrent_user\b|\b40[13]\b|(?i:unauthori[sz]ed|forbidden)"
)
"""A view that wants to know who asks, or for what."""
_HTTPS: Final = pattern(
    r"\b(?:HTTPSRedirectMiddleware|Talisman|SSLify)\(|add_middleware\(\s*HTTPSRedirectMiddleware",
    words=("HTTPSRedirectMiddleware", "Talisman", "SSLify"),
)
_TESTS: Final = pattern(r"(?:^|/)tests?/|(?:^|/)(?:test_[^/]*|conftest)\.py\Z", words=("test",))
_MOST: Final = 500
"""How many modules are searched."""


def modules(context: Context) -> Iterator[tuple[str, str]]:
    """Yield path and text of the Python files of the build context, tests excepted."""
    paths = [path for path in context.paths if path.endswith(".py") and not _TESTS.search(path)]
    for path in paths[:_MOST]:
        yield path, context.text(path) or ""


def gated(context: Context) -> bool:
    """Whether something in an application of Flask, FastAPI and their kin may answer in the place of its routes."""
    for _, text in modules(context):
        if _GATES.search(text) or (_MIDDLEWARE.search(text) and _REFUSES.search(text)):
            return True
    return False


def answers(view: ast.FunctionDef | ast.AsyncFunctionDef, decorators: Sequence[ast.expr]) -> bool:
    """Whether a view with these decorators, those of its routes excepted, answers everybody in the same way."""
    import ast

    for decorator in decorators:
        if not _HARMLESS.match(dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)):
            return False
    return not any(_ASKS.search(ast.unparse(statement)) for statement in view.body)


def https_only(context: Context, application: Application) -> tuple[str, int] | None:
    """Return the file and line where the application sends every request on to HTTPS, None where nothing does."""
    for path, text in modules(context):
        if application.framework == "django":
            if "SECURE_SSL_REDIRECT" in text:
                for number, line in enumerate(text.splitlines(), 1):
                    if re.match(r"\s*SECURE_SSL_REDIRECT\s*(?::[^=]*)?=\s*(?!False\b)", line):
                        return path, number
        elif _HTTPS.search(text):
            for number, line in enumerate(text.splitlines(), 1):
                if not line.lstrip().startswith("#") and _HTTPS.search(line):
                    return path, number
    return None
