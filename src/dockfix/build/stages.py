"""From instructions to stages: the state of the build at each instruction."""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Final

from dockfix.build.expand import expand_word, split_words
from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.dockerfile import Dockerfile, DockerfileSyntaxError, Instruction
from dockfix.syntax.image import ImageReference, parse_image
from dockfix.syntax.patterns import pattern

if TYPE_CHECKING:
    from dockfix.project.model import Project

_PLATFORM_ARGS: Final = tuple(
    f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""Declared by BuildKit in the global scope; their values depend on the machine."""
_PREDEFINED: Final = tuple(
    spelling
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for spelling in (name, name.lower())
)
_DIRECTORIES: Final = (
    *("/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib"),
    *("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/sbin", "/usr/share", "/usr/src"),
    *("/var", "/var/lib", "/var/log", "/var/tmp"),
)
"""What every image has that a shell comes with."""
_MKDIR: Final = pattern(r"(?:\A|&&|\|\||;|\n|\bsudo\b)\s*mkdir\s+((?:[^\s&|;<>()]+[ \t]*)+)", words=("mkdir",))
_ODD: Final = pattern(r"[\\\"'`{}*?\[\]~]")
_DEEPEST: Final = 20
_SH: Final = ("/bin/sh", "-c")
_CMD: Final = ("cmd", "/S", "/C")


class Environment(Mapping[str, "str | None"]):
    """The variables at one instruction: a view on the stage's history, shared by all of its steps.

    A copy for every ENV would make a file of ten thousand of them quadratic.
    """

    def __init__(self, history: dict[str, list[tuple[int, str | None, bool]]] | None = None, version: int = 0) -> None:
        self._history = {} if history is None else history
        self._version = version

    def entry(self, name: str) -> tuple[int, str | None, bool] | None:
        """Return ``(version, value, whether ENV set it)`` of the newest entry that this view sees."""
        entries = self._history.get(name)
        if entries is None:
            return None
        at = bisect_right(entries, self._version, key=lambda entry: entry[0])
        return entries[at - 1] if at else None

    def set(self, values: Iterable[tuple[str, str | None]], by_env: bool) -> Environment:
        """Return the view after an instruction that sets *values*. Only the newest view may be extended."""
        version = self._version + 1
        for name, value in values:
            self._history.setdefault(name, []).append((version, value, by_env))
        return Environment(self._history, version)

    def fork(self) -> Environment:
        """Return an independent environment with the same values, for a stage that is built on this one."""
        history = {}
        for name in self:
            entry = self.entry(name)
            if entry:
                history[name] = [(0, entry[1], entry[2])]
        return Environment(history)

    def __getitem__(self, name: str) -> str | None:
        entry = self.entry(name)
        if entry is None:
            raise KeyError(name)
        return entry[1]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._history if self.entry(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def by_env(self) -> Set[str]:
        """The names that ENV set."""
        return _EnvNames(self)


class _EnvNames(Set[str]):
    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> Set[str]:  # type: ignore[override]
        return frozenset(it)

    def __contains__(self, name: object) -> bool:
        entry = self._environment.entry(name) if isinstance(name, str) else None
        return entry is not None and entry[2]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._environment if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def build_of(
    path: str, dockerfile: Dockerfile, project: Project | None = None, options: Mapping[str, object] | None = None
) -> Build:
    """Return the build that *dockerfile*, found at *path*, describes. Raises ``DockerfileSyntaxError``.

    Without a *project* the Dockerfile is taken to be the repository's only file.
    """
    from dockfix.project.files import MemoryFiles
    from dockfix.project.model import Project as ProjectClass

    stages = stages_of(dockerfile)
    if project is None:
        project = ProjectClass(MemoryFiles({path: dockerfile.text}), path, copied_sources(stages))
    return Build(path, dockerfile, stages, project, dict(options or {}))


def copied_sources(stages: Iterable[Stage]) -> tuple[str, ...]:
    """Return the sources in the build context that COPY and ADD name, in order, each once."""
    found: dict[str, None] = {}
    for stage in stages:
        for step in stage.of("COPY", "ADD"):
            copy = step.copy
            if copy is not None and copy.from_ is None:
                for source in copy.sources:
                    if source.value is not None:
                        found[source.value] = None
    return tuple(found)


def stages_of(dockerfile: Dockerfile) -> tuple[Stage, ...]:
    """Return the stages in order. Raises ``DockerfileSyntaxError`` where BuildKit would find none."""
    scope: dict[str, str | None] = dict.fromkeys(_PLATFORM_ARGS)
    declared: dict[str, str | None] = dict.fromkeys((*_PLATFORM_ARGS, *_PREDEFINED))
    readers: list[_StageReader] = []
    names: dict[str, int] = {}
    for instruction in dockerfile.instructions:
        if instruction.keyword == "FROM":
            reader = _StageReader(len(readers), instruction, dockerfile.escape, scope, declared, names, readers)
            readers.append(reader)
            if reader.name is not None:
                names[reader.name] = reader.index
        elif readers:
            readers[-1].read(instruction)
        elif instruction.keyword == "ARG":
            for pair in pairs_of(instruction, dockerfile.escape):
                value = None if pair.raw is None else expand_word(pair.raw, scope, dockerfile.escape, complete=True)
                scope[pair.name] = declared[pair.name] = value
        else:
            raise DockerfileSyntaxError(
                instruction.line, f"{instruction.keyword} stands before the first FROM, where only ARG may stand"
            )
    if not readers:
        raise DockerfileSyntaxError(1, "no FROM: a Dockerfile needs at least one stage")
    return tuple(reader.stage() for reader in readers)


class _StageReader:
    """The state of a stage while its instructions are read."""

    def __init__(
        self,
        index: int,
        instruction: Instruction,
        escape: str,
        scope: Mapping[str, str | None],
        declared: Mapping[str, str | None],
        names: Mapping[str, int],
        earlier: list[_StageReader],
    ) -> None:
        self.index = index
        self.escape = escape
        self.declared = declared
        text = instruction.value
        words = [text[start:end] for start, end in split_words(text)]
        self.name = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else None
        self.base_text = expand_word(words[0], scope, escape, complete=True) if words else None
        base = names.get(self.base_text.lower()) if self.base_text else None
        self.base_stage = base
        self.image: ImageReference | None = None
        self.environment = Environment()
        self.workdir: str | None = "/"
        self.user: str | None = None
        self.shell: tuple[str, ...] = _SH
        self.directories: dict[str, int] = {"/": 0}
        if base is not None:
            parent = earlier[base]
            self.directories = dict.fromkeys(parent.directories, 0)
            self.environment = parent.environment.fork()
            self.workdir, self.user, self.shell = parent.workdir, parent.user, parent.shell
        elif self.base_text and self.base_text != "scratch":
            self.image = parse_image(self.base_text)
            self.directories = dict.fromkeys(("/", *_DIRECTORIES), 0)
            if self.image is not None and _is_windows(self.image):
                self.shell = _CMD
        self.env_names = self.environment.by_env
        # FROM itself sees the global ARGs and nothing of the stage.
        first = Step(instruction, index, dict(scope), frozenset(), "/", None, self.shell, escape)
        self.steps: list[Step] = [first]

    def read(self, instruction: Instruction) -> None:
        self.steps.append(
            Step(
                instruction,
                self.index,
                self.environment,
                self.env_names,
                self.workdir,
                self.user,
                self.shell,
                self.escape,
                len(self.steps),
                self.directories,
            )
        )
        match instruction.keyword:
            case "ENV":
                self._set(self._pairs(instruction), True)
            case "ARG":
                # One at a time: a later ARG of the instruction sees the earlier ones.
                for pair in pairs_of(instruction, self.escape):
                    if pair.name in self.env_names:
                        continue
                    value = self.declared.get(pair.name) if pair.raw is None else self._expand(pair.raw)
                    self._set([(pair.name, value)], False)
            case "WORKDIR":
                self._enter(self._expand(instruction.value))
                self._made(self.workdir)
            case "RUN" if found := _MKDIR.findall(instruction.value):
                for word in " ".join(found).split():
                    if not word.startswith("-") and "$" not in word and not _ODD.search(word):
                        self._made(posixpath.join(self.workdir or "", word))
            case "COPY" | "ADD" if instruction.value.endswith("/"):
                written = self._expand(instruction.value.split()[-1])
                self._made(posixpath.join(self.workdir or "", written) if written else None)
            case "USER":
                user = self._expand(instruction.value)
                self.user = instruction.value if user is None else user
            case "SHELL":
                self.shell = instruction.json_form or self.shell

    def _made(self, path: str | None) -> None:
        """Note that *path*, and what it is in, is a directory behind the instruction that is read."""
        parts = posixpath.normpath(path).strip("/").split("/") if path and path.startswith("/") else []
        for end in range(1, min(len(parts), _DEEPEST) + 1):
            self.directories.setdefault("/" + "/".join(parts[:end]), len(self.steps))

    def _pairs(self, instruction: Instruction) -> list[tuple[str, str | None]]:
        pairs = []
        for pair in pairs_of(instruction, self.escape):
            name = self._expand(pair.name)
            if name:
                pairs.append((name, self._expand(pair.raw or "")))
        return pairs

    def _set(self, values: list[tuple[str, str | None]], by_env: bool) -> None:
        if values:
            self.environment = self.environment.set(values, by_env)
            self.env_names = self.environment.by_env

    def _expand(self, text: str) -> str | None:
        return expand_word(text, self.environment, self.escape)

    def _enter(self, path: str | None) -> None:
        if path is None or "\\" in path or path[1:2] == ":":
            self.workdir = None
        elif path.startswith("/"):
            self.workdir = "/" + posixpath.normpath(path).lstrip("/")
        elif self.workdir is not None:
            self.workdir = posixpath.normpath(posixpath.join(self.workdir, path))

    def stage(self) -> Stage:
        return Stage(
            self.index, self.name, self.image, self.base_stage, tuple(self.steps), self.base_text, self.workdir
        )


def _is_windows(image: ImageReference) -> bool:
    tag = image.tag or ""
    return (
        (image.registry == "mcr.microsoft.com" and image.repository.startswith("windows"))
        or "windowsservercore" in tag
        or "nanoserver" in tag
    )
