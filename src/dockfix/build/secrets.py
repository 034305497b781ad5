"""Which names are those of secrets, and which values are ones.

Names are read by their words (``DB_PASSWORD``, ``apiKey``, ``jwt-secret``), values by their shape. Both lists are made
so that what is taken for a secret is one: a public key, a path, a switch or a placeholder is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

from dockfix.syntax.patterns import pattern

_WORDS: Final = pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS: Final = frozenset(
    {"secret", "secrets", "password", "passwd", "passphrase", "token", "credential", "credentials", "apikey"}
    | {"secretkey", "accesskey", "privatekey", "accesstoken", "authtoken", "apitoken", "adminpassword", "dbpassword"}
)
_SHORT_WORDS: Final = frozenset({"pass", "pwd", "pw"})
"""Secrets only behind another word: ``PWD`` alone is a directory."""
_KEY_WORDS: Final = frozenset(
    {"api", "secret", "private", "access", "auth", "app", "application", "encryption", "encrypt", "signing", "sign"}
    | {"jwt", "session", "master", "admin", "service", "account", "consumer", "client", "license", "fernet", "flask"}
    | {"django", "webhook", "storage", "openai", "stripe", "anthropic", "sendgrid", "mailgun", "twilio", "google"}
    | {"azure", "subscription", "cookie", "csrf", "hmac", "aes", "crypto", "server", "security", "deploy", "restricted"}
)
"""``X_KEY`` is a secret behind these words; GPG_KEY, PUBLIC_KEY, SORT_KEY and the like are none."""
_ABOUT: Final = frozenset(
    {"file", "files", "path", "dir", "directory", "name", "names", "length", "len", "size", "ttl", "expire", "expires"}
    | {"expiry", "expiration", "lifetime", "seconds", "minutes", "hours", "days", "age", "algorithm", "alg", "type"}
    | {"header", "prefix", "suffix", "enabled", "enable", "disabled", "required", "policy", "min", "max", "limit"}
    | {"count", "field", "claim", "url", "uri", "endpoint", "host", "port", "issuer", "audience", "version", "backend"}
    | {"class", "format", "hashers", "hasher", "validators", "timeout", "manager", "store", "provider", "method", "arn"}
    | {"scope", "scopes", "env", "location", "user", "username", "encoded", "base", "rounds", "hint", "label", "id"}
    | {"is"}
)
"""Behind these as the last word, the name is about a secret and holds none: PASSWORD_FILE, TOKEN_TTL."""
_PUBLIC: Final = frozenset({"public", "pub", "publishable", "gpg", "gpgkey", "pgp", "tokenizer", "tokenizers"})
_EXACT: Final = frozenset({"aws_access_key_id", "aws_session_token", "app_key", "secret_key_base", "pgpassword"})
_BROWSER: Final = ("NEXT_PUBLIC_", "REACT_APP_", "VITE_", "VUE_APP_", "NUXT_PUBLIC_", "GATSBY_")
"""What these name is sent to every browser, so it is no secret."""

_STANDS_FOR: Final = pattern(
    r"(?:|[x*.#?_0-]+|<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|%\w+%"
    r"|(?:true|false|yes|no|on|off|none|null|nil|undefined|unset|todo|tbd|fixme|n/?a|[01]|redacted|empty)"
    r"|\$\w+|.*\$[{(].*|.*\{\{.*|.*%\(\w+\)s.*"
    r"|.*(?:place.?holder|change.?(?:me|it|this)|replace.?(?:me|it|this|with)|dummy|fill.?(?:me|in|this)|to.?be.?set"
    r"|not.?(?:a.?|so.?|very.?|really.?)?(?:secret|used|set|needed|real)|unused|ignored?|fake|redacted|insert.*here"
    r"|(?:your|enter|put|add|set)[-_ .](?:own|very|strong|long|random|secret|api|key|token|pass|db|new|a\b|the\b|here)"
    r"|yours?(?:secret|api|key|token|pass).*|for.?(?:the.?)?build|build.?(?:only|time)|collectstatic"
    r"|temp(?:orary)?.?(?:key|secret|build)).*|insert[-_ .][\w .-]*|example(?:[-_ ].*)?|.*[-_ ]example|.*\.{3})\Z",
    2,  # re.IGNORECASE
)
_PATH: Final = pattern(
    r"(?:\.{0,2}/|~/)?(?:run|etc|var|app|secrets?|root|home|usr|opt|tmp|mnt|data|code|src|certs?|keys?|config)/[\w./-]*\Z"
    r"|\.{1,2}/\S*\Z|~/\S*\Z|\S*\.(?:key|pem|crt|cer|p12|pfx|jks|json|txt|ya?ml|env|ini|conf)\Z"
)
_KNOWN: Final = pattern(
    r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|sk_live_\w{16,}|rk_live_\w{16,}|sk-[\w-]{20,}"
    r"|AKIA[A-Z0-9]{16}|ASIA[A-Z0-9]{16}|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hf_[A-Za-z0-9]{30,}"
    r"|-----BEGIN[A-Z ]* PRIVATE KEY-----.*)\Z",
    16,  # re.DOTALL
)
_URL_PASSWORD: Final = pattern(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[^:/?#@\s]*:([^/?#\s]+)@")
_PARAMETER: Final = pattern(r"[?&;]\s*(?:password|passwd|pwd|sslpassword)\s*=\s*([^&;\s\"']+)", 2)


_QUOTED: Final = r"[rbuRBU]{0,2}\"(?:[^\"\\\n]|\\.){0,4000}\"|[rbuRBU]{0,2}'(?:[^'\\\n]|\\.){0,4000}'"
"""Lengths are bounded where a search could read the same text over and over."""
_ASSIGNMENT: Final = pattern(
    r"(?<![\w.])(?P<name>[A-Za-z_][\w.-]{0,80})(?P<quote>[\"']?)\]?[ \t]*"
    r"(?::[ \t]*[A-Za-z_][\w.|\[\] ]{0,80}=|:=|=>|[:=])[ \t]*"
    rf"(?P<value>{_QUOTED}|[^\s\"'][^\s\"]{{0,4000}})"
)
_DEFAULT: Final = pattern(
    rf"[\"'](?P<name>\w{{1,80}})[\"'][ \t]*,[ \t]*(?:default[ \t]*=[ \t]*)?(?P<value>{_QUOTED})"  # getenv("KEY", "x")
)
_WHOLE_LINE: Final = pattern(  # ENV KEY x y z; KEY: x y z
    r"^[-+ \t]*(?:(?:ENV|env)[ \t]+(?P<env>\w+)[ \t]+|(?P<key>[A-Za-z_]\w*):[ \t]+)(?P<value>[^=\s\"'].*?)[ \t\r]*$",
    8,  # re.MULTILINE
)
_URLS: Final = pattern(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,40}://[^:/?#@\s\"'<>]{0,200}:(?P<value>[^/?#\s\"'<>]{1,300})@"
)
_PARAMETERS: Final = pattern(r"[?&;][ \t]*(?:password|passwd|pwd|sslpassword)[ \t]*=[ \t]*(?P<value>[^&;\s\"']+)", 2)
_TOKENS: Final = pattern(
    r"(?P<value>(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|[sr]k_live_\w{16,}"
    r"|A[KS]IA[A-Z0-9]{16}|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*|hf_[A-Za-z0-9]{30,}|sk-(?:proj|ant|live)?-?[A-Za-z0-9][\w-]{24,}))"
)
_STARTS: Final = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk_live_", "rk_live_", "AKIA", "ASIA", "xox"),
    *("AIza", "SG.", "npm_", "eyJ", "hf_", "sk-"),
)
_KEY_BLOCK: Final = pattern(
    r"-----BEGIN[A-Z ]* PRIVATE KEY-----(?P<value>.{1,20000}?)-----END[A-Z ]* PRIVATE KEY-----",
    16,  # re.DOTALL
)
_HINTS: Final = (
    *("secret", "pass", "pwd", "token", "key", "credential", "://", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_"),
    *("ghr_", "xox", "glpat", "aiza", "eyj", "hf_", "npm_", "sk-", "sg.", "k_live_", "github_pat_"),
)
"""In lower case: no text without one of them holds a secret. Most have none, and need no regular expression."""


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Return whether a variable or setting called *name* holds a secret."""
    if name.startswith(_BROWSER):
        return False
    if name.lower() in _EXACT:
        return True
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT or _PUBLIC.intersection(words):
        return False
    if _SECRET_WORDS.intersection(words):
        return True
    if words[-1] in _SHORT_WORDS and (len(words) > 1 or words[0] == "pass"):
        return True
    return any(word == "key" and before in _KEY_WORDS for before, word in pairwise(words))


