"""Run a stage of a campaign as a process of its own, and kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from forge_server import TOKEN, Sent

_COMMAND = (sys.executable, "-c", "from dockfix.cli.main import main; main()", "fleet")


def start(*arguments: str, said: Path | None = None) -> subprocess.Popen[bytes]:
    """Start ``dockfix fleet`` in a process group of its own; what it says goes to the file *said*."""
    environment = {**os.environ, "FLEET_TOKEN": TOKEN}
    with open(said or os.devnull, "ab") as stream:
        return subprocess.Popen(
            [*_COMMAND, *arguments], stdout=stream, stderr=stream, env=environment, start_new_session=True
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started, as when the machine is switched off."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def killed_again_and_again(command: Callable[[], subprocess.Popen[bytes]], moments: Iterable[float]) -> tuple[int, int]:
    """Start the command, kill it after each of *moments* (seconds), and at last let it end.

    Return how many of the runs were killed, and the exit status of the last.
    """
    kills = 0
    for moment in moments:
        process = command()
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            time.sleep(0.05)  # what the forge was just about to do is done
    return kills, command().wait()


def repeated(sent: Iterable[Sent]) -> dict[str, int]:
    """Return the requests that created something more than once."""
    counts = Counter(f"{one.method} {one.path} {sorted(one.body) if one.body else ''}" for one in sent)
    return {request: count for request, count in counts.items() if count > 1}
