"""``python -m dockfix.fleet.verify_process``: build and run what the chain made of one cloned repository.

Takes one request as JSON behind its length on standard input, and answers the same way. What the repository holds runs
in containers only. When standard input ends, whoever asked is gone: everything is tidied up and left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockfix.verify.session import Verified


def verify(
    root: str,
    dockerfiles: Sequence[str],
    settings: Mapping[str, Any],
    transforms: Sequence[str],
    containers: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the tables, and the result and the patch of the Dockerfiles whose images hold."""
    from dockfix.fleet.chain_process import request_of
    from dockfix.session import Repository
    from dockfix.verify.check import Limits
    from dockfix.verify.engine import EngineError
    from dockfix.verify.process import Interrupts
    from dockfix.verify.progress import Progress
    from dockfix.verify.result import Outcome
    from dockfix.verify.session import engine_for_a_run, verify_repository

    limits = Limits(
        timeout=containers["seconds"],
        wait=containers["wait"],
        memory=containers["memory"],
        build_network=containers["build_network"] or None,
        network=containers["network"],
    )
    with Interrupts() as interrupts, open(os.devnull, "w") as nowhere:
        try:
            with engine_for_a_run(containers["engine"] or None, interrupts) as engine:
                found = verify_repository(
                    engine,
                    Repository(root, "", tuple(dockerfiles)),
                    request_of(settings, transforms),
                    limits,
                    Progress(nowhere),
                    mend=True,
                    wanted=lambda one: one.outcome is Outcome.HOLDS,
                )
                return _answer(list(found))
        except EngineError as error:
            return {"error": str(error)}


def _answer(found: Sequence[Verified]) -> dict[str, Any]:
    from dockfix.changes import Change, diff
    from dockfix.report import as_json, verify_json
    from dockfix.report.mask import masked
    from dockfix.result import Result
    from dockfix.session import Outcome
    from dockfix.syntax.edit import encode
    from dockfix.verify.result import Outcome as Verdict

    holding = [one for one in found if one.outcome is Verdict.HOLDS]
    changes: dict[str, Change] = {}
    for one in holding:
        for change in one.changes:
            first = changes.get(change.path, change)
            changes[change.path] = Change(change.path, first.before, change.after)
    results = [one.result for one in found]
    merged = Result(
        before={path: change.before for path, change in changes.items()},
        after={path: change.after for path, change in changes.items()},
        fixes=tuple(done for one in holding for done in one.result.fixes),
        suggestions=tuple(done for result in results for done in result.suggestions),
        skips=tuple(skip for result in results for skip in result.skips),
        failures=tuple(failure for result in results for failure in result.failures),
    )
    written = tuple(changes.values())
    repository = found[0].repository
    keys = ("path", "outcome", "error", "notes", "rows", "left_out")
    tables = json.loads(verify_json.render(masked(found)))["dockerfiles"]
    return {
        "result": json.loads(as_json.render([Outcome(repository, written, merged)])),
        "patch": encode(diff(written)).decode("latin-1"),
        "verify": [{key: table[key] for key in keys} for table in tables if table["outcome"] != "unchanged"],
    }


def _end_with_whoever_asked() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Answer the request."""
    from dockfix.fleet.chain_process import read_message, write_message

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = read_message(sys.stdin.buffer)
    if request is None:
        return
    threading.Thread(target=_end_with_whoever_asked, daemon=True).start()
    try:
        found = verify(**json.loads(request))
    except KeyboardInterrupt:
        return
    write_message(answers, json.dumps(found).encode())
    os._exit(0)  # the thread still reads


if __name__ == "__main__":
    main()
