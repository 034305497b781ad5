"""The compose files that a Dockerfile's services live in, as the transforms that edit them see them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from dockfix.build.model import Build
from dockfix.project.compose_files import overlays, services_of, used_with
from dockfix.project.files import Files
from dockfix.project.invocations import candidates, default_of
from dockfix.records import record
from dockfix.syntax.compose import Value, read_yaml
from dockfix.syntax.image import parse_image
from dockfix.syntax.patterns import pattern
from dockfix_transforms._knowledge import table

if TYPE_CHECKING:
    from dockfix.syntax.edit import Edit
    from dockfix.syntax.yaml_layout import New

_STACK: Final = pattern(r"\bdocker[ \t]+stack[ \t]+(?:deploy|up)\b|\becs-cli[ \t]+compose\b")
_SWARM: Final = frozenset({"placement", "update_config", "rollback_config", "endpoint_mode", "mode"})
_VERSION: Final = pattern(r"v?(\d+)(?:\.(\d+))?")


@record
class ComposeFile:
    """A compose file with ``services:``, merges (``<<``) resolved."""

    path: str
    text: str
    data: Mapping[str, Value]
    services: Mapping[str, Mapping[str, Value]]
    lines: Mapping[str, int]
    """The line of each service."""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return posixpath.basename(self.path)


def compose_files(build: Build) -> Iterator[ComposeFile]:
    """Yield the compose files that have a service which is built from this Dockerfile."""
    for path in _paths(build):
        found = compose_file(build.project.files, path)
        if found is not None:
            yield found


def _paths(build: Build) -> list[str]:
    return list(dict.fromkeys(service.path for service in build.project.services if service.kind == "built"))


def beside(build: Build) -> Iterator[ComposeFile]:
    """Yield these files, the other compose files in their folders and those that are used together with them."""
    repository = build.project.files
    mine = _paths(build)
    folders = {posixpath.dirname(path) for path in mine}
    paths = {one for one, kind in candidates(repository) if kind == "compose" and posixpath.dirname(one) in folders}
    for path in sorted(paths.union(mine, *(used_with(repository, one) for one in mine))):
        found = compose_file(repository, path)
        if found is not None:
            yield found


def compose_file(repository: Files, path: str) -> ComposeFile | None:
    """Read one compose file; None where it cannot be read or has no services."""
    text = repository.text(path)
    document = read_yaml(text) if text else None
    services = document.data.get("services") if document else None
    if text is None or document is None or not isinstance(services, Mapping):
        return None
    known = {name: service for name, service in services.items() if isinstance(service, Mapping)}
    lines = {name: entry.line for name in known if (entry := document.positions.get(("services", name)))}
    return ComposeFile(path, text, document.data, known, lines)


def swarm(build: Build, file: ComposeFile) -> str | None:
    """Return why the file is one for ``docker stack``, which reads the old format alone; None where nothing says so."""
    for name, service in file.services.items():
        deploy = service.get("deploy")
        if isinstance(deploy, Mapping) and (keys := _SWARM.intersection(deploy)):
            return f"{name} is deployed to a swarm ({min(keys)}), and docker stack reads the old format"
    for folder in sorted({"", posixpath.dirname(file.path)}):
        for name in ("README.md", "readme.md", "README.rst", "README"):
            if _STACK.search(build.project.files.text(posixpath.join(folder, name)) or ""):
                return f"{posixpath.join(folder, name)} deploys with docker stack or ecs-cli, which read the old format"
    for path, kind in candidates(build.project.files):
        around = "" if kind == "workflow" else posixpath.dirname(posixpath.dirname(path))  # of scripts/deploy.sh
        if around and not file.path.startswith(f"{around}/"):
            continue
        if kind in ("make", "script", "workflow") and _STACK.search(build.project.files.text(path) or ""):
            return f"{path} deploys it with docker stack or ecs-cli, which read the old format"
    return None


def overridden(build: Build, file: ComposeFile, name: str, keys: frozenset[str]) -> str | None:
    """Return the path of a file that is laid over this one and says one of *keys* of this service."""
    files = build.project.files
    return next(
        (path for path in overlays(files, file.path) if keys.intersection(services_of(files, path).get(name, {}))), None
    )


def known_image(service: Mapping[str, Value]) -> Mapping[str, Any] | None:
    """Return what ``knowledge/services.toml`` says of the image that a service runs."""
    name = service.get("image")
    image = parse_image(default_of(name)) if isinstance(name, str) and "build" not in service else None
    if image is None:
        return None
    repository = image.repository
    if image.registry not in (None, "docker.io", "index.docker.io"):
        repository = f"{image.registry}/{repository}"
    version = _number(image.tag or "", newest=True)
    entries: list[Mapping[str, Any]] = table("services")["service"]
    for entry in entries:
        if repository in entry["images"]:
            lowest, below = _number(entry.get("from", "0")), _number(entry.get("below", ""))
            if (lowest or (0, 0)) <= (version or (999, 0)) < (below or (1000, 0)):
                return entry
    return None


def _number(text: str, *, newest: bool = False) -> tuple[int, int] | None:
    """Return major and minor version; *newest*: ``3`` is the last of its minor versions."""
    match = _VERSION.match(text)
    return (int(match.group(1)), int(match.group(2) or (999 if newest else 0))) if match else None


def environment(service: Mapping[str, Value]) -> dict[str, str | None]:
    """Return the variables of a service; None for those that come from compose's own environment."""
    value = service.get("environment")
    if isinstance(value, Mapping):
        return {name: item if isinstance(item, str) else None for name, item in value.items()}
    found: dict[str, str | None] = {}
    for item in value if isinstance(value, tuple) else ():
        if isinstance(item, str):
            name, equals, text = item.partition("=")
            found[name] = text if equals else None
    return found


def words(value: Value) -> str:
    """Return a command, string or list, as one text."""
    if isinstance(value, tuple):
        return " ".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def dependencies(service: Mapping[str, Value]) -> dict[str, str]:
    """Return the services that one depends on, each with its condition."""
    value = service.get("depends_on")
    if isinstance(value, tuple):
        return {item: "service_started" for item in value if isinstance(item, str)}
    found: dict[str, str] = {}
    for name, item in value.items() if isinstance(value, Mapping) else ():
        condition = item.get("condition") if isinstance(item, Mapping) else None
        found[name] = condition if isinstance(condition, str) else "service_started"
    return found


def wait_for(text: str, service: str, conditions: Mapping[str, str]) -> list[Edit] | None:
    """Turn the short ``depends_on`` of a service into the long one, with the condition of each dependency."""
    from dockfix.syntax.yaml_edit import items_to_keys

    values: dict[str, Mapping[str, New]] = {name: {"condition": value} for name, value in conditions.items()}
    return items_to_keys(text, ("services", service, "depends_on"), values)
