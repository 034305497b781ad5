"""The result as SARIF 2.1.0, which code scanning takes.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from dockfix.report.mask import mask_of
from dockfix.result import Failure
from dockfix.session import Outcome


def render(
    outcomes: Sequence[Outcome],
    failures: Iterable[Failure] = (),
    summaries: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return one SARIF document with a result for every fix, suggestion and refusal.

    *failures* are those of no repository; *summaries* says in a line what each transform does.
    """
    results: list[dict[str, object]] = []
    mask = mask_of(outcomes)
    errors: list[dict[str, object]] = [_error(mask.text(str(failure))) for failure in failures]
    for outcome in map(mask.outcome, outcomes):
        prefix, result = outcome.repository.prefix if len(outcomes) > 1 else "", outcome.result
        for done in result.fixes:
            message = ". ".join((done.title, *done.notes))
            results.append(_result(done.transform, "warning", message, prefix + done.path, done.line))
        for done in result.suggestions:
            message = ". ".join((done.title, *done.notes))
            results.append(_result(done.transform, "note", message, prefix + done.path, done.line))
        for skip in result.skips:
            results.append(_result(skip.transform, "note", f"left alone: {skip.reason}", prefix + skip.path, skip.line))
        errors += (_error(str(failure)) for failure in result.failures)
    run = {
        "tool": {"driver": {"name": "dockfix", "rules": _rules((str(item["ruleId"]) for item in results), summaries)}},
        "invocations": [{"executionSuccessful": not errors, "toolExecutionNotifications": errors}],
        "results": results,
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


def _error(text: str) -> dict[str, object]:
    return {"level": "error", "message": {"text": text}}


def _rules(names: Iterable[str], summaries: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {"id": name, "name": name, "shortDescription": {"text": summaries.get(name) or name}}
        for name in sorted(set(names))
    ]


def _result(rule: str, level: str, message: str, path: str, line: int) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": quote(path.encode("utf-8", "surrogateescape"))}}
    if line:
        location["region"] = {"startLine": line}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": message},
        "locations": [{"physicalLocation": location}],
    }
