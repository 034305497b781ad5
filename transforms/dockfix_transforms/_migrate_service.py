"""The compose service that migrates the database once, and the services that wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.project.compose import Service
from dockfix.syntax.compose import read_yaml
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._compose_files import (
    ComposeFile,
    compose_files,
    dependencies,
    known_image,
    overridden,
    swarm,
    wait_for,
)
from dockfix_transforms._migrations import MENTION, Migration
from dockfix_transforms._obstacle import Obstacle

if TYPE_CHECKING:
    from dockfix.syntax.yaml_layout import New
    from dockfix.syntax.yaml_tree import Keys, Node, Tree

NAME: Final = "migrate"
_COPIED: Final = (
    *("build", "image", "platform", "profiles", "env_file", "environment", "volumes", "secrets", "configs"),
    *("networks", "network_mode", "links", "external_links", "extra_hosts", "dns", "dns_search", "dns_opt"),
    *("tmpfs", "cap_add", "privileged", "group_add", "pull_policy", "working_dir", "user", "depends_on"),
)
"""What a service that does the same work as another one shares with it: no ports, name, restart or health check."""
_SAID: Final = frozenset({"image", "build", "command", "entrypoint", "depends_on", "environment", "env_file"})
_SQLITE: Final = pattern(r"\bsqlite3?\b")
_SERVER: Final = pattern(
    r"postgres|psycopg|mysql|mariadb|oracle|mssql|DATABASE_URL|DB_HOST|SQL_HOST|DATABASE_HOST|dj_database_url|env\.db\("
)


def services_that_migrate(build: Build, migration: Migration) -> tuple[Service, ...]:
    """Return the compose services whose containers run the migration when they start."""
    in_entrypoint = migration.shell.step.keyword == "ENTRYPOINT"
    return tuple(
        service
        for service in build.project.services
        if service.kind == "built"
        and service.entrypoint is None
        and (in_entrypoint or service.command is None)
        and service.target in (None, build.final.name)
    )


def edits_of(build: Build, migration: Migration, services: tuple[Service, ...]) -> dict[str, list[Edit]]:
    """Return the edits of every compose file with one of *services*. Raises ``Obstacle``."""
    found: dict[str, list[Edit]] = {}
    for file in compose_files(build):
        names = [service.name for service in services if service.path == file.path]
        if names:
            found[file.path] = _file(build, migration, file, names)
    if {service.path for service in services} - set(found):
        raise Obstacle("a compose file cannot be read", *migration.place)
    _check_database(build, migration)
    return found


def _file(build: Build, migration: Migration, file: ComposeFile, names: list[str]) -> list[Edit]:
    from dockfix.syntax.yaml_edit import Editing, add_key

    model = next((name for name in names if "command" not in file.services[name]), names[0])
    line = file.lines.get(model, 0)
    if reason := swarm(build, file):
        raise Obstacle(reason, line, file.path)
    for name, service in file.services.items():
        command = service.get("command")
        text = " ".join(map(str, command)) if isinstance(command, tuple) else str(command or "")
        if name == NAME or (name not in names and MENTION.search(text)):
            raise Obstacle(f"the service {name} may migrate already", file.lines.get(name, 0), file.path)
        images = {file.services[one].get("image") for one in names} - {None}
        if name not in names and service.get("image") in images and "build" not in service and "command" not in service:
            raise Obstacle(f"{name} runs the image as well", file.lines.get(name, 0), file.path)
    for name in names:
        if "extends" in file.services[name]:
            raise Obstacle(f"{name} extends another service", file.lines.get(name, 0), file.path)
        if (other := overridden(build, file, name, _SAID)) is not None:
            raise Obstacle(f"{other} changes the service {name}", file.lines.get(name, 0), file.path)
    _check_waiting(migration, file, model, line)
    editing = Editing(file.text)
    if not editing.apply(
        add_key(editing.text, ("services",), NAME, _service(migration, file, model, line), after=[model])
    ):
        raise Obstacle(f"a service cannot be added to {file.name} as it is written", line, file.path)
    if _apart(file):
        editing.apply(_blank_above(editing.text))
    for name in names:
        if not _waits(editing, file, name):
            raise Obstacle(f"the depends_on of {name} is shared or written in a way that is not plain", line, file.path)
    return list(editing.edits())


def _apart(file: ComposeFile) -> bool:
    """Whether empty lines stand between the services."""
    lines = file.text.splitlines()
    return any(not lines[line - 2].strip() for line in sorted(file.lines.values())[1:])


def _blank_above(text: str) -> list[Edit]:
    document = read_yaml(text)
    entry = document.positions.get(("services", NAME)) if document else None
    if entry is None:
        return []
    newline = "\r\n" if "\r\n" in text else "\n"
    return [insert(text.rfind("\n", 0, entry.key_start) + 1, newline)]


def _waits(editing: object, file: ComposeFile, name: str) -> bool:
    from dockfix.syntax.yaml_edit import Editing, add_key

    assert isinstance(editing, Editing)
    condition: dict[str, New] = {"condition": "service_completed_successfully"}
    service = file.services[name]
    if "depends_on" not in service:
        return editing.apply(add_key(editing.text, ("services", name), "depends_on", {NAME: condition}))
    if isinstance(service["depends_on"], tuple) and not editing.apply(
        wait_for(editing.text, name, dependencies(service))
    ):
        return False
    return editing.apply(add_key(editing.text, ("services", name, "depends_on"), NAME, condition))


def _check_waiting(migration: Migration, file: ComposeFile, name: str, line: int) -> None:
    """Raise ``Obstacle`` unless something waits for the database before the migration."""
    known = {one: known_image(service) for one, service in file.services.items()}
    databases = [one for one, entry in known.items() if entry is not None and entry.get("database")]
    if not databases:
        raise Obstacle("no service of it is a database that is known", line, file.path)
    conditions = dependencies(file.services[name])
    needed = [one for one in databases if one in conditions]
    if not needed:
        raise Obstacle(f"{name} depends on no database", line, file.path)
    if migration.shell.passes and migration.waits:
        return
    late = [one for one in needed if conditions[one] != "service_healthy"]
    if late:
        raise Obstacle(
            f"{name} does not wait until {late[0]} is healthy: the migration would run too early", line, file.path
        )


def _check_database(build: Build, migration: Migration) -> None:
    """Raise ``Obstacle`` where the database is a file of the container."""
    context = build.project.context
    found: str | None = None
    for path in context.paths:
        if path.endswith(".py") and "/test" not in f"/{path}":
            text = context.text(path) or ""
            if _SERVER.search(text):
                return
            if found is None and _SQLITE.search(text):
                found = path
    if found is not None:
        place = context.repository_path(found)
        raise Obstacle("the database is a file, which another container does not have", 0, place)


def _service(migration: Migration, file: ComposeFile, name: str, line: int) -> dict[str, New]:
    """Return the new service: what *name* says of image, environment and files, and the command."""
    from dockfix.syntax.yaml_tree import Keys, Scalar, read_tree

    tree = read_tree(file.text)
    node = tree.at(("services", name)) if tree else None
    if tree is None or not isinstance(node, Keys) or node.find("<<") is not None or node.anchor in tree.aliases:
        raise Obstacle(f"the settings of {name} are shared with other services", line, file.path)
    values = {key.value: value for key, value in node.entries if isinstance(key, Scalar)}
    if any(one in str(file.services[name].get("networks")) for one in ("ipv4_address", "ipv6_address", "mac_address")):
        raise Obstacle(f"{name} has an address of its own, which no second container can have", line, file.path)
    found: dict[str, New] = {}
    for key in ("build", "image"):
        if key in values:
            found[key] = _value(tree, values[key], file, line)
    words = tuple(word.replace("$", "$$") for word in migration.alone())
    of_entrypoint = migration.shell.step.keyword == "ENTRYPOINT" and not migration.shell.passes
    found["entrypoint" if of_entrypoint else "command"] = words
    for key in _COPIED:
        if key in values and key not in found:
            found[key] = _value(tree, values[key], file, line)
    return found


def _value(tree: Tree, node: Node, file: ComposeFile, line: int) -> New:
    """Return a node as a new value. Raises ``Obstacle`` where anchors, tags or several lines are in it."""
    from dockfix.syntax.yaml_tree import Items, Keys, Scalar

    plain = node.anchor is None and node.tag is None
    if isinstance(node, Scalar) and plain and node.style not in ("|", ">") and "\n" not in node.value:
        kind = node.resolved.rpartition(":")[2]
        if kind == "null":
            return None
        if kind == "bool" and node.value.lower() in ("true", "false"):
            return node.value.lower() == "true"
        if kind == "int" and node.value.isdecimal() and str(int(node.value)) == node.value:
            return int(node.value)
        return node.value
    if isinstance(node, Items) and plain:
        items = [_value(tree, item, file, line) for item in node.items]
        return tuple(items) if node.flow else items
    if isinstance(node, Keys) and plain and node.find("<<") is None:
        return _mapping(tree, node, file, line)
    raise Obstacle("its settings are shared, or written in a way that is not plain", line, file.path)


def _mapping(tree: Tree, node: Keys, file: ComposeFile, line: int) -> Mapping[str, New]:
    from dockfix.syntax.yaml_tree import Scalar

    return {key.value: _value(tree, value, file, line) for key, value in node.entries if isinstance(key, Scalar)}
