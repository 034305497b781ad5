"""What a build's log says: the steps, which of them came from the cache, and which one failed."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BUILDKIT_STEP: Final = re.compile(r"#(\d+) \[(?!internal\])([^\]]*?)\s*(\d+)/(\d+)\] (.*)")
_BUILDKIT_EVENT: Final = re.compile(r"#(\d+) (CACHED|DONE|ERROR|CANCELED)\b:?\s*(?:([\d.]+)s)?")
_BUILDKIT_OUTPUT: Final = re.compile(r"#(\d+) (?:\d+\.\d+ )?(.*)")
_CLASSIC_STEP: Final = re.compile(r"Step (\d+)/(\d+) : (.*)")
_BUILDAH_STEP: Final = re.compile(r"(?:\[(\d+)/\d+\] )?STEP (\d+)/(\d+): (.*)")
_OLD_CACHE: Final = re.compile(r"\s*(?:--->|-->) Using cache\b")
_COMPLAINT: Final = re.compile(r"(?i)\s*(?:error|failed|the command|fatal)\b")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOISE: Final = re.compile(r"sha256:[0-9a-f]{64}( .*)?|\s*|-+")


class LogStep(NamedTuple):
    """One instruction that the engine ran or took from its cache. FROM is none: what it costs is not the build's."""

    stage: str
    text: str
    cached: bool
    seconds: float | None


class BuildLog:
    """Reads a log line by line: BuildKit's, the classic builder's, or buildah's."""

    def __init__(self) -> None:
        self._steps: dict[str, LogStep] = {}
        self._output: dict[str, list[str]] = {}
        self._order: list[str] = []
        self._failed: str | None = None
        self._classic: str | None = None
        self._rest: list[str] = []
        self.current = ""
        """The step that runs now, to be shown."""

    def read(self, line: str) -> None:
        """Take the next line."""
        line = _COLOURS.sub("", line)
        if match := _BUILDKIT_STEP.match(line):
            key, stage, number, count, text = match.groups()
            self._begin(key, stage.strip(), text, f"{stage} {number}/{count}".strip())
        elif match := _BUILDKIT_EVENT.match(line):
            self._event(*match.groups())
            if match[2] == "ERROR":
                self._output.setdefault(match[1], []).append(line.partition("ERROR")[2].lstrip(": "))
        elif match := _BUILDKIT_OUTPUT.match(line):
            self._output.setdefault(match[1], []).append(match[2])
        elif match := _CLASSIC_STEP.match(line):
            self._begin(f"classic {match[1]}", "", match[3], f"{match[1]}/{match[2]}")
            self._classic = f"classic {match[1]}"
        elif match := _BUILDAH_STEP.match(line):
            key = f"buildah {match[1]} {match[2]}"
            self._begin(key, match[1] or "", match[4], f"{match[2]}/{match[3]}")
            self._classic = key
        elif self._classic is not None and _OLD_CACHE.match(line):
            if self._classic in self._steps:
                self._steps[self._classic] = self._steps[self._classic]._replace(cached=True)
        elif self._classic is not None:
            self._output.setdefault(self._classic, []).append(line)
        else:
            self._rest.append(line)

    def _begin(self, key: str, stage: str, text: str, shown: str) -> None:
        self.current = f"[{shown}] {text}"
        if key not in self._steps:
            self._order.append(key)
            if text.partition(" ")[0].upper() != "FROM":
                self._steps[key] = LogStep(stage, text, False, None)

    def _event(self, key: str, event: str, seconds: str | None) -> None:
        step = self._steps.get(key)
        if event == "ERROR":
            self._failed = self._failed or key
        elif step is not None and event == "CACHED":
            self._steps[key] = step._replace(cached=True)
        elif step is not None and event == "DONE" and seconds:
            self._steps[key] = step._replace(seconds=float(seconds))

    @property
    def steps(self) -> tuple[LogStep, ...]:
        """The steps, in the order in which they began."""
        return tuple(self._steps[key] for key in self._order if key in self._steps)

    @property
    def failed(self) -> LogStep | None:
        """The step that failed, of a build that failed."""
        key = self._failed or self._classic
        return self._steps.get(key) if key else None

    def ending(self, lines: int = 20) -> tuple[str, ...]:
        """Return the last lines of what the failed step said, and of what the builder says about it."""
        key = self._failed or self._classic
        said = [line for line in self._output.get(key or "", []) if not _NOISE.fullmatch(line)]
        about = [line for line in self._rest if _COMPLAINT.match(line)][-2:]
        return (*said[-lines:], *(line for line in about if line not in said))