def is_placeholder(value: str) -> bool:
    """Return whether *value* stands for a secret that comes from elsewhere: empty, a variable, ``changeme``, a switch.

    A weak value that works as a secret (``password``, ``postgres``) is no placeholder.
    """
    text = value.strip().strip("\"'").strip()
    if len(text) > 400:  # nobody writes so long a one, but for what is computed
        return any(mark in text for mark in ("${", "$(", "{{"))
    return _STANDS_FOR.match(text) is not None


def password_in_url(value: str) -> str | None:
    """Return the password that a URL or a connection string holds, as written; None for none and a placeholder."""
    match = _URL_PASSWORD.match(value.strip().strip("\"'")) or _PARAMETER.search(value)
    password = match.group(1) if match else None
    return None if password is None or is_placeholder(password) else password


def secret_in(name: str, value: str) -> str | None:
    """Return the secret in ``name = value``: the whole value, or the password of a URL; None where there is none.

    *value* is without its quotes. A value of a well-known shape (an AWS key, a GitHub token, a private key) is a
    secret under any name but those of what browsers get.
    """
    text = value.strip()
    if name.startswith(_BROWSER):
        return None
    if _KNOWN.match(text):
        return text
    password = password_in_url(text)
    if password is not None:
        return password
    if not is_secret_name(name) or is_placeholder(text) or "://" in text or _PATH.match(text):
        return None
    return text


