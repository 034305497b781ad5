"""What `dockfix verify` found, as JSON: stable and versioned. docs/verify.md describes every field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dockfix.verify.build import Built
    from dockfix.verify.result import Side
    from dockfix.verify.run import Observation
    from dockfix.verify.session import Verified

VERSION: Final = 1


def render(verified: Sequence[Verified], *, written: frozenset[str] = frozenset()) -> str:
    """Return one JSON document. *written* are the Dockerfiles, as seen from here, whose changes were written."""
    document = {"version": VERSION, "dockerfiles": [_one(one, written) for one in verified]}
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _one(verified: Verified, written: frozenset[str]) -> dict[str, Any]:
    path = verified.repository.prefix + verified.dockerfile
    return {
        "path": path,
        "outcome": verified.outcome.value,
        "written": path in written,
        "error": verified.error,
        "notes": list(verified.notes),
        "rows": [
            {
                "what": row.what,
                "before": row.before,
                "after": row.after,
                "verdict": row.verdict.value,
                "details": list(row.details),
            }
            for row in verified.rows
        ],
        "transforms": list(dict.fromkeys(done.transform for done in verified.result.fixes)),
        "fixes": [
            {
                "transform": done.transform,
                "title": done.title,
                "safety": done.safety.value,
                "path": done.path,
                "line": done.line,
                "notes": list(done.notes),
            }
            for done in verified.result.fixes
        ],
        "left_out": [{"transform": one.transform, "evidence": list(one.evidence)} for one in verified.left_out],
        "changed_files": [change.path for change in verified.changes],
        "before": _side(verified.before),
        "after": _side(verified.after),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    image = side.image
    return {
        "build": _built(side.built),
        "rebuild": _built(side.rebuilt),
        "touched": side.plan.touched,
        "size": image.size if image else None,
        "layers": [{"made_by": made, "size": size} for made, size in image.layers] if image else [],
        "packages": {name: package.version for name, package in image.packages.items()}
        if image and image.packages is not None
        else None,
        "runs": [_run(one) for one in side.runs],
    }


def _built(built: Built | None) -> dict[str, Any] | None:
    if built is None:
        return None
    return {
        "ok": built.image is not None,
        "seconds": round(built.seconds, 2),
        "steps": len(built.steps),
        "cached": built.cached,
        "failed_step": built.failed.text if built.failed else None,
        "log": list(built.ending),
    }


def _run(run: Observation) -> dict[str, Any]:
    return {
        "running": run.running,
        "exit_status": run.code,
        "refused": run.refused,
        "out_of_memory": run.out_of_memory,
        "ports": [{"port": port, "loopback_only": local} for port, local in run.ports],
        "asked_port": run.asked,
        "seconds_to_listen": None if run.seconds is None else round(run.seconds, 2),
        "answers": [
            {
                route: {"status": answer.status, "type": answer.type, "error": answer.error}
                for route, answer in one.items()
            }
            for one in run.rounds
        ],
        "healthy": run.healthy,
        "health_said": list(run.ailing),
        "log": list(run.log),
    }
