"""Owners in ``chown`` and in ``COPY --chown``, and the RUNs that make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from posixpath import basename
from typing import Final

from dockfix.build.model import Stage, Step
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tree_writers import USER_COMMANDS, path_of

_PART: Final = r"(?:[a-z_][\w.-]*|\d+|\$\w+|\$\{\w+\})"
_OWNER: Final = pattern(rf"({_PART})(?:(:)({_PART})?)?\Z")
_PRIMARY: Final = pattern(r"(?:^|\s)(?:-g|-G|-N|--gid|--ingroup|--group|--no-user-group|-n)\b")
_SWITCHES: Final = frozenset(
    {"-S", "-D", "-H", "-r", "-m", "-M", "-l", "-N", "-U", "--system", "--create-home", "--no-create-home"}
    | {"--disabled-password", "--no-log-init", "--no-user-group", "--user-group"}
)
"""Options of useradd and adduser that take no value."""
_ALWAYS: Final = frozenset({"root", "nobody", "daemon", "bin"})
_DEBIAN: Final = frozenset({"www-data", "nogroup", "games", "mail", "backup"})


def owner_of(chain: Sequence[Stage], step: Step, text: str) -> str:
    """Return *text*, the owner that ``chown`` in *step* gets, as ``COPY --chown`` takes it with the same result.

    A user without a group leaves the group root's, where COPY would take the user's number for it; a user with a colon
    means the group that it logs in with, for which COPY has no word. Raises ``Obstacle`` where that is not known.
    """
    match = _OWNER.match(text.strip('"'))
    if match is None:
        raise Obstacle(f"the owner {text} is not plain", step.line)
    user, colon, group = match.groups()
    if group:
        return f"{user}:{group}"
    if not colon:
        return f"{user}:0" if user.isdecimal() else f"{user}:root"
    made = [command for stage in chain for other in stage.of("RUN") for command in _made_by(other, user)]
    if len(made) != 1 or _PRIMARY.search(made[0]):
        raise Obstacle(f"the group that {user} logs in with is not known", step.line)
    return f"{user}:{user}"


def creators(chain: Sequence[Stage], step: Step, owners: Iterable[str]) -> list[Step]:
    """Return the RUNs of the last stage of *chain*, up to *step*, that make the users and groups in *owners*.

    Raises ``Obstacle`` where nothing makes one of them and the base image may not have it.
    """
    found: list[Step] = []
    for owner in owners:
        for name in owner.strip('"').split(":"):
            if not name or name.isdecimal() or "$" in name:
                continue
            runs = [other for stage in chain for other in stage.of("RUN") if _made_by(other, name)]
            steps = [other for other in runs if other.line <= step.line]
            if not steps and not _in_base(chain[0], name):
                raise Obstacle(f"nothing here makes {name}", step.line)
            found += [other for other in steps if other.stage == step.stage and other not in found]
    return sorted(found, key=lambda other: other.line)


def given_away(step: Step, owner: str, chain: Sequence[Stage]) -> frozenset[str]:
    """Return the paths that a ``chown`` to *owner* (as ``owner_of`` gives it) names in front of *step* in its stage."""
    found: set[str] = set()
    for other in chain[-1].of("RUN"):
        script = other.script
        if other.line >= step.line or script is None:
            continue
        for command in script.commands:
            operands = [word for word in command.words[1:] if not word.raw.startswith("-")]
            if command.name != "chown" or command.depth or len(operands) < 2:
                continue
            if says(chain, other, operands[0].raw) == owner:
                found |= {path for word in operands[1:] if (path := path_of(word, other, script))}
    return frozenset(found)


def says(chain: Sequence[Stage], step: Step, text: str) -> str | None:
    """Return what ``owner_of`` does, None where it cannot tell."""
    try:
        return owner_of(chain, step, text)
    except Obstacle:
        return None


def _in_base(stage: Stage, name: str) -> bool:
    if name in _ALWAYS:
        return True
    image = stage.image
    if image is None:
        return False
    alpine = image.repository == "alpine" or "alpine" in (image.tag or "")
    return (name in _DEBIAN and not alpine) or (name == "node" and image.repository == "node")


def _made_by(step: Step, name: str) -> list[str]:
    """Return the texts of the commands of *step* that make the user or group *name*."""
    script = step.script
    if script is None or name not in step.instruction.value:
        return []
    return [
        script.source.text[command.start : command.end]
        for command in script.commands
        if basename(command.name or "") in USER_COMMANDS
        and (command.words[-1].value == name or _names_first(command, name))
    ]


def _names_first(command: Command, name: str) -> bool:
    """Whether the user's name stands before the last options: ``adduser -S app -G app``."""
    first = command.words[0]
    return any(
        word.value == name and (before is first or before.raw in _SWITCHES) for before, word in pairwise(command.words)
    )
