"""The keys of a campaign file: which there are, what each may hold, and in which line a wrong one stands."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from dockfix.hints import did_you_mean

_NUMBER: Final = (int, float)
_KEYS: Final[Mapping[str, Mapping[str, type | tuple[type, ...]]]] = {
    "": {
        "name": str,
        "title": str,
        "body": str,
        "branch": str,
        "labels": list,
        "reviewers": list,
        "draft": bool,
        "author": str,
        "verify": bool,
    },
    "forge": {"kind": str, "url": str, "clone-url": str, "token-env": str, "token-file": str},
    "repositories": {"list": list, "file": str, "organisation": str, "exclude": list},
    "chain": {"select": list, "ignore": list, "safe-only": bool, "transforms": list, "options": dict},
    "containers": {
        "engine": str,
        "build-network": str,
        "network": str,
        "memory": str,
        "seconds": _NUMBER,
        "wait": _NUMBER,
    },
    "limits": {
        "run": int,
        "hour": int,
        "repository": int,
        "trial": int,
        "pause": _NUMBER,
        "back-off": _NUMBER,
        "seconds": _NUMBER,
        "megabytes": _NUMBER,
    },
}
_KINDS: Final[Mapping[object, str]] = {
    str: "a text",
    list: "a list of texts",
    bool: "true or false",
    dict: "a table",
    int: "a whole number",
    _NUMBER: "a number",
}
_NEVER_NOTHING: Final = ("seconds", "megabytes")
"""Where 0 would let no repository through."""
_TOKENS: Final = re.compile(r"gh[a-z]_\w+|github_pat_\w+|gl[a-z]{2,6}-[\w-]+", re.IGNORECASE)
"""https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github,
https://docs.gitlab.com/security/tokens/#token-prefixes"""
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")
_VALUES: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "forge.kind": (lambda value: value in ("github", "gitlab"), "must be one of github, gitlab"),
    "forge.url": (re.compile(r"(?i)https?://[^/]").match, "must begin with https:// or http://"),
    "forge.clone-url": (re.compile(r"(?i)(?:https?://[^/]|file:///)").match, "must begin with https:// or http://"),
    "forge.token-env": (re.compile(r"[A-Za-z_]\w*\Z", re.ASCII).match, "is no name of a variable"),
    "containers.engine": (lambda value: value in ("docker", "podman"), "must be one of docker, podman"),
    "containers.memory": (re.compile(r"\d+(?:\.\d+)?[bkmg]?\Z", re.IGNORECASE).match, "must be like 2g or 512m"),
}


class BadKey(Exception):
    """A key of the campaign file is wrong. ``key`` is its whole name, such as limits.run, where it has one."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def check(table: Mapping[str, Any]) -> None:
    """Raise ``BadKey`` where a key does not exist or holds what it cannot mean."""
    for key, value in table.items():
        if key in _KEYS and key:
            if not isinstance(value, dict):
                raise BadKey(f"{key} must be a table, [{key}]", key)
            for inner, item in value.items():
                _check_value(_KEYS[key], inner, item, f"{key}.")
        else:
            _check_value(_KEYS[""], key, value, "")


def without_credentials(text: str) -> str:
    """Return an address without the name and the password in it."""
    return _CREDENTIALS.sub("***@", text)


def _check_value(keys: Mapping[str, type | tuple[type, ...]], key: str, value: object, prefix: str) -> None:
    whole = f"{prefix}{key}"
    if key not in keys:
        there = [*keys, *(() if prefix else (name for name in _KEYS if name))]
        raise BadKey(f"unknown key: {whole}{did_you_mean(key, there)}; there are: {', '.join(there)}", whole)
    wanted = keys[key]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise BadKey(f"{whole} must be {_KINDS[wanted]}", whole)
    if isinstance(value, list):
        _check_texts(value, whole)
    if key == "options" and isinstance(value, dict) and not all(isinstance(item, dict) for item in value.values()):
        raise BadKey("chain.options must hold a table for each transform", whole)
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value, key, whole)
    if isinstance(value, str):
        _check_text(value, whole)


def _check_texts(value: Iterable[object], whole: str) -> None:
    for item in value:
        if not isinstance(item, str):
            raise BadKey(f"{whole} must be a list of texts", whole)
        if not item.strip():
            raise BadKey(f"{whole} holds an empty text", whole)


def _check_number(value: float, key: str, whole: str) -> None:
    if not math.isfinite(value):
        raise BadKey(f"{whole} must be a number with an end", whole)
    if value < 0:
        raise BadKey(f"{whole} must not be negative", whole)
    if not value and key in _NEVER_NOTHING:
        raise BadKey(f"{whole} must be more than 0", whole)


def _check_text(value: str, whole: str) -> None:
    if whole in ("forge.url", "forge.clone-url") and "@" in value:
        raise BadKey(f"{whole} holds credentials; name a variable in forge.token-env, or forge.token-file", whole)
    if whole.startswith("forge.token") and _TOKENS.fullmatch(value):
        raise BadKey(f"{whole} holds a token; it must name the variable or the file that holds one", whole)
    fits, otherwise = _VALUES.get(whole, (None, ""))
    if fits is not None and not fits(value):
        raise BadKey(f"{whole} {otherwise}", whole)
