"""The transform build-options."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from dockfix.syntax.edit import insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step
    from dockfix.syntax.edit import Edit
    from dockfix.syntax.shell import Command

_LOOKS_LIKE: Final = pattern(
    r"\b(?:wget|yum|(?:micro)?dnf|zypper|useradd)\b", words=("wget", "yum", "dnf", "zypper", "useradd")
)
_QUIET: Final = pattern(
    r"-[a-zA-Z]*q|-nv|-[oa]|--(?:quiet|no-verbose|progress|output-file|append-output|show-progress|help|version)\b"
)
_YES: Final = pattern(r"-[a-zA-Z]*y|--(?:assumeyes|assumeno|no-confirm|non-interactive|downloadonly)\Z|-n\Z|-C\Z")
_ASKS: Final = frozenset({"install", "localinstall", "groupinstall", "reinstall", "update", "upgrade", "remove", "in"})
_WGET: Final = "wget"
"""Stands for the option that depends on whose wget it is."""
_Wget = tuple[bool, int | None]
"""Whether a stage has busybox's wget, and the line from which it has GNU's."""
_FULL: Final = frozenset({"buildpack-deps", "gcc", "golang", "node", "perl", "python", "ruby", "rust"})
"""Images on buildpack-deps: they have wget, but for the variants that their tags name."""


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def build_options(build: Build) -> Iterator[Fix]:
    """Give the commands of a build the options that a build needs, where nobody watches and nobody answers.

    Why: wget draws a line of its progress bar for every few kilobytes into the log; yum and dnf ask and get no answer;
    useradd with a large number writes a log of logins that is as large as the number, and hundreds of gigabytes are
    stored by tools that do not know about holes.

    Example:
         FROM debian:bookworm-slim
        -RUN apt-get update && apt-get install -y wget && wget https://example.com/data.bin
        +RUN apt-get update && apt-get install -y wget && wget --progress=dot:giga https://example.com/data.bin
         RUN groupadd --gid 1000700000 app
        -RUN useradd --uid 1000700000 --gid app app
        +RUN useradd --no-log-init --uid 1000700000 --gid app app

    The wget of busybox, which Alpine has, gets ``-q``: it still says what goes wrong.

    When it holds back: an option that says so already, or another one; a wget of which it is not known whether it is
    GNU's or busybox's; an answer by ``yes |``; numbers of five digits.

    Source: hadolint's rules DL3047, DL3030, DL3034, DL3038, DL3046
    (https://github.com/hadolint/hadolint/wiki); wget's manual, "Download Options".
    """
    if not _LOOKS_LIKE.search(build.dockerfile.text):
        return
    known: list[_Wget] = []
    for step in build.steps:
        if step.keyword != "RUN" or step.script is None or not _LOOKS_LIKE.search(step.instruction.value):
            continue
        edits: list[Edit] = []
        names: dict[str, None] = {}
        for command in step.script.commands:
            found = _option(command)
            if found is None:
                continue
            at, option = found
            if option == _WGET:
                option = _wget_of(build, step, known) or ""
            if not option:
                continue
            edits.append(insert(step.script.span(command.words[at])[1], f" {option}"))
            names[option] = None
        if edits:
            yield Fix(f"add {', '.join(names)}", {build.path: edits}, step.line)


def _option(command: Command) -> tuple[int, str] | None:
    """Return the option that the command lacks and the index of the word behind which it belongs."""
    at = 1 if command.name == "sudo" and len(command.words) > 1 else 0
    name = posixpath.basename(command.argv[at] or "") if command.words else ""
    rest = [word.raw for word in command.words[at + 1 :]]
    if name == "wget" and rest and not any(_QUIET.match(word) for word in rest):
        return at, _WGET
    if name in ("yum", "dnf", "microdnf", "zypper") and command.before not in ("|", "|&"):
        verb = next((index for index, word in enumerate(rest) if not word.startswith("-")), None)
        plain = (
            verb is not None and rest[verb] in _ASKS and verb == len([word for word in rest[:verb] if "=" not in word])
        )
        if verb is not None and plain and not any(_YES.match(word) for word in rest):
            return at + 1 + verb, "-y"
    if name == "useradd" and not any(re.match(r"-[a-zA-Z]*l|--no-log-init\Z", word) for word in rest):
        text = " ".join(rest)
        if re.search(r"(?:(?<!\S)-\w*u|--uid)[= ]?\d{6,}(?!\S)", text):
            return at, "--no-log-init"
    return None


def _wget_of(build: Build, step: Step, known: list[_Wget]) -> str | None:
    """Return the option with which the wget of the image says little, None where it is not known whose it is."""
    for one in build.stages[len(known) : step.stage + 1]:
        image = one.image
        busybox, line = (False, None) if one.base_stage is None else known[one.base_stage]
        if image is not None and image.official:
            tag = image.tag or "latest"
            busybox = image.repository == "alpine" or "alpine" in tag
            if image.repository in _FULL and not re.search(r"alpine|slim|curl|windows|nanoserver", tag):
                line = 0
        if line is None:
            lines = (step.line for step in one.of("RUN") if "wget" in step.instruction.value and _installs_wget(step))
            line = next(lines, None)
        known.append((busybox, line))
    busybox, line = known[step.stage]
    if line is not None and (line < step.line or (line == step.line and not busybox)):
        return "--progress=dot:giga"
    return "-q" if busybox and line != step.line else None


def _installs_wget(step: Step) -> bool:
    return any(install.manager in ("apt", "apk") and "wget" in install.packages for install in step.installs)
