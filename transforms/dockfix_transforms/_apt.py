"""The apt and apt-get commands of a build, and what else may read the package lists that they leave."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

from dockfix.records import record
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dockfix.build.model import Build, Stage, Step
    from dockfix.syntax.shell import Command, Script, Word

MENTION: Final = pattern(r"(?<![\w.-])(?:/usr/bin/)?apt(?:-get|itude)?(?![\w./:-])")
_REMOVES: Final = pattern(
    r"(?<![\w-])(?:rm|find)[ \t][^;&|]*/var/lib/(?:apt(?![\w-])|\{|\*)|(?<![\w-])apt(?:-get)?\s+dist-?clean", re.DOTALL
)
_SCRIPT: Final = pattern(r"(?:\w+:/)?[\w./-]+\.(?:sh|bash)(?![\w.])")
_WORD: Final = pattern(r"(?:\w+:/)?[\w./+-]+")
_RULES: Final = {
    "make": "Makefile",
    "just": "justfile",
    "task": "Taskfile.yml",
    "invoke": "tasks.py",
    "inv": "tasks.py",
}
"""Programs that run what a file of this name says."""
_OTHERS: Final = pattern(
    r"(?<![\w./-])(?:rosdep|gdebi|mk-build-deps|tasksel|apt-clone|apt-file|apt-cache|ansible(?:-playbook|-pull)?"
    r"|puppet|chef-client|salt-call)(?![\w.-])"
)
_SOURCES: Final = pattern(r"/etc/apt(?![\w-])|sources\.list|\badd-apt-repository|\bapt-add-repository|add-architecture")
_VALUES: Final = frozenset({"-o", "--option", "-c", "--config-file", "-t", "--target-release", "--default-release"})
_READERS: Final = frozenset({"install", "upgrade", "dist-upgrade", "full-upgrade", "build-dep", "source", "download"})
_INSTALLS: Final = pattern(r"(?<![\w-])apt(?:-get)?\b[^\n&|;]*\sinstall\s")
_FETCHED: Final = pattern(r"\|\s*(?:sudo\s+)?\S*sh\b|[$<]\((?:curl|wget)|\binstall-deps\b|--with-deps\b")
"""What runs programs of elsewhere, which may have been the reason for an update."""
_MOST_NEAR: Final = 40
_LISTS: Final = ("/var/lib/apt", "/var/cache/apt")


@record
class AptCommand:
    """One apt or apt-get command of a RUN. ``action`` is its verb; ``sudo`` is the text in front of the program."""

    script: Script
    command: Command
    program: Word
    verb: Word
    action: str
    options: tuple[Word, ...]
    operands: tuple[Word, ...]
    sudo: str

    @property
    def plain(self) -> bool:
        """Whether it stands in the list of commands itself, where ``&&`` can be put in front of it or behind it."""
        command = self.command
        return command.depth == 0 and not command.substitution and command.before in ("", "&&", ";", "\n")


def apt_commands(step: Step) -> tuple[AptCommand, ...]:
    """Return the apt and apt-get commands of a RUN that stand in its own script, in order."""
    memo = vars(step)  # asked for again and again
    if "_apt_commands" not in memo:
        memo["_apt_commands"] = _commands(step)
    found: tuple[AptCommand, ...] = memo["_apt_commands"]
    return found


def _commands(step: Step) -> tuple[AptCommand, ...]:
    if step.keyword != "RUN" or "apt" not in step.instruction.value + _bodies(step) or step.script is None:
        return ()
    found = (_read(step.script, command) for command in step.script.commands)
    return tuple(item for item in found if item is not None)


def _bodies(step: Step) -> str:
    return "".join(heredoc.body for heredoc in step.instruction.heredocs)


def _read(script: Script, command: Command) -> AptCommand | None:
    words = command.words
    at = 0
    if words and words[0].value == "sudo":
        at = 1
        while at < len(words) and words[at].raw in ("-E", "-H", "-n"):
            at += 1
    if at >= len(words) or words[at].value not in ("apt", "apt-get", "/usr/bin/apt-get"):
        return None
    program = words[at]
    verb: Word | None = None
    options: list[Word] = []
    operands: list[Word] = []
    value = False
    for word in words[at + 1 :]:
        if value or (word.raw.startswith("-") and len(word.raw) > 1):
            options.append(word)
            value = not value and word.raw in _VALUES
        elif verb is None:
            verb = word
        else:
            operands.append(word)
    if verb is None or verb.value is None:
        return None
    sudo = script.source.text[words[0].start : program.start]
    return AptCommand(script, command, program, verb, verb.value, tuple(options), tuple(operands), sudo)


def reads_lists(commands: tuple[AptCommand, ...]) -> AptCommand | None:
    """Return the first command of a RUN that reads package lists which the RUN has not fetched itself."""
    for command in commands:
        if command.action == "update":
            return None
        if command.action in _READERS:  # a file as well: what it depends on comes from the archive
            return command
    return None


def last_update(commands: tuple[AptCommand, ...]) -> AptCommand | None:
    """Return the last ``apt-get update`` among the commands."""
    return next((command for command in reversed(commands) if command.action == "update"), None)


def removes_lists(step: Step, after: int) -> bool:
    """Return whether the RUN's script removes the package lists behind its offset *after*, in quotes as well."""
    return step.script is not None and _REMOVES.search(step.script.source.text, after) is not None


