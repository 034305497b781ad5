"""Check dockfix on whole repositories: what it writes, what its patch says, and that a second run is quiet.

    python benchmarks/repositories.py FOLDER [--diffs FILE]

FOLDER holds repositories, one a folder. Each is copied twice: ``--write`` in one copy and ``git apply`` of
``--format patch`` in the other must give the same files, and a second run must find nothing to change. Nothing in
FOLDER itself is written. Exit status 1 if one of this does not hold.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path


def dockfix(folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "dockfix", *options, "."], cwd=folder, capture_output=True, check=False, timeout=600
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below *folder*, but for .git."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".git" not in path.relative_to(folder).parts
    }


def check(repository: Path, counts: Counter[str], diffs: list[bytes]) -> list[str]:
    """Return what does not hold for *repository*."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        written, patched = Path(scratch, "written"), Path(scratch, "patched")
        shutil.copytree(repository, written, symlinks=True)
        shutil.copytree(repository, patched, symlinks=True)
        shown = dockfix(patched, "--diff")
        patch = dockfix(patched, "--diff", "--format", "patch")
        result = json.loads(dockfix(patched, "--diff", "--format", "json").stdout)
        for fix in result["fixes"]:
            counts[fix["transform"]] += 1
        counts["refused"] += len(result["skips"])
        wrong += [f"{error['path']}: {error['message']}" for error in result["errors"] if error.get("transform")]
        diffs += [b"\n######## ", repository.name.encode(), b"\n", shown.stdout]
        if b"Traceback" in shown.stderr + patch.stderr:
            wrong.append("a traceback")
        if patch.stdout:
            applied = subprocess.run(
                ["git", "apply", "--whitespace=nowarn", "-"], cwd=patched, input=patch.stdout, capture_output=True
            )
            if applied.returncode:
                wrong.append(f"the patch does not apply: {applied.stderr.decode(errors='replace').strip()[:200]}")
        dockfix(written, "--write")
        if tree(written) != tree(patched):
            wrong.append("--write and the patch give different files")
        if dockfix(written, "--diff", "--format", "patch").stdout:
            wrong.append("a second run changes more")
    return wrong


def main() -> int:
    """Run the check over all repositories of the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--diffs", type=Path, help="write what `dockfix --diff` shows for each repository to this file")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    diffs: list[bytes] = []
    failures = 0
    repositories = sorted(path for path in options.folder.iterdir() if path.is_dir())
    for repository in repositories:
        for message in check(repository, counts, diffs):
            failures += 1
            print(f"{repository.name}: {message}")
    if options.diffs:
        options.diffs.write_bytes(b"".join(diffs))
    print(
        f"repositories: {len(repositories)}; " + "; ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    )
    print(f"violations: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
