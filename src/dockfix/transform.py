"""The contract between the engine and every transform.

A transform is a pure function from a ``Build`` to fixes and refusals::

    @transform(safety=Safety.SAFE, phase=Phase.CONTENT)
    def pip_no_cache_dir(build: Build) -> Iterator[Fix | Skip]: ...

It reads no file system, no network, no clock and no global state: everything it may know is in the ``Build``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from dockfix.records import record
from dockfix.syntax.edit import Edit

if TYPE_CHECKING:
    from dockfix.build.model import Build


class Safety(Enum):
    """How a fix changes the running container."""

    SAFE = "safe"
    """The running container is the same."""
    REVIEW = "review"
    """The container runs differently on purpose; the preconditions were checked."""
    SUGGESTION = "suggestion"
    """Shown, and never applied by itself."""


class Phase(IntEnum):
    """When a transform runs. Transforms of one phase do not depend on each other's order (it is by name)."""

    SYNTAX = 10
    """The same meaning in today's syntax."""
    BASE = 20
    """Which image the build starts from."""
    START = 30
    """Which program the container runs."""
    LAYERS = 40
    """The order of the instructions within a stage."""
    STAGES = 50
    """What belongs to which stage."""
    USER = 60
    """Whom the program runs as."""
    CONTENT = 70
    """What a single instruction leaves in its layer."""
    CONTEXT = 80
    """What reaches the build at all."""
    COMPOSE = 90
    """How the image is run beside others."""


@record
class Fix:
    """One change, applied as a whole or not at all.

    ``edits`` maps a path (POSIX, relative to the repository's root) to edits of that file's text; a path that does
    not exist yet is created from the empty text. ``line`` is the line of the Dockerfile (from 1) that it is about.
    ``notes`` tell the reader what the diff cannot: consequences, and what to check.
    """

    title: str
    edits: Mapping[str, Sequence[Edit]]
    line: int
    safety: Safety | None = None
    """Overrides the transform's own safety."""
    notes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Values in the edited text that no output may show but the local diff of the file that holds them."""
    variables: Mapping[str, str] = MappingProxyType({})
    """Variables that the container and the build get from outside now, with the values that stood in the files."""


@record
class Skip:
    """A refusal: what the transform would have done, were it not for *reason*. ``line`` counts from 1, 0 is the file.

    ``path`` names another file than the Dockerfile where the reason is found (repository-relative).
    """

    reason: str
    line: int = 0
    path: str | None = None


Function = Callable[["Build"], Iterable[Fix | Skip]]


@record
class Transform:
    """A registered transform. ``name`` is the function's, with dashes."""

    name: str
    safety: Safety
    phase: Phase
    function: Function
    options: Mapping[str, object]
    """Names and default values of its options."""
    production: bool = False
    """Whether it is about images that serve: a Dockerfile for development is left as it is."""
    choices: Mapping[str, tuple[object, ...]] = MappingProxyType({})
    """The values that an option may have, where they are few."""

    @property
    def documentation(self) -> str:
        """The function's docstring, dedented."""
        import inspect

        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.documentation.partition("\n")[0]


def transform(
    *, safety: Safety, phase: Phase, options: Mapping[str, object] | None = None, production: bool = False
) -> Callable[[Function], Transform]:
    """Return a decorator that makes a ``Transform`` of a function. Its name is the function's, with dashes.

    *options* gives the default value of each; a tuple has all the values that there are, the default first.
    With *production* its fixes are refusals where the Dockerfile is for development, by its name (``Dockerfile.dev``).
    """

    def decorate(function: Function) -> Transform:
        name = function.__name__.replace("_", "-")
        choices = {key: value for key, value in (options or {}).items() if isinstance(value, tuple)}
        defaults = {key: choices[key][0] if key in choices else value for key, value in (options or {}).items()}
        return Transform(name, safety, phase, function, defaults, production, choices)

    return decorate
