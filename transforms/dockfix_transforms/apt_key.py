"""The transform apt-key."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from dockfix.build.lineage import lineage
from dockfix.records import record, replace
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step
    from dockfix.syntax.shell import Command, Script

_FOLDER: Final = "/etc/apt/trusted.gpg.d"
_ADDRESS: Final = pattern(r"https?://([\w.-]+)/\S*\Z")
_ARMOURED: Final = pattern(
    r"https?://(?:\S+\.asc|dl\.yarnpkg\.com/debian/pubkey\.gpg|dl(?:-ssl)?\.google\.com/linux/linux_signing_key\.pub"
    r"|download\.docker\.com/linux/(?:debian|ubuntu)/gpg|packages\.cloud\.google\.com/apt/doc/apt-key\.gpg"
    r"|deb\.nodesource\.com/gpgkey/nodesource\.gpg\.key|packagecloud\.io/\S+/gpgkey)\Z"
)
_NEW_ENOUGH: Final = pattern(
    r"(?:.*-)?(?:stretch|buster|bullseye|bookworm|trixie|sid|bionic|focal|jammy|noble|stable|testing|unstable)(?:-.*)?\Z"
)
_VERSIONS: Final = {"debian": 9.0, "ubuntu": 18.0, "python": 3.06, "node": 10.0}


@record
class _Key:
    """``fetch`` writes the key to its output, ``add`` reads it; ``file`` is where it belongs."""

    fetch: Command
    add: Command
    file: str


@transform(safety=Safety.SAFE, phase=Phase.SYNTAX)
def apt_key(build: Build) -> Iterator[Fix | Skip]:
    """Write the keys of package archives to files, without apt-key.

    Why: apt-key was on its way out for years, and Debian 13 has none any more: there the build ends with "not found".
    apt reads the files of /etc/apt/trusted.gpg.d as it reads what apt-key wrote.

    Example:
         FROM debian:bookworm-slim
        -RUN curl -fsSL https://example.com/archive.asc | apt-key add -
        +RUN curl -fsSL https://example.com/archive.asc > /etc/apt/trusted.gpg.d/example.com.asc

    When it holds back: a key of which it is not known whether it is text or binary, since the file's name has to tell;
    keys from a key server or a file; sudo; two keys from one host; a release of apt before 1.4, or one that is not
    known.

    Source: apt-key(8), "DEPRECATION" (https://manpages.debian.org/bookworm/apt/apt-key.8.en.html).
    """
    if "apt-key" not in build.dockerfile.text:
        return
    files: set[str] = set()
    for step in build.steps:
        script = step.script if step.keyword == "RUN" and "apt-key" in step.instruction.value else None
        for key in _keys(step, script) if script is not None else ():
            if isinstance(key, Skip):
                yield key
            elif not _reads_text_keys(build, step):
                yield Skip("apt-key stays: whether apt is 1.4 or newer is not known", step.line)
            elif key.file in files or key.file in build.dockerfile.text:
                yield Skip(f"apt-key stays: two keys would be {key.file}", step.line)
            elif script is not None:
                files.add(key.file)
                edit = Edit(script.span(key.fetch)[1], script.span(key.add)[1], f" > {key.file}")
                yield Fix(f"write the key to {key.file}", {build.path: [edit]}, step.line)


def _keys(step: Step, script: Script) -> Iterator[_Key | Skip]:
    commands = [command for command in script.commands if not command.substitution]
    for at, command in enumerate(commands):
        words = list(command.argv)
        if words[:2] == ["sudo", "apt-key"]:
            yield Skip("apt-key stays: the file would be written without sudo", step.line)
            continue
        if words[:1] != ["apt-key"] or words[1:2] == ["list"]:
            continue
        if (
            words[1:] != ["add", "-"]
            or command.before != "|"
            or not at
            or command.after == "|"
            or command.redirects
            or command.assignments
        ):
            yield Skip("apt-key stays: the key comes from a key server or a file", step.line)
            continue
        fetch = commands[at - 1]
        first = commands[at - 2] if fetch.before == "|" and at > 1 else fetch
        armoured = fetch is first and _text_key(first)
        binary = fetch is not first and fetch.argv in (("gpg", "--dearmor"), ("gpg", "--dearmor", "-"))
        host = _host(first)
        if first.before == "|" or host is None or fetch.redirects or not (armoured or binary):
            yield Skip("apt-key stays: whether the key is text or binary is not known", step.line)
        else:
            yield _Key(fetch, command, f"{_FOLDER}/{host}.{'asc' if armoured else 'gpg'}")


def _host(command: Command) -> str | None:
    """Return the host from which curl or wget fetches to its output, None for anything else."""
    words = [value for value in command.argv if value is not None]
    if len(words) != len(command.words) or posixpath.basename(words[0] if words else "") not in ("curl", "wget"):
        return None
    if any(re.match(r"(?:--output|--remote-name|-[a-zA-Z]*[oO])\b", word) for word in words) and words[0] == "curl":
        return None
    if words[0] == "wget" and not re.search(r"(?:\s-\w*O\s*-|--output-document[= ]-)(?:\s|\Z)", " ".join(words)):
        return None
    hosts = [match[1] for word in words if (match := _ADDRESS.match(word))]
    return hosts[0] if len(hosts) == 1 else None


def _text_key(command: Command) -> bool:
    return any(_ARMOURED.match(word) for word in command.argv if word is not None)


def _reads_text_keys(build: Build, step: Step) -> bool:
    """Whether the image's apt reads keys in text, as apt does since 1.4."""
    image = lineage(replace(build, stages=build.stages[: step.stage + 1]))[0].image
    if image is None:
        return False
    tag = image.tag or "latest"
    if _NEW_ENOUGH.match(tag):
        return True
    first = _VERSIONS.get(image.repository.rpartition("/")[2])
    if first is None or not (image.official or image.registry in ("mirror.gcr.io", "public.ecr.aws")):
        return False
    match = re.match(r"(\d+)(?:\.(\d+))?", tag)
    if match is None:
        return tag in ("latest", "slim")
    named = re.search(r"(?:jessie|wheezy|squeeze|trusty|xenial|precise)", tag)
    return named is None and int(match[1]) + int(match[2] or 99) / 100 >= first
