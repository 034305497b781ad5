"""Build an image in the scratch copy, and build it again after a change of the source."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from dockfix.verify.buildlog import BuildLog, LogStep
from dockfix.verify.engine import BuildRequest, Engine


class Built(NamedTuple):
    """What came of a build. ``image`` is None where it failed; ``ending`` is then the end of the log."""

    image: str | None
    seconds: float
    steps: tuple[LogStep, ...]
    failed: LogStep | None = None
    ending: tuple[str, ...] = ()
    late: bool = False
    """Whether it ran out of time."""

    @property
    def cached(self) -> int:
        """How many steps came from the cache."""
        return sum(step.cached for step in self.steps)


def build(engine: Engine, request: BuildRequest, timeout: float, progress: Callable[[str], None]) -> Built:
    """Build the image; *progress* gets the running step, again and again."""
    log = BuildLog()
    start = time.monotonic()
    done = engine.build(request, timeout, log.read, lambda: progress(log.current))
    seconds = time.monotonic() - start
    image = _image(request.iidfile) if done.ok else None
    if image is not None:
        return Built(image, seconds, log.steps)
    ending = log.ending()
    if done.code is None:
        ending = (*ending, f"the build took longer than {timeout:.0f} seconds")
    return Built(None, seconds, log.steps, log.failed, ending or (done.complaint,), done.code is None)


def _image(iidfile: str) -> str | None:
    try:
        with open(iidfile, encoding="ascii") as file:
            return file.read().strip() or None
    except OSError:
        return None
    finally:
        if os.path.exists(iidfile):
            os.unlink(iidfile)