def mounted(step: Step) -> bool:
    """Return whether a mount keeps apt's lists or downloads out of the layer."""
    for flag in step.instruction.flags:
        settings = dict(part.partition("=")[::2] for part in (flag.value or "").split(","))
        if flag.name != "mount" or settings.get("type", "bind") not in ("cache", "tmpfs"):
            continue
        target = posixpath.normpath(settings.get("target") or settings.get("dst") or settings.get("destination") or "/")
        if any(f"{place}/".startswith(f"{target}/") or target.startswith(f"{place}/") for place in _LISTS):
            return True
    return False


def kept_stages(build: Build) -> frozenset[int]:
    """Return the stages whose layers somebody gets: the final one, targets of services, and what these are built on."""
    wanted = {service.target for service in build.project.services}
    waiting = [build.final.index, *(stage.index for stage in build.stages if stage.name in wanted)]
    for step in build.steps:
        copy = step.copy if step.instruction.flag("from") is not None else None
        if copy is not None and any(source.value == "/" for source in copy.sources):
            waiting += [stage.index for stage in build.stages if copy.from_ in (stage.name, str(stage.index))]
    kept: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index in kept:
            continue
        kept.add(index)
        base = build.stages[index].base_stage
        if base is not None:
            waiting.append(base)
    return frozenset(kept)


def built_on(build: Build) -> str | None:
    """Return a Dockerfile nearby that installs without an update, as one that is built on this image may."""
    folder = posixpath.dirname(posixpath.dirname(build.path))
    files = build.project.files
    near = (path for path in files.below(folder) if "ockerfile" in posixpath.basename(path) and path != build.path)
    for path in islice(near, _MOST_NEAR):
        text = files.text(path) or ""
        if _INSTALLS.search(text) and "update" not in text:
            return path
    return None


def between(stage: Stage, first: Step, last: Step) -> tuple[Step, ...]:
    """Return the steps of *stage* behind *first* and in front of *last*."""
    start = bisect_right(stage.steps, first.line, key=lambda step: step.line)
    return stage.steps[start : bisect_left(stage.steps, last.line, key=lambda step: step.line)]


def sources_change(build: Build, origin: Step, update: AptCommand, step: Step, reader: AptCommand | None) -> bool:
    """Return whether something between *update* and *reader* changes where packages come from.

    An update behind it may fail where the one in front of it does not: the key of an archive is not there yet.
    *reader* is None for another update, which fetches from there in any case.
    """
    if reader is None:
        return False
    texts = [update.script.source.text[update.command.end :], reader.script.source.text[: reader.command.start]]
    for one in build.steps:
        if origin.line < one.line < step.line and one.stage in (origin.stage, step.stage):
            texts.append(one.instruction.value + _bodies(one))
    return any(map(_SOURCES.search, texts))


