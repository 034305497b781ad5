"""Compose files: the services that are built from a Dockerfile, with the positions of what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockfix.project.files import Files


@dataclass(frozen=True)
class Mount:
    """A volume of a service: ``source`` None for an anonymous one; ``bind`` when it is a host path."""

    source: str | None
    target: str
    bind: bool
    read_only: bool


@dataclass(frozen=True)
class Service:
    """A service with ``build:``. ``context`` is repository-relative. ``line`` counts from 1 in ``path``.

    ``command`` and ``entrypoint`` are as written (a string, or a list joined as a tuple), None where absent.
    ``ports`` are the container ports that it publishes, with None for one that is not a plain number.
    ``environment`` has None for values that come from the host.
    """

    path: str
    name: str
    line: int
    context: str
    target: str | None
    command: str | tuple[str, ...] | None
    entrypoint: str | tuple[str, ...] | None
    user: str | None
    working_dir: str | None
    environment: Mapping[str, str | None]
    env_files: tuple[str, ...]
    ports: tuple[int | None, ...]
    mounts: tuple[Mount, ...]
    depends_on: tuple[str, ...]
    healthcheck: str | None
    """The text of its test command, "" if it is switched off."""


def services_for(files: Files, dockerfile_path: str) -> tuple[Service, ...]:
    """Return the services of every compose file that build this Dockerfile, in file order."""
    return ()
