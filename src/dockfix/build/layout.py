"""Where an instruction stands on the page: the comments that belong to it, and the blank lines around it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from dockfix.syntax.dockerfile import Blank, Comment, Dockerfile, Instruction, Node
from dockfix.syntax.edit import Edit, insert

if TYPE_CHECKING:
    from dockfix.build.model import Step
    from dockfix.syntax.shell import Command

_SETTINGS: Final = frozenset({"EXPOSE", "USER", "HEALTHCHECK"})


def block_start(dockerfile: Dockerfile, instruction: Instruction) -> int:
    """Return the offset where the comment lines directly above *instruction* start, or its own start.

    A comment belongs to the instruction that follows it without a blank line between. Comments above the file's
    first instruction belong to the file as well, so they are not counted.
    """
    nodes = dockerfile.nodes
    at = _index(dockerfile, instruction)
    first = at
    while first and type(nodes[first - 1]) is Comment:
        first -= 1
    if first < at and not any(isinstance(node, Instruction) for node in nodes[:first]):
        return instruction.start
    return nodes[first].start


def block_text(dockerfile: Dockerfile, instruction: Instruction) -> str:
    """Return the text of *instruction* with its comments, ending with a line ending."""
    text = dockerfile.text[block_start(dockerfile, instruction) : instruction.end]
    return text if text.endswith("\n") else text + dockerfile.newline


def removals(dockerfile: Dockerfile, instructions: Iterable[Instruction]) -> list[Edit]:
    """Return edits that remove *instructions* with their comments, and the blank lines that would be left double."""
    edits: list[Edit] = []
    gone: set[int] = set()
    nodes = dockerfile.nodes
    for instruction in sorted(instructions, key=lambda item: item.start):
        start = block_start(dockerfile, instruction)
        at = _index(dockerfile, instruction)
        first = at
        while first and nodes[first - 1].start >= start:
            first -= 1
        gone.update(range(first, at + 1))
        before = first - 1
        while before >= 0 and before in gone:
            before -= 1
        blank_before = before < 0 or type(nodes[before]) is Blank
        blank_after = at + 1 >= len(nodes) or type(nodes[at + 1]) is Blank
        end = instruction.end
        if blank_before and blank_after and at + 1 < len(nodes):
            gone.add(at + 1)
            end = nodes[at + 1].end
        if end == len(dockerfile.text) and not dockerfile.text.endswith("\n"):
            # the file's last line has no ending: what becomes the last line loses its own
            start -= len(dockerfile.newline) if dockerfile.text[:start].endswith(dockerfile.newline) else 0
        if edits and edits[-1].end >= start:
            start = edits.pop().start
        edits.append(Edit(start, end, ""))
    return edits


def blank_above(dockerfile: Dockerfile, instruction: Instruction) -> bool:
    """Return whether a blank line stands above *instruction* and its comments."""
    start = block_start(dockerfile, instruction)
    at = _index(dockerfile, instruction)
    while at and dockerfile.nodes[at - 1].start >= start:
        at -= 1
    return at > 0 and type(dockerfile.nodes[at - 1]) is Blank


def above(dockerfile: Dockerfile, instruction: Instruction, text: str) -> Edit:
    """Return the edit that puts *text*, whole lines, above *instruction*, apart from comments that are not about it.

    A blank line that stands above them stands below the new lines as well; lines that were added before stay together.
    """
    start = block_start(dockerfile, instruction)
    if start == instruction.start or not blank_above(dockerfile, instruction):
        return insert(start, text)
    at = _index(dockerfile, instruction)
    while at and type(dockerfile.nodes[at]) is not Blank:
        at -= 1
    before = dockerfile.nodes[at - 1] if at else None
    if isinstance(before, Instruction) and before.keyword in _SETTINGS and not _comment_above(dockerfile, before):
        return insert(before.end, text)
    return insert(start, text + dockerfile.newline)


def _comment_above(dockerfile: Dockerfile, instruction: Instruction) -> bool:
    return block_start(dockerfile, instruction) < instruction.start


def may_be_cut(step: Step, command: Command) -> bool:
    """Return whether the RUN can be cut in two in front of *command* without a change of what the rest sees."""
    script = step.script
    if script is None or not script.simple or command.depth or step.instruction.flags or step.instruction.heredocs:
        return False
    before = [other for other in script.commands if other.start < command.start and not other.substitution]
    if not before or command.before != "&&" or any(other.before not in ("", "&&", "|") for other in before):
        return False
    start, end = script.span(before[-1])[1], script.span(command)[0]
    if end - start > 200:
        return False
    return not any(other.name in ("cd", "export", "set", "umask", ".", "source") or not other.words for other in before)


def _index(dockerfile: Dockerfile, node: Node) -> int:
    from bisect import bisect_left

    return bisect_left(dockerfile.nodes, node.start, key=lambda item: item.start)
