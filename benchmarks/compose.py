"""Check the transforms of compose files on every compose file below a folder.

    python benchmarks/compose.py FOLDER [--diffs FILE] [--select NAME,...]

Each file is tried alone, beside a Dockerfile, with one more service that is built from it. What the transforms leave
must say the same as before but for what they are about, keep every comment, and stay as it is in a second run. Nothing
in FOLDER is written. Exit status 1 if one of this does not hold.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from dockfix.registry import load_transforms
from dockfix.syntax.edit import apply_edits, decode
from dockfix.syntax.yaml_edit import add_key
from dockfix.testing import try_transforms

NAMES = ("compose-obsolete-version", "compose-healthy-dependencies", "compose-secrets", "migrations-out-of-start")
DOCKERFILE = 'FROM python:3.12-slim\nCOPY . /app\nCMD ["python", "/app/main.py"]\n'
VARIABLE = re.compile(r"\$\{\w+:\?\}")


def differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Return where the two say different things in a way that no transform means."""
    place = ".".join(path)
    if before == after or path == ("version",):
        return []
    if isinstance(after, str) and VARIABLE.search(after):
        around = [re.escape(part) for part in VARIABLE.split(after)]
        return [] if re.fullmatch(".+".join(around), str(before), re.DOTALL) else [f"{place}: {before!r} is {after!r}"]
    if path[-1:] == ("depends_on",) and isinstance(before, list) and isinstance(after, dict):
        return [] if set(before) <= set(after) else [f"{place}: {before!r} is {after!r}"]
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in {**before, **after}:
            new = key not in before and (key in ("healthcheck", "depends_on") or path == ("services",))
            gone = key not in after and key == "version" and not path
            if not new and not gone:
                found += differences(before.get(key), after.get(key), (*path, str(key)))
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            text
            for number, pair in enumerate(zip(before, after, strict=True))
            for text in differences(*pair, (*path, str(number)))
        ]
    return [f"{place}: {before!r} is {after!r}"]


def comments(text: str) -> Counter[str]:
    """Return what follows ``#`` on each line."""
    return Counter(line.partition(" #")[2].strip() for line in text.splitlines() if " #" in f" {line}")


def main() -> int:
    """Run the check over all compose files of the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--diffs", type=Path, help="write the differences to this file")
    parser.add_argument("--select", default=",".join(NAMES))
    options = parser.parse_args()
    transforms = [one for one in load_transforms() if one.name in options.select.split(",")]
    counts: Counter[str] = Counter()
    shown: list[str] = []
    wrong = 0
    for path in sorted(options.folder.rglob("*compose*.y*ml")):
        if not path.is_file():
            continue
        counts["files"] += 1
        text = decode(path.read_bytes())
        edits = add_key(text, ("services",), "probe", {"build": "."})
        if edits is None:
            counts["cannot be extended"] += 1
            continue
        before = apply_edits(text, edits)
        after, result = try_transforms(transforms, {"Dockerfile": DOCKERFILE, path.name: before})
        again, _ = try_transforms(transforms, after)
        complaints = [str(failure) for failure in result.failures]
        if after[path.name] != before:
            counts["changed"] += 1
            complaints += differences(yaml.safe_load(before), yaml.safe_load(after[path.name]))
            if comments(before) - comments(after[path.name]):
                complaints.append("a comment is lost")
        if again != after:
            complaints.append("a second run changes more")
        counts.update(done.transform for done in result.fixes)
        counts["refused"] += len(result.skips)
        for name in sorted(after):
            old, new = before if name == path.name else "", after[name]
            if name != "Dockerfile" and old != new:
                shown += [f"\n######## {path}\n"] if name == path.name else []
                shown += difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, name, n=2)
        for done in result.fixes:
            shown.append(f"  fix: {done.title} | {' | '.join(done.notes)}\n")
        for skip in result.skips:
            shown.append(f"  refused: {path}:{skip.line}: {skip.transform}: {skip.reason}\n")
        for complaint in complaints:
            wrong += 1
            print(f"{path}: {complaint}")
    if options.diffs:
        options.diffs.write_text("".join(shown), encoding="utf-8", errors="surrogateescape")
    print("; ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"violations: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
