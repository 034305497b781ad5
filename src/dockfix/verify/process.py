"""Run the engine's programs: with a time limit, line by line, and never left behind when the user stops dockfix."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, Final, NamedTuple

_TICK: Final = 0.1
_GRACE: Final = 5.0
_HELP: Final = ("See '", "Run '", "For more help")
"""Where to read on; what is wrong stands above it."""


class Finished(NamedTuple):
    """What a program did. ``code`` is None where it ran out of time. Texts are UTF-8, what is not is replaced."""

    code: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended in time, and well."""
        return self.code == 0

    @property
    def complaint(self) -> str:
        """Its last words, in one line."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(_HELP)]
        if lines:
            return (telling or lines)[-1]
        return "it ran out of time" if self.code is None else f"it ended with status {self.code}"


class Interrupts:
    """Ctrl-C and its kin, noted when they come and acted upon at the next safe point.

    An exception out of a signal handler could strike between the start of a program and the note that it runs; then
    it would be left behind. Inside ``with``, ``check`` raises ``KeyboardInterrupt`` once a signal came; after
    ``hold`` it does not any more, so that tidying up comes to its end.
    """

    _SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.came = False
        self._held = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in self._SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, *_: object) -> None:
        self.came = True

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` where the user wants to stop."""
        if self.came and not self._held:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Let nothing interrupt from here on."""
        self._held = True


def execute(
    command: Sequence[str],
    *,
    timeout: float,
    interrupts: Interrupts,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    merge: bool = False,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    most: int = 64_000_000,
) -> Finished:
    """Run *command* to its end and return what it said; at most *most* bytes of it are kept.

    ``merge`` puts its errors among its output. ``on_line`` is called with each line of output as it comes, ``on_tick``
    several times a second. The program has its own process group, so that a terminal's Ctrl-C does not reach it: it is
    ended here, when time is out or the user stops. Raises ``OSError`` where it cannot be started.
    """
    out, code = capture(
        command,
        timeout=timeout,
        interrupts=interrupts,
        environment=environment,
        stdin=None if stdin is None else stdin.encode("utf-8", "surrogateescape"),
        merge=merge,
        on_line=on_line,
        on_tick=on_tick,
        most=most,
    )
    return Finished(code, out[0].decode("utf-8", "replace"), out[1].decode("utf-8", "replace"))


def capture(
    command: Sequence[str],
    *,
    timeout: float,
    interrupts: Interrupts,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    merge: bool = False,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    sink: BinaryIO | None = None,
    most: int = 64_000_000,
) -> tuple[tuple[bytes, bytes], int | None]:
    """As ``execute``, but return bytes: output and errors, and the exit status. *sink* gets the output instead."""
    end = time.monotonic() + timeout
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    kept: dict[str, list[bytes]] = {"out": [], "err": []}
    sizes = {"out": 0, "err": 0}
    rest = b""
    try:
        feeder = None
        if stdin is not None:
            feeder = threading.Thread(target=_feed, args=(process, stdin), daemon=True)
            feeder.start()
        with selectors.DefaultSelector() as selector:
            for name, stream in (("out", process.stdout), ("err", process.stderr)):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, name)
            while selector.get_map():
                interrupts.check()
                left = end - time.monotonic()
                if left <= 0:
                    return (b"".join(kept["out"]), b"".join(kept["err"])), None
                for key, _ in selector.select(min(_TICK, left)):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                        continue
                    name = str(key.data)
                    if sizes[name] < most:
                        sizes[name] += len(data)
                        if sink is not None and name == "out":
                            sink.write(data)
                        else:
                            kept[name].append(data)
                    elif sink is not None:
                        return (b"", b"".join(kept["err"])), None
                    if on_line is not None and name == "out":
                        *lines, rest = (rest + data).split(b"\n")
                        for line in lines:
                            on_line(line.decode("utf-8", "replace").rstrip("\r"))
                if on_tick is not None:
                    on_tick()
        if on_line is not None and rest:
            on_line(rest.decode("utf-8", "replace").rstrip("\r"))
        while process.poll() is None:  # it closed its output, but goes on
            interrupts.check()
            if time.monotonic() > end:
                return (b"".join(kept["out"]), b"".join(kept["err"])), None
            time.sleep(0.02)
        return (b"".join(kept["out"]), b"".join(kept["err"])), process.returncode
    finally:
        _end(process)


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.write(data)
        with suppress(OSError):
            process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started, where it still runs."""
    if process.poll() is None:
        for number, wait in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait)
                break
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
