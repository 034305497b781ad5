"""What dockfix costs, as ratios that are measured side by side in one run.

    python benchmarks/speed.py

start   starting and diffing one repository, as a multiple of starting Python itself; users of a command feel it, and
        bots pay it for every repository
growth  a line of a Dockerfile of 10,000 lines, as a multiple of a line of one of 100 lines
memory  what is resident after 3,000 Dockerfiles, in MB
jobs    3,000 Dockerfiles with a process a core, as a multiple of one process
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

RUNS: Final = 20
MANY: Final = 3000
START: Final = "from dockfix.cli.main import main; main()"
DOCKERFILE: Final = """\
FROM python:3.12
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
CMD ["python", "app.py"]
"""
APPLICATION: Final = """\
from flask import Flask

app = Flask(__name__)

if __name__ == "__main__":
    app.run(host="0.0.0.0")
"""


def seconds(command: list[str], folder: str, runs: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the shortest of some runs, in seconds."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(runs):
        start = clock()
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode not in (0, 1):  # 1: there are changes that are not written
            sys.exit(f"{' '.join(command)}: exit status {done.returncode}")
        times.append(clock() - start)
    return min(times)


def cpu() -> float:
    """Return the CPU seconds of the processes that were started so far: they tell the same on a busy machine."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def service(folder: Path) -> None:
    """Write a small Flask application into *folder*."""
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.txt").write_text("flask==3.1.0\n")
    (folder / "app.py").write_text(APPLICATION)


def start(folder: Path) -> float:
    """Return what starting and diffing costs, as a multiple of a bare interpreter."""
    service(folder)
    bare = seconds([sys.executable, "-c", "pass"], str(folder), RUNS, cpu)
    click = seconds([sys.executable, "-c", "import click"], str(folder), RUNS, cpu)
    diff = seconds([sys.executable, "-c", START, "--diff"], str(folder), RUNS, cpu)
    print(f"start   {diff / bare:6.1f} times a bare interpreter (importing click alone: {click / bare:.1f}); limit 6")
    return diff / bare


def chain_seconds(text: str) -> float:
    """Return the CPU seconds that the chain needs for a Dockerfile."""
    from dockfix.registry import load_transforms
    from dockfix.testing import try_transforms

    transforms = load_transforms(())
    times = []
    for _ in range(3):
        before = time.process_time()
        try_transforms(transforms, {"Dockerfile": text, "requirements.txt": "flask==3.1.0\n"})
        times.append(time.process_time() - before)
    return min(times)


def growth() -> float:
    """Return what a line of a long Dockerfile costs, as a multiple of a line of a short one."""

    def dockerfile(lines: int) -> str:
        body = [
            f"RUN apt-get update && apt-get install -y tool{number} \\\n    && pip install lib{number}"
            for number in range(lines // 2)
        ]
        return "\n".join(["FROM python:3.12", *body, 'CMD ["python", "app.py"]', ""])

    gc.set_threshold(50_000, 20, 20)  # as the command does
    chain_seconds(dockerfile(100))
    short, long = chain_seconds(dockerfile(100)) / 100, chain_seconds(dockerfile(10_000)) / 10_000
    print(f"growth  {long / short:6.2f} times a line of a short file; limit 1")
    return long / short


def many(folder: Path) -> tuple[float, float]:
    """Return the megabytes that are resident for many Dockerfiles, and what one process a core takes."""
    for number in range(MANY):
        service(folder / f"service-{number:04}")
    one = seconds([sys.executable, "-c", START, "--diff", "--jobs", "1"], str(folder), 1)
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    all_cores = seconds([sys.executable, "-c", START, "--diff", "--jobs", "0"], str(folder), 1)
    print(f"memory  {megabytes:6.0f} MB for {MANY:,} Dockerfiles that all change; limit 100")
    print(f"jobs    {all_cores / one:6.2f} times one process, on {os.cpu_count()} cores")
    return megabytes, all_cores / one


def main() -> None:
    """Print the ratios; exit 1 where one is above its limit."""
    with tempfile.TemporaryDirectory() as folder:
        started = start(Path(folder, "one"))
        grown = growth()
        megabytes, _ = many(Path(folder, "many"))
    sys.exit(started > 6 or grown > 1.1 or megabytes > 100)


if __name__ == "__main__":
    main()
