"""Which recommended packages an image can do without: the table ``knowledge/apt_recommends.toml``."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from dockfix.syntax.edit import Edit, insert
from dockfix.transform import Fix, Safety, Skip
from dockfix_transforms._knowledge import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step
    from dockfix.syntax.shell import Word
    from dockfix_transforms._apt import AptCommand


@cache
def _plain() -> frozenset[str]:
    return frozenset(table("apt_recommends")["plain"])


def needed_with(package: str, text: str) -> tuple[str, ...] | None:
    """Return the recommended packages that *package* needs all the same; None where the table does not tell.

    *text* is the Dockerfile's: what it mentions it may use.
    """
    name = re.split(r"[=/:]", package, maxsplit=1)[0]
    known = table("apt_recommends")
    found = next((item for pattern, item in known["needs"].items() if re.fullmatch(pattern, name)), None)
    patterns = known["plain_patterns"]
    if found is None and name not in _plain() and not any(re.fullmatch(pattern, name) for pattern in patterns):
        return None
    for pattern, uses in known["mentioned"].items():
        if re.fullmatch(pattern, name):
            return (*(found or ()), *(other for other, use in uses.items() if re.search(use, text)))
    return tuple(found or ())


def without_recommends(
    build: Build, step: Step, commands: tuple[AptCommand, ...], present: Present
) -> Iterator[Fix | Skip]:
    """Add ``--no-install-recommends`` to the installs of a RUN, and name what their packages need all the same."""
    if present.configured:
        return
    text = build.dockerfile.text
    edits: list[Edit] = []
    unknown: dict[str, None] = {}
    added: dict[str, None] = {}
    for item in commands:
        if item.action != "install" or any("-recommends" in word.raw for word in item.options) or not item.operands:
            continue
        names: list[tuple[Word, tuple[str, ...]]] = []
        strange = [word.raw for word in item.operands if word.value is None or needed_with(word.value, text) is None]
        if strange:
            unknown.update(dict.fromkeys(strange))
            continue
        for word in item.operands:
            names.append((word, needed_with(word.value or "", text) or ()))
        edits.append(insert(_behind_options(item), " --no-install-recommends"))
        edits += _companions(build, step, item, names, added, present)
    if unknown:
        shown = ", ".join(list(unknown)[:3]) + (" and others" if len(unknown) > 3 else "")
        verb = "recommends" if len(unknown) == 1 else "recommend"
        yield Skip(f"whether the image needs the packages that {shown} {verb} is not known", step.line)
    if edits:
        notes = (f"named now, since it was only recommended: {', '.join(added)}",) if added else ()
        title = "add --no-install-recommends"
        yield Fix(title, {build.path: tuple(sorted(edits))}, step.line, safety=Safety.REVIEW, notes=notes)


def _behind_options(item: AptCommand) -> int:
    """Return the offset behind the verb and the options that follow it on its line."""
    last = item.verb
    text = item.script.source.text
    for word in item.options:
        if word.start > last.end and not text[last.end : word.start].strip(" ") and word.raw.startswith("-"):
            if "\n" in text[last.end : word.start] or word.raw in ("-t", "-o", "-c"):
                break
            if item.script.span(word)[0] - item.script.span(last)[1] != word.start - last.end:
                break
            last = word
    return item.script.span(last)[1]


def _companions(
    build: Build,
    step: Step,
    item: AptCommand,
    names: list[tuple[Word, tuple[str, ...]]],
    added: dict[str, None],
    before: Present,
) -> Iterator[Edit]:
    if not any(companions for _, companions in names):
        return
    present = before.packages(step) | {word.value or "" for word, _ in names}
    for pattern, given in table("apt_recommends")["brings"].items():
        if any(re.fullmatch(pattern, name) for name in present):
            present = present | set(given)
    text = build.dockerfile.text
    for index, (word, companions) in enumerate(names):
        missing = [name for name in companions if name not in present and name not in added]
        if not missing:
            continue
        added.update(dict.fromkeys(missing))
        present.update(missing)
        start, end = item.script.span(word)
        previous = item.script.span(names[index - 1][0] if index else item.verb)[1]
        between = text[previous:start]
        if "\n" in between and not between.replace(step.escape, "").strip():
            yield insert(start, "".join(f"{name}{between[between.index(step.escape) - 1 :]}" for name in missing))
        else:
            yield insert(end, "".join(f" {name}" for name in missing))


class Present:
    """The packages that the image has for certain: of its base, and installed so far by the steps that were added."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._found: dict[int, set[str]] = {}
        self.configured = "nstall-Recommends" in build.dockerfile.text
        """Whether the Dockerfile tells apt itself whether recommended packages are installed."""

    def add(self, step: Step, commands: tuple[AptCommand, ...]) -> None:
        """Take note of what *step* installs; the steps come in the order of the file."""
        for command in commands:
            if command.action == "install":
                self.packages(step).update(word.value for word in command.operands if word.value)

    def packages(self, step: Step) -> set[str]:
        """Return the packages that are there when *step* starts."""
        for stage in self._build.stages[len(self._found) : step.stage + 1]:
            found: set[str] = set()
            if stage.base_stage is not None:
                found.update(self._found[stage.base_stage])
            elif stage.image is not None and stage.image.official:
                found.update(table("apt_recommends")["images"].get(stage.image.repository, ()))
            self._found[stage.index] = found
        return self._found[step.stage]
