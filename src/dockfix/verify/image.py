"""What is in an image: its configuration, its layers, the Python packages and the application's files."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from typing import Any, Final, NamedTuple

from dockfix.verify.engine import LABEL, Engine, EngineError, RunRequest

PYTHONS: Final = (
    "python3",
    "python",
    "/usr/local/bin/python3",
    "/usr/bin/python3",
    "/opt/venv/bin/python",
    "/venv/bin/python",
    "/app/.venv/bin/python",
)
_MOST_FILES: Final = 500_000_000
_PASSED_OVER: Final = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


class Configuration(NamedTuple):
    """What the image's configuration says to whoever runs it."""

    user: str
    ports: frozenset[str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    volumes: frozenset[str]
    workdir: str
    stop_signal: str
    health: tuple[str, ...]
    """The test of HEALTHCHECK; empty without one."""


class Package(NamedTuple):
    """A Python distribution, by its normalised name."""

    version: str
    requires: tuple[str, ...]


class Image(NamedTuple):
    """An image and what is in it. None where that could not be found out."""

    id: str
    size: int
    layers: tuple[tuple[str, int], ...]
    configuration: Configuration
    python: str | None
    packages: Mapping[str, Package] | None
    files: Mapping[str, str] | None
    """Of the application: path to what it is (the hash of a file, the target of a link, "" for a folder)."""


def examine(engine: Engine, image: str, folders: Sequence[str], scratch: str, request: RunRequest) -> Image:
    """Return what is in *image*; *folders* hold the application. *request* has the limits. Raises ``EngineError``."""
    facts = engine.inspect(image)
    configuration = read_configuration(facts)
    python, packages = _packages(engine, request._replace(image=image, workdir=configuration.workdir or "/"))
    files = _files(engine, request._replace(image=image), folders, scratch)
    return Image(image, int(facts.get("Size", 0)), tuple(engine.layers(image)), configuration, python, packages, files)


def read_configuration(facts: Mapping[str, Any]) -> Configuration:
    """Read what ``image inspect`` says."""
    config: Mapping[str, Any] = facts.get("Config") or {}
    health = config.get("Healthcheck") or facts.get("Healthcheck") or facts.get("HealthCheck") or {}
    test = tuple(health.get("Test") or ())
    pairs = (text.partition("=") for text in config.get("Env") or ())
    return Configuration(
        user=str(config.get("User") or facts.get("User") or ""),
        ports=frozenset(config.get("ExposedPorts") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        environment={name: value for name, _, value in pairs},
        labels={name: str(value) for name, value in (config.get("Labels") or {}).items() if _is_own(name)},
        volumes=frozenset(config.get("Volumes") or ()),
        workdir=str(config.get("WorkingDir") or ""),
        stop_signal=str(config.get("StopSignal") or ""),
        health=() if test[:1] == ("NONE",) else test,
    )


def _is_own(label: str) -> bool:
    """Whether a label is the image's: not the one of this run, nor what the builder adds."""
    return label != LABEL and not label.startswith("io.buildah.")


def _packages(engine: Engine, request: RunRequest) -> tuple[str | None, Mapping[str, Package] | None]:
    """Return the image's Python and the packages that it and the environments beside it have."""
    script = resources("dockfix.verify.inside").joinpath("inventory.py").read_text("utf-8")
    for python in PYTHONS:
        try:
            done = engine.run_once(
                request._replace(entrypoint=(python,), command=("-c", script), user="0", network="none"), timeout=120
            )
        except EngineError:
            continue
        if not done.ok:
            continue
        try:
            seen = json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            continue
        return python, packages_of(seen["distributions"], seen["python"])
    return None, None


def packages_of(distributions: Sequence[tuple[str, str, Sequence[str]]], python: str) -> dict[str, Package]:
    """Return the packages by name; *distributions* are names, versions and requirements as the metadata have them.

    A package requires what its requirements name where their markers hold for the *python* version, those of the extras
    included that any other one asks for.
    """
    from packaging.markers import default_environment
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    here = {name: str(value) for name, value in default_environment().items()}
    environment = {**here, **linux, "python_version": python, "python_full_version": f"{python}.30"}
    listed: dict[str, list[Requirement]] = {}
    for name, _, texts in distributions:
        for text in texts:
            try:
                listed.setdefault(name, []).append(Requirement(text))
            except InvalidRequirement:
                continue
    needs: dict[str, set[str]] = {name: set() for name, _, _ in distributions}
    pending = [(name, "") for name in needs]
    done = set(pending)
    while pending:
        name, extra = pending.pop()
        for one in listed.get(name, ()):
            if one.marker is not None and not one.marker.evaluate({**environment, "extra": extra}):
                continue
            other = canonicalize_name(one.name)
            needs[name].add(other)
            wanted = {(other, asked) for asked in one.extras if other in needs} - done
            done |= wanted
            pending += wanted
    return {name: Package(version, tuple(sorted(needs[name]))) for name, version, _ in distributions}


def _files(engine: Engine, request: RunRequest, folders: Sequence[str], scratch: str) -> Mapping[str, str] | None:
    """Return the files below *folders* of the image, read from a container that is never started."""
    found: dict[str, str] = {}
    container = engine.create(request._replace(command=("true",), environment={}, network="none"))
    archive = os.path.join(scratch, "files.tar")
    try:
        for folder in folders:
            if engine.copy_out(container, folder, archive, _MOST_FILES):
                found.update(_listed(archive, posixpath.dirname(folder)))
            elif os.path.getsize(archive) >= _MOST_FILES:
                return None
    finally:
        engine.remove_container(container)
        if os.path.exists(archive):
            os.unlink(archive)
    return found


def _listed(archive: str, parent: str) -> dict[str, str]:
    found: dict[str, str] = {}
    environments: list[str] = []
    with tarfile.open(archive, "r|") as tar:
        for member in tar:
            path = posixpath.join(parent, member.name.strip("/"))
            if posixpath.basename(path) == "pyvenv.cfg":
                environments.append(posixpath.dirname(path) + "/")
            if not _PASSED_OVER.isdisjoint(path.split("/")) or path.endswith(".pyc"):
                continue
            if member.issym():
                found[path] = f"-> {member.linkname}"
            elif member.isfile():
                content = tar.extractfile(member)
                digest = hashlib.sha256()
                while content is not None and (data := content.read(1 << 20)):
                    digest.update(data)
                found[path] = f"{digest.hexdigest()}{' executable' if member.mode & 0o100 else ''}"
            elif member.isdir():
                found[path] = ""
    return {path: kind for path, kind in found.items() if not path.startswith(tuple(environments) or ("\0",))}
