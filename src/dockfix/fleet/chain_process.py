"""``python -m dockfix.fleet.chain_process``: the chain over one cloned repository, in a process with limits of its own.

Takes a request as JSON on standard input and answers with JSON on standard output. What the repository holds may crash
or exhaust this process, and nothing else. The environment holds no token.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

_MEMORY: Final = 3_000_000_000


def run_chain(
    root: str, dockerfiles: Sequence[str], settings: Mapping[str, Any], transforms: Sequence[str]
) -> dict[str, Any]:
    """Return the result as the JSON format has it, the patch, and what its transforms say of themselves."""
    from dockfix.changes import diff
    from dockfix.report import as_json
    from dockfix.session import Repository, Request, run_one
    from dockfix.syntax.edit import encode

    request = Request(
        tuple(settings["select"]),
        tuple(settings["ignore"]),
        settings["safe_only"],
        tuple(transforms),
        options=settings["options"],
    )
    outcome = run_one(Repository(root, "", tuple(dockerfiles)), request)
    return {
        "result": json.loads(as_json.render([outcome])),
        "patch": encode(diff(outcome.changes)).decode("latin-1"),
        "about": _about({done.transform for done in outcome.result.fixes}, tuple(transforms)),
    }


def _about(names: set[str], files: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the summary and the reason (``Why:``) of each transform."""
    from dockfix.registry import load_transforms

    found = {}
    for item in load_transforms(files) if names else ():
        if item.name in names:
            _, _, why = item.documentation.partition("\nWhy:")
            found[item.name] = {"summary": item.summary, "why": " ".join(why.split("\n\n")[0].split())}
    return found


def _limit(seconds: float) -> None:
    import resource
    import signal

    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    signal.alarm(int(seconds) + 1)


def main() -> None:
    """Answer the request."""
    answer = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # a transform that prints does not spoil the answer
    sys.dont_write_bytecode = True
    request = json.load(sys.stdin)
    _limit(request.pop("seconds"))
    try:
        found = run_chain(**request)
    except MemoryError:
        found = {"error": "needed more memory than the chain may have"}
    with answer:
        json.dump(found, answer)


if __name__ == "__main__":
    main()
