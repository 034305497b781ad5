"""Plan one repository: look at its tip, clone it, run the chain, return the patch.

A worker is a function of its job: it may run in a thread here or on another machine, twice if need be. It writes
nothing but a scratch folder, and reads the token from its own environment, so that none travels in a job.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from dockfix.fleet.campaign import CampaignError, ChainSettings, ForgeSettings, Limits
from dockfix.fleet.clone import Clone, Head, clone, head_of
from dockfix.fleet.git import Away, Git, GitError
from dockfix.fleet.processes import Process, loaded_chain
from dockfix.fleet.secret import read_secret

_BUILDS: Final = 20
"""The most builds of one Dockerfile: before, after, again after a touch, and without one transform or another."""
_ENGINE: Final = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_BUILDKIT"),
    *("CONTAINER_HOST", "XDG_RUNTIME_DIR"),
)
"""What of the environment leads to a container engine."""


@dataclass(frozen=True, slots=True)
class Job:
    """One repository to plan. ``known`` is the commit whose result is in the journal already, or ""."""

    name: str
    url: str
    chain: ChainSettings
    forge: ForgeSettings
    limits: Limits
    known: str = ""
    scratch: str | None = None
    key: str = ""
    """What identifies the chain, where the worker may be another machine; "" where it is this one."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of a job. ``state`` is changed, unchanged, refused, failed, or cached: as the journal has it."""

    name: str
    state: str
    reason: str = ""
    commit: str = ""
    branch: str = ""
    patch: bytes = b""
    document: str = "{}"
    """The result as JSON (``result`` and ``about``), secrets masked."""
    seconds: float = 0
    clone_seconds: float = 0
    away: bool = False
    """Nobody answered."""


def plan_repository(job: Job) -> Planned:
    """Plan one repository. Never raises for what is the repository's own fault: that is its result.

    Raises ``CampaignError`` where this machine would run another chain than the one that asks.
    """
    start = time.monotonic()
    if job.key and chain_key(job.chain, _installed_code()) != job.key:
        raise CampaignError(f"the worker on {platform.node()} has another version of dockfix or of its transforms")
    with nullcontext(job.scratch) if job.scratch else tempfile.TemporaryDirectory(prefix="dockfix-") as place:
        secret = read_secret(job.forge, required=False)
        git = Git(place, secret, start + job.limits.seconds, job.limits.megabytes)
        head: Head | None = None
        try:
            head = head_of(git, job.url)
            if head is None:
                return Planned(job.name, "unchanged", "empty: it holds no commit")
            if head.commit == job.known:
                return Planned(job.name, "cached", commit=head.commit, branch=head.branch)
            with tempfile.TemporaryDirectory(prefix="dockfix-", dir=place, ignore_cleanup_errors=True) as scratch:
                return _cloned(job, git, head, scratch, start)
        except GitError as error:
            commit, branch = (head.commit, head.branch) if head else ("", "")
            away = isinstance(error, Away)
            return Planned(job.name, "failed", str(error), commit, branch, seconds=time.monotonic() - start, away=away)


def _cloned(job: Job, git: Git, head: Head, scratch: str, start: float) -> Planned:
    into = os.path.join(scratch, "clone")
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    cloned = clone(git, job.url, head, into, job.limits.megabytes)
    between = time.monotonic()
    planned = _planned(job, head, cloned, into, home, start + job.limits.seconds - between)
    return replace(planned, seconds=time.monotonic() - start, clone_seconds=between - start)


def _planned(job: Job, head: Head, cloned: Clone, into: str, home: str, seconds: float) -> Planned:
    from dockfix.project.disk import is_dockerfile_name

    def result(state: str, reason: str = "", patch: bytes = b"", document: str = "{}") -> Planned:
        return Planned(job.name, state, reason, cloned.commit, head.branch, patch, document)

    dockerfiles = sorted(path for path in cloned.files if is_dockerfile_name(path.rpartition("/")[2]))
    if not dockerfiles:
        return result("unchanged", "holds no Dockerfile")
    answer = _run_chain(job.chain, into, home, dockerfiles, max(1.0, seconds))
    if isinstance(answer, str):
        return result("failed", answer)
    found = answer["result"]
    verified: list[dict[str, Any]] = []
    if job.chain.verify and found["files"]:
        proved = _verify(job.chain, into, home, dockerfiles)
        if isinstance(proved, str):
            return result("failed", proved)
        found, verified, answer["patch"] = proved["result"], proved["verify"], proved["patch"]
    document = json.dumps({"result": found, "about": answer["about"], "verify": verified}, separators=(",", ":"))
    for file in found["files"]:
        if (place := cloned.outside(file["path"])) is not None:
            return result("refused", f"{file['path']}: {place} is a symbolic link or a submodule", document=document)
    for table in verified if not found["files"] else ():
        why = f"{table['path']}: {table['outcome']}" + (f": {table['error']}" if table["error"] else "")
        return result("failed" if table["outcome"] == "failed" else "refused", why, document=document)
    if found["files"]:
        return result("changed", "", answer["patch"].encode("latin-1"), document)
    if found["errors"]:
        first = found["errors"][0]
        return result("failed", f"{first['path']}: {first['message']}".removeprefix(": "), document=document)
    if found["skips"]:
        count = len(found["skips"])
        return result(
            "refused",
            found["skips"][0]["reason"] + (f" (and {count - 1} more)" if count > 1 else ""),
            document=document,
        )
    return result("unchanged", document=document)


