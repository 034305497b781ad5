"""Processes that do what may go wrong, from the side of those who ask them; and one that has the chain loaded."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from dockfix.fleet.git import clean_environment
from dockfix.fleet.stopping import STOPPED

_LATE: Final = "took longer than limits.seconds allows"
_LATE_SIGNALS: Final = frozenset({signal.SIGALRM, signal.SIGXCPU})
_POLL: Final = 0.5
_TIDY: Final = 60.0
"""Seconds for what an engine has to remove."""
_GRACE: Final = 20.0
"""Seconds beyond the limit: what loading the chain may take the first time, on a busy machine."""


class Process:
    """A process that answers requests; it ends with the object, or with this process.

    *module* is what it runs, *folder* where its own folder is made, *environment* what it sees beside a clean one.
    """

    def __init__(self, module: str, folder: str | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._home = tempfile.mkdtemp(prefix="dockfix-", dir=folder)
        self._broken = False
        path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry) and os.path.exists(entry))
        self._complaint = os.path.join(self._home, "complaint")
        with open(self._complaint, "wb") as complaint:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaint,
                env={**clean_environment(self._home), "PYTHONPATH": path, "PYTHONUTF8": "1", **(environment or {})},
                cwd=self._home,
                bufsize=0,
                start_new_session=True,
            )

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | str:
        """Return the answer to a request, or what went wrong; after *seconds* and some more it is given up."""
        data = json.dumps(request).encode()
        deadline = time.monotonic() + seconds + _GRACE
        try:
            self._write(len(data).to_bytes(8, "big") + data)
            answer = json.loads(self._read(int.from_bytes(self._read(8, deadline), "big"), deadline))
        except TimeoutError:
            self._broken = True
            return _LATE
        except OSError:
            self._broken = True
            return f"the chain stopped: {self._last_line() or 'its process ended'}"
        if "ended" in answer:
            return _ending(answer["ended"])
        found: dict[str, Any] | str = answer.get("error") or answer
        return found

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) :]

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while len(data) < size:
                left = deadline - time.monotonic()
                if left <= 0 or STOPPED.is_set():
                    raise TimeoutError
                if not selector.select(min(_POLL, left)):
                    continue
                piece = os.read(self._process.stdout.fileno(), min(size - len(data), 1 << 20))
                if not piece:
                    raise BrokenPipeError
                data += piece
        return bytes(data)

    def _last_line(self) -> str:
        with open(self._complaint, encoding="utf-8", errors="replace") as file:
            lines = file.read(100_000).strip().splitlines()
        return lines[-1][:300] if lines else ""

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._broken or self._process.poll() is not None

    def end(self, *, gently: bool = False) -> None:
        """End the process; gently is to let it tidy up."""
        if gently and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TIDY)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.end()


def _ending(code: int) -> str:
    if code >= 0:
        return f"the chain stopped: exit status {code}"
    if -code in _LATE_SIGNALS:
        return _LATE
    return f"the chain was stopped by {signal.Signals(-code).name}"


class _Local(threading.local):
    chain: Process | None = None


_LOCAL: Final = _Local()
"""The one thing that outlives a job: loading the chain takes longer than most repositories do. It keeps no result."""


def loaded_chain() -> Process:
    """Return this thread's process that has the chain loaded, a new one where there is none."""
    if _LOCAL.chain is None or _LOCAL.chain.ended:
        _LOCAL.chain = Process("dockfix.fleet.chain_process")
    return _LOCAL.chain
