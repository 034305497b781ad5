"""Prove what dockfix does to whole repositories: build and run each image before and after, and sum up.

    python benchmarks/verify.py FOLDER [--results FILE] [--limit SECONDS] [-- OPTION...]

FOLDER holds repositories, one a folder; each is copied, and `dockfix verify --write` runs in the copy with the OPTIONs
(such as `--build-network host`). It needs a container engine. What each Dockerfile came to is appended to the results
file, one JSON document a line; a repository that has a line there is not done again. The table shows the Dockerfiles
that build before, then medians with quartiles. Exit status 1 if an image that was written is worse than before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def verify(repository: Path, options: Sequence[str], limit: float) -> dict[str, Any]:
    """Run the command in a copy of the repository and return its result."""
    with tempfile.TemporaryDirectory() as scratch:
        copy, output = Path(scratch, repository.name), Path(scratch, "result.json")
        shutil.copytree(repository, copy, symlinks=True)
        command = [sys.executable, "-m", "dockfix", "verify", "--write", "--keep-going", "--format", "json"]
        process = subprocess.Popen(
            [*command, "--output", str(output), *options, "."],
            cwd=copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.terminate()  # it tidies up
            said, _ = process.communicate()
        result: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"dockerfiles": []}
        lines = said.decode(errors="replace").splitlines()
        wrong = [line for line in lines if "Traceback" in line or "not removed" in line]
        return {
            **result,
            "repository": repository.name,
            "status": process.returncode,
            "wrong": wrong,
            "said": lines[-3:],
        }


def pairs(dockerfiles: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], float, float, float, float]]:
    """Return size and rebuild time, before and after, of those that have both."""
    found = []
    for one in dockerfiles:
        before, after = one["before"], one["after"]
        if before and after and before["size"] and after["size"] and before["rebuild"] and after["rebuild"]:
            sizes = (before["size"] / 1e6, after["size"] / 1e6)
            found.append((one, *sizes, before["rebuild"]["seconds"], after["rebuild"]["seconds"]))
    return found


def spread(values: Sequence[float]) -> str:
    """Return the median, with the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def report(results: Sequence[dict[str, Any]]) -> int:
    """Print the table; return how many written images are worse."""
    dockerfiles = [{**one, "repository": result["repository"]} for result in results for one in result["dockerfiles"]]
    measured = pairs(dockerfiles)
    for one, size_before, size_after, before, after in sorted(measured, key=lambda row: str(row[0]["repository"])):
        left = f"  without {', '.join(item['transform'] for item in one['left_out'])}" if one["left_out"] else ""
        name = f"{one['repository']}/{one['path']}"
        print(f"{name[:60]:60} {one['outcome']:10} {size_before:7.0f} {size_after:7.0f} MB  ", end="")
        print(f"{before:6.1f} {after:6.1f} s{left}")
    outcomes = Counter(one["outcome"] for one in dockerfiles)
    built = [one for one in dockerfiles if one["before"] and one["before"]["build"]["ok"]]
    print(
        f"\nrepositories: {len(results)}; Dockerfiles: {len(dockerfiles)}; of those that were built, {len(built)} build"
    )
    print("outcomes: " + "; ".join(f"{name}: {count}" for name, count in outcomes.most_common()))
    if measured:
        print(f"size before, MB: {spread([row[1] for row in measured])}; after: {spread([row[2] for row in measured])}")
        print(f"size, change in %: {spread([(row[2] / row[1] - 1) * 100 for row in measured])}")
        print(
            f"rebuild before, s: {spread([row[3] for row in measured])}; after: {spread([row[4] for row in measured])}"
        )
        print(f"rebuild, change in %: {spread([(row[4] / row[3] - 1) * 100 for row in measured if row[3]])}")
    for result in results:
        for line in result["wrong"]:
            print(f"{result['repository']}: {line}")
    return sum(one["written"] and one["outcome"] == "worse" for one in dockerfiles)


def main() -> int:
    """Verify all repositories of the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, default=Path("verify-results.jsonl"))
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds for one repository")
    parser.add_argument("--names", nargs="*", help="only these repositories")
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    given = parser.parse_args(own)
    results = [json.loads(line) for line in given.results.read_text().splitlines()] if given.results.exists() else []
    done = {result["repository"] for result in results}
    for repository in sorted(path for path in given.folder.iterdir() if path.is_dir()):
        if repository.name in done or (given.names and repository.name not in given.names):
            continue
        result = verify(repository, options, given.limit)
        results.append(result)
        with given.results.open("a") as file:
            print(json.dumps(result), file=file)
        outcomes = Counter(one["outcome"] for one in result["dockerfiles"])
        print(f"{repository.name}: status {result['status']}, {dict(outcomes)}", file=sys.stderr, flush=True)
    return 1 if report(results) else 0


if __name__ == "__main__":
    sys.exit(main())