class Readers:
    """What reads the package lists behind a step: in its stage, and in the stages that are built on it."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._first: dict[int, list[tuple[int, str] | None]] = {}
        self._fetched: dict[int, int] = {}

    def after(self, step: Step) -> tuple[int, str] | None:
        """Return the line and the reason of the first step behind *step* that may read its lists; None for none.

        Behind a step that fetches the lists anew nothing reads the old ones.
        """
        stage = self._build.stages[step.stage]
        at = bisect_right(stage.steps, step.line, key=lambda other: other.line)
        return self._of(stage)[at]

    @cached_property
    def other_file(self) -> str | None:
        """A Dockerfile nearby that may be built on this image, and installs from its lists."""
        return built_on(self._build)

    def fetched_after(self, step: Step) -> bool:
        """Return whether a RUN behind *step* runs a program from elsewhere."""
        return self._last_fetched(self._build.stages[step.stage]) > step.line

    def _of(self, stage: Stage) -> list[tuple[int, str] | None]:
        """Return the first reader from each step of the stage on, and behind its end that of the stages built on it."""
        if not self._first:
            for one in reversed(self._build.stages):
                self._first[one.index] = self._from_each(one)
        return self._first[stage.index]

    def _from_each(self, stage: Stage) -> list[tuple[int, str] | None]:
        grown = (self._first[other.index][1] for other in self._grown[stage.index])
        found = [next((item for item in grown if item is not None), None) or self._started]
        for step in reversed(stage.steps):
            commands = apt_commands(step)
            if reads_lists(commands) is not None:
                found.append((step.line, f"line {step.line} installs from them"))
            elif last_update(commands) is not None:
                found.append(None)
            else:
                reason = hidden_use(self._build, stage, step)
                found.append((step.line, f"{reason} (line {step.line})") if reason else found[-1])
        return found[::-1]

    @cached_property
    def _started(self) -> tuple[int, str] | None:
        """The compose service that installs with apt whenever it starts."""
        for service in self._build.project.services:
            for said in (service.command, service.entrypoint):
                text = " ".join(said) if isinstance(said, tuple) else said or ""
                if MENTION.search(text):
                    return service.line, f"the command of {service.name} in {service.path} uses apt"
        return None

    @cached_property
    def _grown(self) -> dict[int, list[Stage]]:
        """The stages that are built on each stage."""
        grown: dict[int, list[Stage]] = {stage.index: [] for stage in self._build.stages}
        for stage in self._build.stages:
            if stage.base_stage is not None:
                grown[stage.base_stage].append(stage)
        return grown

    def _last_fetched(self, stage: Stage) -> int:
        if not self._fetched:
            for one in reversed(self._build.stages):
                lines = [step.line for step in one.of("RUN") if _FETCHED.search(step.instruction.value)]
                grown = [self._fetched[other.index] for other in self._grown[one.index]]
                self._fetched[one.index] = max([0, *lines, *grown])
        return self._fetched[stage.index]


def hidden_use(build: Build, stage: Stage, step: Step) -> str | None:
    """Return why *step* may read package lists in a way that its apt commands do not show, None where it does not."""
    keyword = step.keyword
    if keyword not in ("RUN", "CMD", "ENTRYPOINT", "ONBUILD"):
        return None
    text = step.instruction.value + _bodies(step)
    script = step.script
    if keyword != "RUN" or script is None:
        if MENTION.search(text):
            return f"{keyword} uses apt in a way that is not read"
        if keyword != "RUN":  # hardly any program installs packages when it starts: its script has to say so
            return next(_files_with_apt(build, text), None)
    else:
        known = {command.command.start for command in apt_commands(step)}
        for command in script.commands:
            if command.start in known or command.name in (
                "echo",
                "printf",
                "rm",
                "mkdir",
                "sed",
                "cat",
                "dpkg",
                "test",
            ):
                continue
            for word in command.words:
                if MENTION.search(word.raw):
                    return f"{command.words[0].raw} uses apt in a way that is not read"
    other = _OTHERS.search(text)
    if other:
        return f"{other.group()} reads the package lists"
    return _script_use(build, stage, text)


def _script_use(build: Build, stage: Stage, text: str) -> str | None:
    """Return why a file of the build context that the text names, a script mostly, may use apt."""
    found = next(_files_with_apt(build, text), None)
    if found is None:
        named = _by_name(build)
        for word in dict.fromkeys(_SCRIPT.findall(text)):
            name = posixpath.basename(word)
            if name not in named and _copied(stage, name):
                return f"what {word} does is not known"
    return found


def _files_with_apt(build: Build, text: str) -> Iterator[str]:
    """Yield why a file of the build context that the text names uses apt."""
    context = build.project.context
    named = _by_name(build)
    for word in dict.fromkeys(_WORD.findall(text)):
        name = posixpath.basename(word)
        for path in named.get(_RULES.get(name, name), ()):
            body = context.text(path) or ""
            if MENTION.search(body) and "update" not in body:
                yield f"{context.repository_path(path)} uses apt"


def _by_name(build: Build) -> Mapping[str, list[str]]:
    """Return the files of the context by their names without a folder."""
    memo = vars(build)  # asked for again and again
    if "_by_name" not in memo:
        names: dict[str, list[str]] = {}
        for path in build.project.context.paths:
            names.setdefault(posixpath.basename(path), []).append(path)
        memo["_by_name"] = names
    found: Mapping[str, list[str]] = memo["_by_name"]
    return found


def _copied(stage: Stage, name: str) -> bool:
    """Whether a COPY of the context may bring a file of that name."""
    for step in stage.of("COPY", "ADD"):
        copy = step.copy
        if copy is None:
            return True
        if copy.from_ is None:
            values = [source.value for source in copy.sources]
            if any(value is None or posixpath.basename(value) == name for value in values):
                return True
            if any("." not in posixpath.basename((value or "").strip("./")) for value in values):
                return True
    return False
