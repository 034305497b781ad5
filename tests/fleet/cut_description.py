"""Cut an OpenAPI description down to some of its paths and what they refer to: the whole one takes a minute to read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def cut(description: dict[str, Any], paths: Collection[str]) -> dict[str, Any]:
    """Return the part of *description* that *paths* need. Raises ``KeyError`` for a path that it does not have."""
    wanted = {path: description["paths"][path] for path in paths}
    components: dict[str, dict[str, Any]] = {}
    pending: list[Any] = [wanted]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            pending += one.values()
            reference = one.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/components/"):
                _, _, kind, name = reference.split("/")
                if name not in components.setdefault(kind, {}):
                    components[kind][name] = description["components"][kind][name]
                    pending.append(components[kind][name])
    kept = {
        key: value for key, value in description.items() if key not in ("paths", "components", "webhooks", "x-webhooks")
    }
    return {**kept, "servers": [{"url": "/"}], "paths": wanted, "components": components}
