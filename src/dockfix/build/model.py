"""The build that a Dockerfile describes, as transforms see it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from dockfix.records import record
from dockfix.syntax.dockerfile import Dockerfile, Instruction
from dockfix.syntax.image import ImageReference

if TYPE_CHECKING:
    from dockfix.build.copies import Copy
    from dockfix.build.installs import Install
    from dockfix.project.model import Project
    from dockfix.syntax.shell import Script


@record
class Step:
    """One instruction and the state of the build *before* it.

    ``env`` holds ENV and ARG values visible to it, expanded; None for a value that the files do not tell (an ARG
    without a default). ``workdir`` is absolute ("/" by default; None after a WORKDIR that cannot be resolved).
    ``user`` is as USER gives it, expanded where its variables are known, None where
    the base image's own user stands. ``shell`` is the SHELL in force.
    """

    instruction: Instruction
    stage: int
    env: Mapping[str, str | None]
    env_only: Set[str]
    """The names in ``env`` that ENV set (they stay in the image); the others are ARGs."""
    workdir: str | None
    user: str | None
    shell: tuple[str, ...]
    escape: str = "\\"
    """The file's escape character, a backslash or a backtick."""
    number: int = 0
    """How many steps of the stage stand before it."""
    directories: Mapping[str, int] = MappingProxyType({})
    """Paths that are directories for sure, with the number of the step from which on they are: ``is_directory``."""

    def is_directory(self, path: str) -> bool:
        """Whether *path* is a directory for sure when the instruction runs: of every image, or made before it."""
        return self.directories.get(path, self.number + 1) <= self.number

    @property
    def keyword(self) -> str:
        """The instruction's keyword, in upper case."""
        return self.instruction.keyword

    @property
    def line(self) -> int:
        """The instruction's first line, from 1."""
        return self.instruction.line

    @cached_property
    def script(self) -> Script | None:
        """The shell commands of RUN, CMD, ENTRYPOINT or HEALTHCHECK in shell form (heredoc scripts of RUN as well).

        None where there is no POSIX shell text, or where the reader gives up. Offsets in it are file offsets.
        """
        from dockfix.build.scripts import script_of

        return script_of(self)

    @cached_property
    def installs(self) -> tuple[Install, ...]:
        """What this RUN installs with a package manager that is known, in order."""
        from dockfix.build.installs import installs_of

        return installs_of(self)

    @cached_property
    def copy(self) -> Copy | None:
        """What this COPY or ADD brings where; None for other instructions and where it cannot be resolved."""
        from dockfix.build.copies import copy_of

        return copy_of(self)


@record
class Stage:
    """One FROM and the steps up to the next one. ``steps[0]`` is FROM itself."""

    index: int
    name: str | None
    """The name that AS gives, in lower case."""
    image: ImageReference | None
    """The base image with ARGs resolved; None for another stage, for scratch, or where it cannot be resolved."""
    base_stage: int | None
    """The index of the stage that FROM names."""
    steps: tuple[Step, ...]
    base: str | None = None
    """What FROM names, with ARGs resolved: an image, a stage or scratch. None where it cannot be resolved."""
    workdir: str | None = "/"
    """The directory behind the last step: where the program starts."""

    def of(self, *keywords: str) -> tuple[Step, ...]:
        """Return the steps with one of these keywords."""
        if len(keywords) == 1:
            return self._by_keyword.get(keywords[0], ())
        return tuple(step for step in self.steps if step.keyword in keywords)

    def last(self, keyword: str) -> Step | None:
        """Return the last step with this keyword: for CMD, ENTRYPOINT, HEALTHCHECK and USER the one that counts."""
        return next(reversed(self.of(keyword)), None)

    @cached_property
    def _by_keyword(self) -> Mapping[str, tuple[Step, ...]]:
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.keyword, []).append(step)
        return {keyword: tuple(steps) for keyword, steps in found.items()}


@record
class Build:
    """One Dockerfile, its build context and the files that go with it. Everything that a transform may read."""

    path: str
    """The Dockerfile, relative to the repository's root (POSIX)."""
    dockerfile: Dockerfile
    stages: tuple[Stage, ...]
    project: Project
    options: Mapping[str, object] = MappingProxyType({})
    """The running transform's options."""

    @property
    def final(self) -> Stage:
        """The stage that ships: the last one."""
        return self.stages[-1]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step of every stage, in order."""
        return tuple(step for stage in self.stages for step in stage.steps)
