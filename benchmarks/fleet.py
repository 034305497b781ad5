"""Measure `dockfix fleet` on local repositories, against what git and the chain cost by themselves.

Repositories are made in a scratch folder: small applications of a few shapes, with some files beside them. Measured in
one run on one machine: cloning each with plain git and running the chain over each in one warm process; the plan; the
second plan; the memory of plans of different size; how many pushes and requests are sent twice when the publisher is
killed at 20 random moments. Exits with 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests" / "fleet"
APP = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef index():\n    return 'hello'\n"
DOCKERFILES = [
    "FROM python:3.11\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nEXPOSE 5000\n"
    'CMD ["flask", "run", "--host=0.0.0.0"]\n',
    "FROM python:3.12-slim\nRUN apt-get update && apt-get install -y gcc\nCOPY . /srv\nWORKDIR /srv\n"
    "RUN pip install -r requirements.txt\nCMD python app.py\n",
    "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm install\nCMD npm start\n",
    'FROM alpine:3.20\nRUN apk add curl\nENTRYPOINT ["curl"]\n',
]


def make(folder: Path, count: int, files: int) -> list[Path]:
    """Make *count* bare repositories, each with *files* files beside its application."""
    chance = random.Random(1)
    made = []
    for number in range(count):
        content = {
            "Dockerfile": DOCKERFILES[number % len(DOCKERFILES)],
            "app.py": APP,
            "requirements.txt": "flask==3.1.0\nrequests>=2\n",
            "package.json": '{"scripts": {"start": "node index.js"}}\n',
            ".gitignore": "__pycache__/\n*.pyc\n",
            "docker-compose.yml": "services:\n  web:\n    build: .\n    ports: ['5000:5000']\n",
        }
        for index in range(files):
            lines = (f"value_{line} = {chance.random()}\n" for line in range(60))
            content[f"package_{index % 7}/module_{index}.py"] = "".join(lines)
        stream = ["commit refs/heads/main", "committer A <a@example.com> 0 +0000", "data 1", "x"]
        for path, text in content.items():
            stream += [f"M 100644 inline {path}", f"data {len(text.encode())}", text]
        bare = folder / f"repository-{number}.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", bare], check=True)
        subprocess.run(["git", "-C", bare, "fast-import", "--quiet"], input="\n".join(stream).encode(), check=True)
        made.append(bare)
    return made


def used() -> float:
    """Return the seconds of processor time that this process and those that it started have used."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def alone(repositories: list[Path], scratch: Path) -> tuple[float, float]:
    """Return the seconds of cloning all with plain git, and of the chain over all of them in one warm process."""
    start = time.monotonic()
    for bare in repositories:
        clone = ["git", "clone", "--quiet", "--depth=1", f"file://{bare}", str(scratch / bare.stem)]
        subprocess.run(clone, check=True)
    cloned = time.monotonic() - start
    from dockfix.session import Request, find_repositories, run_one

    request = Request()
    found, _ = find_repositories([str(scratch / repositories[0].stem)])
    run_one(found[0], request)
    seconds = 0.0
    for bare in repositories:
        found, _ = find_repositories([str(scratch / bare.stem)])
        start = time.monotonic()
        for one in found:
            run_one(one, request)
        seconds += time.monotonic() - start
    return cloned, seconds


def plan(repositories: list[Path], folder: Path, name: str) -> tuple[float, float]:
    """Plan in a process of its own; return its seconds and the most memory that it had, in MB."""
    campaign = folder / f"{name}.toml"
    listed = ", ".join(f'"{bare}"' for bare in repositories)
    campaign.write_text(f'name = "bench"\ntitle = "A benchmark"\n[repositories]\nlist = [{listed}]\n')
    code = (
        "import resource, sys, time\n"
        "from dockfix.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "fleet", "plan", str(campaign)], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, int(done.stderr.split()[-1]) / 1000


def killed(folder: Path, kills: int) -> tuple[int, int]:
    """Publish to a forge of our own and kill the publisher at random moments, until it was killed *kills* times.

    Return how many runs were killed, and how many pushes and requests were sent more than once.
    """
    sys.path.insert(0, str(TESTS))
    from forge_server import TOKEN, serving
    from killing import killed_again_and_again, repeated, start

    os.environ["FLEET_TOKEN"] = TOKEN
    chance = random.Random(20)
    count = twice = campaigns = 0
    while count < kills:
        campaigns += 1
        root = folder / f"killed-{campaigns}"
        with serving(root / "forge") as forge:
            names = [f"acme/r{number}" for number in range(12)]
            for name in names:
                forge.add(name, {"Dockerfile": "FROM python:3.11\nRUN pip install flask\n"})
            campaign = root / "campaign.toml"
            listed = ", ".join(f'"{name}"' for name in names)
            campaign.write_text(
                f'name = "bench"\ntitle = "A benchmark"\nlabels = ["a"]\nreviewers = ["ada"]\n'
                f'[forge]\nurl = "{forge.address}/api/v3"\ntoken-env = "FLEET_TOKEN"\n'
                f"[repositories]\nlist = [{listed}]\n[limits]\ntrial = 0\npause = 0\nback-off = 0.01\n"
            )
            start("plan", str(campaign)).wait()
            moments = [chance.uniform(0.2, 1.5) for _ in range(kills - count)]
            more, status = killed_again_and_again(partial(start, "publish", str(campaign)), moments)
            count += more
            opened = sum(len(repo.pulls) for repo in forge.repos.values())
            twice += len(repeated(forge.creating())) + (status != 0) + abs(opened - len(names))
    return count, twice


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="repositories")
    parser.add_argument("--files", type=int, default=60, help="files in each, beside the application")
    parser.add_argument("--kills", type=int, default=20, help="moments at which the publisher is killed")
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    failures = []

    def check(what: str, value: float, most: float) -> None:
        print(f"{what}: {value:.2f} (at most {most:g})", flush=True)
        if value > most:
            failures.append(what)

    with tempfile.TemporaryDirectory(prefix="dockfix-bench-") as name:
        folder = Path(name)
        repositories = make(folder, arguments.count, arguments.files)
        (folder / "clones").mkdir()
        before = used()
        cloned, chained = alone(repositories, folder / "clones")
        between = used()
        print(f"{arguments.count} repositories on {cores} cores: git clone {cloned:.1f} s, chain {chained:.1f} s")
        first, memory = plan(repositories, folder, "all")
        work = (used() - between) / (between - before)
        print(f"plan, processor time, times that of clone and chain: {work:.2f}; load {os.getloadavg()[0]:.1f}")
        check(f"plan ({first:.1f} s), times the sum divided by the cores", first / ((cloned + chained) / cores), 1.5)
        second, _ = plan(repositories, folder, "all")
        check(f"second plan ({second:.2f} s), share of the first", second / first, 1 / 20)
        _, fewer = plan(repositories[: max(1, arguments.count // 10)], folder, "some")
        check(f"memory ({memory:.0f} MB), times that of a tenth of the repositories", memory / fewer, 1.15)
        count, twice = killed(folder, arguments.kills)
        check(f"pushes and requests sent twice, or lost, in {count} kills", twice, 0)
    sys.exit(f"too much: {'; '.join(failures)}" if failures else 0)


if __name__ == "__main__":
    main()