def _run_chain(
    chain: ChainSettings, root: str, home: str, dockerfiles: list[str], seconds: float
) -> dict[str, Any] | str:
    """Run the chain in a process of its own; return its answer, or what went wrong."""
    request = _request(chain, root, home, dockerfiles)
    return loaded_chain().ask({**request, "home": home, "seconds": seconds}, seconds)


def _verify(chain: ChainSettings, root: str, home: str, dockerfiles: list[str]) -> dict[str, Any] | str:
    """Build and run it in containers, in a process of its own; return its answer, or what went wrong."""
    request = {**_request(chain, root, home, dockerfiles), "containers": asdict(chain.containers)}
    own = os.path.expanduser("~/.docker")  # its plug-ins, and who may pull what
    engine = {"DOCKER_CONFIG": own} if os.path.isdir(own) else {}
    engine |= {name: os.environ[name] for name in _ENGINE if name in os.environ}
    process = Process("dockfix.fleet.verify_process", home, engine)
    try:
        return process.ask(request, chain.containers.seconds * _BUILDS * len(dockerfiles))
    finally:
        process.end(gently=True)


def _request(chain: ChainSettings, root: str, home: str, dockerfiles: list[str]) -> dict[str, Any]:
    keys = ("select", "ignore", "safe_only", "options")
    return {
        "root": root,
        "dockerfiles": dockerfiles,
        "settings": {key: getattr(chain, key) for key in keys},
        "transforms": _written(chain.transforms, home),
    }


def chain_key(chain: ChainSettings, code: str = "") -> str:
    """Return what identifies the chain: its code, the transforms and tables, the options. Nothing is loaded for it.

    *code* is a hash of the installed code, where it is known already.
    """
    settings = json.dumps(asdict(chain), sort_keys=True, default=str)
    return hashlib.sha256(f"{code or _code()}\n{settings}".encode()).hexdigest()


@cache
def _installed_code() -> str:
    """Return a hash of the code that this process has loaded, or will: it looks once."""
    return _code()


def check_chain(chain: ChainSettings) -> None:
    """Raise ``CampaignError`` where a transform cannot be loaded or does not exist."""
    from dockfix.config import Config, ConfigError
    from dockfix.registry import RegistryError, choose, load_transforms

    with tempfile.TemporaryDirectory(prefix="dockfix-") as scratch:
        try:
            transforms = load_transforms(_written(chain.transforms, scratch))
            choose(transforms, chain.select, chain.ignore)
            choose(transforms, chain.options)
            Config(options=chain.options, path="[chain.options]").check(transforms)
        except (RegistryError, ConfigError) as error:
            raise CampaignError(re.sub(rf"{re.escape(scratch)}/transforms-\d+/", "", str(error))) from error


def _code() -> str:
    """Return a hash of the code and the tables of the installed packages that the chain is made of."""
    from dockfix.registry import OWN_PACKAGE, _installed_packages

    packages = {"dockfix", *(name.partition(".")[0] for name in (OWN_PACKAGE, *_installed_packages()))}
    digest = hashlib.sha256()
    for package in sorted(packages):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).rglob("*")):
                if path.suffix in (".py", ".toml"):
                    digest.update(f"{path.relative_to(folder)}\0".encode())
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _written(transforms: Iterable[tuple[str, str]], folder: str) -> list[str]:
    """Write files of transforms below *folder*; return their paths."""
    paths = []
    for number, (name, source) in enumerate(transforms):
        path = Path(folder, f"transforms-{number}", name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
        paths.append(str(path))
    return paths
