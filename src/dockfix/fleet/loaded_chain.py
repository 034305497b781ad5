"""A process that has the chain loaded, from the side of those who ask it."""

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

_LATE: Final = "took longer than limits.seconds allows"
_LATE_SIGNALS: Final = frozenset({signal.SIGALRM, signal.SIGXCPU})
_GRACE: Final = 20.0
"""Seconds beyond the limit: what loading the chain may take the first time, on a busy machine."""


class LoadedChain:
    """The process; it ends with the object, or with this process."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="dockfix-")
        path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry) and os.path.exists(entry))
        self._complaint = os.path.join(self._home, "complaint")
        with open(self._complaint, "wb") as complaint:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "dockfix.fleet.chain_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaint,
                env={**clean_environment(self._home), "PYTHONPATH": path, "PYTHONUTF8": "1"},
                cwd=self._home,
                bufsize=0,
                start_new_session=True,
            )

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | str:
        """Return the answer to a request, or what went wrong; after *seconds* and some more it is given up."""
        data = json.dumps({**request, "seconds": seconds}).encode()
        deadline = time.monotonic() + seconds + _GRACE
        try:
            self._write(len(data).to_bytes(8, "big") + data)
            answer = json.loads(self._read(int.from_bytes(self._read(8, deadline), "big"), deadline))
        except TimeoutError:
            self.end()
            return _LATE
        except OSError:
            reason = self._last_line()
            self.end()
            return f"the chain stopped: {reason or 'its process ended'}"
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
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
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
        return self._process.poll() is not None

    def end(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError, PermissionError):
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
    chain: LoadedChain | None = None


_LOCAL: Final = _Local()
"""The one thing that outlives a job: loading the chain takes longer than most repositories do. It keeps no result."""


def loaded_chain() -> LoadedChain:
    """Return this thread's process, a new one where there is none."""
    if _LOCAL.chain is None or _LOCAL.chain.ended:
        _LOCAL.chain = LoadedChain()
    return _LOCAL.chain
