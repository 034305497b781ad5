"""The shell script inside an instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockfix.build.model import Step
    from dockfix.syntax.shell import Script


def script_of(step: Step) -> Script | None:
    """Return the commands of the step's shell text; None in JSON form, for non-POSIX shells, and when unsure."""
    return None
