"""What it costs to start and to diff one repository, as a multiple of starting Python itself.

Start-up is what a user of a command feels, and what a bot pays per repository. The limit is six times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

LIMIT: Final = 6.0
RUNS: Final = 20


def best(command: list[str], folder: str) -> float:
    """Return the shortest of some runs, in seconds."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print both times and their ratio; exit 1 above the limit."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text('FROM python:3.12-slim\nCMD ["python", "-V"]\n')
        bare = best([sys.executable, "-c", "pass"], folder)
        diff = best([sys.executable, "-c", "from dockfix.cli.main import main; main()", "--diff"], folder)
    print(f"python -c pass  {bare * 1000:6.1f} ms")
    print(f"dockfix --diff  {diff * 1000:6.1f} ms  ({diff / bare:.1f} times; limit {LIMIT:.0f})")
    sys.exit(diff > LIMIT * bare)


if __name__ == "__main__":
    main()