def secret_spans(text: str, *, code: bool = False) -> list[tuple[int, int]]:
    """Return where secrets stand in *text*, by their names or their shape: in any file, message or part of a diff.

    With *code* (Python and the like) only what stands in quotes counts as the value of a name: the rest computes it.
    """
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return []
    spans: set[tuple[int, int]] = set()
    named = [_ASSIGNMENT] if ":" in text or "=" in text else []
    named += [_DEFAULT] if "," in text else []
    if not code and any(sign in lower for sign in (": ", ":\t", "env ", "env\t")):
        named.append(_WHOLE_LINE)
    for expression in named:
        found = expression.finditer(text) if expression is _WHOLE_LINE else _searched(expression, text)
        for match in found:
            name = match["env"] or match["key"] if expression is _WHOLE_LINE else match["name"].rpartition(".")[2]
            if not is_secret_name(name):
                continue
            start, end = match.span("value")
            opened = re.match(r"[rbuRBU]{0,2}[\"']", match["value"])
            if opened is not None:
                start, end = start + opened.end(), end - 1
            elif code or re.match(r"[\w.]+[(\[]", match["value"]):
                continue
            value = text[start:end]
            if expression is _ASSIGNMENT and text.endswith("${", 0, match.start("name")):
                if value[:1] == "?":
                    continue  # ${NAME:?}: compose asks for it
                if value[:1] == "-":  # ${NAME:-value}: to the brace
                    start, end = start + 1, start + value.find("}") if "}" in value else end
                    value = text[start:end]
            if "://" not in value and value.strip() and secret_in(name, value) == value.strip():
                spans.add((start, end))
    shaped = [_URLS] if "://" in text else []
    shaped += [_PARAMETERS] if "pass" in lower or "pwd" in lower else []
    shaped += [_TOKENS] if any(start in text for start in _STARTS) else []
    shaped += [_KEY_BLOCK] if "-----BEGIN" in text else []
    for expression in shaped:
        for match in expression.finditer(text):
            if expression in (_TOKENS, _KEY_BLOCK) or not is_placeholder(match["value"]):
                spans.add(match.span("value"))
    return sorted(spans)


def _searched(expression: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches, those as well that begin behind the name of another one: ``instruction: TOKEN=...``."""
    match = expression.search(text)
    while match is not None:
        yield match
        match = expression.search(text, match.end("name"))
