"""The transform compose-healthy-dependencies."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dockfix.build.model import Build
from dockfix.syntax.compose import Value
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._compose_files import (
    ComposeFile,
    compose_files,
    dependencies,
    environment,
    known_image,
    overridden,
    swarm,
    wait_for,
    words,
)

_HEALTHY: Final = "service_healthy"
_RETRIES: Final = 10
_SHOWN: Final = 4
"""How many services a title names."""
_FIRST_START: Final = "5m"
"""For a database that loads /docker-entrypoint-initdb.d: failures do not count while it does."""


class _Obstacle(Exception):
    pass


@transform(safety=Safety.REVIEW, phase=Phase.COMPOSE)
def compose_healthy_dependencies(build: Build) -> Iterator[Fix | Skip]:
    """Give databases and caches in compose files a health check, and let the services that need them wait for it.

    Why: ``depends_on: [db]`` waits until the container of the database runs, not until the database answers: on the
    first start the program fails, or needs a loop that tries again.

    Example:
         FROM python:3.12-slim
         COPY . /app
         CMD ["python", "/app/main.py"]
        @@ compose.yaml
         services:
           web:
             build: .
             depends_on:
        -      - db
        +      db:
        +        condition: service_healthy
           db:
             image: postgres:17
             environment:
               POSTGRES_USER: shop
        +    healthcheck:
        +      test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U $${POSTGRES_USER} -d postgres"]
        +      interval: 5s
        +      timeout: 5s
        +      retries: 10
        +      start_period: 30s

    A health check of the owner's stays as it is; where it asks the same, the services wait for it. Dependencies whose
    image is not known go on being waited for as before (``service_started``).

    When it holds back: images that are not in ``knowledge/services.toml``; a command, an entry point or ports of the
    database that the check does not fit; a health check that is switched off; settings that anchors, ``extends`` or an
    override file share; ``condition`` written out already; files for ``docker stack deploy``, which takes the short
    form alone.

    Source: Docker's documentation, "Control startup and shutdown order in Compose"
    (https://docs.docker.com/compose/how-tos/startup-order/); each check's in ``knowledge/services.toml``.
    """
    for file in compose_files(build):
        yield from _file(build, file)


def _file(build: Build, file: ComposeFile) -> Iterator[Fix | Skip]:
    waiting = {
        name: wanted
        for name, service in file.services.items()
        if isinstance(service.get("depends_on"), tuple) and (wanted := dependencies(service))
    }
    asked = {name for wanted in waiting.values() for name in wanted if name in file.services}
    asked |= _unchecked(file)
    known = {name: entry for name in file.services if name in asked and (entry := known_image(file.services[name]))}
    known = {name: entry for name, entry in known.items() if not _switched_off(file.services[name])}
    if not known:
        return
    reason = swarm(build, file)
    if reason is not None:
        yield Skip(reason, path=file.path)
        return
    from dockfix.syntax.yaml_edit import Editing, add_key

    editing = Editing(file.text)
    healthy: list[str] = []
    new: list[str] = []
    refused: list[str] = []
    for name, entry in known.items():
        try:
            check = _check(build, file, name, entry)
        except _Obstacle as obstacle:
            refused.append(f"{name} gets no health check: {obstacle}")
            yield Skip(refused[-1], file.lines.get(name, 0), file.path)
            continue
        if check is not None:
            if not editing.apply(add_key(editing.text, ("services", name), "healthcheck", check)):
                reason = f"{name} gets no health check: it cannot be added as the file is written"
                yield Skip(reason, file.lines.get(name, 0), file.path)
                continue
            new.append(name)
        healthy.append(name)
    waits: list[str] = []
    for name, wanted in waiting.items():
        conditions = {one: _HEALTHY if one in healthy else condition for one, condition in wanted.items()}
        if conditions == wanted:
            continue
        if editing.apply(wait_for(editing.text, name, conditions)):
            waits.append(name)
        else:
            reason = f"{name} does not wait: its depends_on is shared or written in a way that is not plain"
            yield Skip(reason, file.lines.get(name, 0), file.path)
    if waits or (new and _awaited(file, new)):
        yield _fix(build, file, editing.edits(), new, waits, healthy, refused)


def _unchecked(file: ComposeFile) -> set[str]:
    """Return the services that others wait for to be healthy and that have no health check."""
    found = {
        name
        for service in file.services.values()
        for name, condition in dependencies(service).items()
        if condition == _HEALTHY
    }
    return {name for name in found if name in file.services and "healthcheck" not in file.services[name]}


def _awaited(file: ComposeFile, names: list[str]) -> bool:
    return not _unchecked(file).isdisjoint(names)


def _fix(
    build: Build,
    file: ComposeFile,
    edits: list[Any],
    new: list[str],
    waits: list[str],
    healthy: list[str],
    refused: list[str],
) -> Fix:
    if waits:
        title = f"{_listed(waits)}: wait until {_listed(healthy)} {'is' if len(healthy) == 1 else 'are'} healthy"
    else:
        title = f"{_listed(new)}: a health check, which others wait for"
    notes = [f"{reason}." for reason in refused]
    if waits:
        notes.append(f"A health check that fails keeps {_listed(waits)} from starting.")
    if re.match(r"3|2(?:\.0)?\Z", str(file.data.get("version", ""))):
        notes.append(f"docker-compose before 1.27 refuses conditions in {file.name}; every docker compose reads them.")
    return Fix(title, {file.path: edits}, build.final.steps[0].line, notes=tuple(notes))


def _listed(names: list[str]) -> str:
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 1], f"{len(names) - _SHOWN + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _switched_off(service: Mapping[str, Value]) -> bool:
    check = service.get("healthcheck")
    return isinstance(check, Mapping) and (check.get("disable") == "true" or words(check.get("test")) == "NONE")


def _check(build: Build, file: ComposeFile, name: str, entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the health check that the service is to get, None where it has one that can be waited for."""
    service = file.services[name]
    if "extends" in service:
        raise _Obstacle("it extends another service")
    shared = frozenset({"image", "build", "command", "entrypoint", "healthcheck"})
    if (other := overridden(build, file, name, shared)) is not None:
        raise _Obstacle(f"{other} changes the service")
    present = service.get("healthcheck")
    if present is not None:
        test = words(present.get("test")) if isinstance(present, Mapping) else ""
        if not re.search(entry["known"], test) or _fails(build, file, present, test):
            raise _Obstacle("whether the one that it has works is not known")
        return None
    if "entrypoint" in service:
        raise _Obstacle("it has an entry point of its own")
    env = environment(service)
    command = " ".join([words(service.get("command")), env.get("REDIS_ARGS") or ""])
    if match := re.search(entry.get("unless", r"\A(?!)"), command):
        raise _Obstacle(f"its command says {match.group().strip()}")
    ports = [_container_port(port) for port in _items(service.get("ports"))]
    if ports and None not in ports and str(entry["port"]) not in ports:
        raise _Obstacle(f"it publishes other ports than {entry['port']}")
    if "network_mode" in service and "$HOSTNAME" in str(entry["check"]):
        raise _Obstacle("it has the network, and the name, of something else")
    for variable, value in entry.get("needs", {}).items():
        if env.get(variable) != value:
            raise _Obstacle(f"{variable} is not {value}")
    for variable in entry.get("lacks", ()):
        if variable in env:
            raise _Obstacle(f"{variable} is set")
    check = str(entry["check"]).strip()
    if "auth" in entry and re.search(entry["auth"], command):
        check = str(entry["check_auth"])
    mounts = " ".join(words((mount,)) for mount in _items(service.get("volumes")))
    slow = entry.get("database") and "docker-entrypoint-initdb.d" in mounts
    return {
        "test": _test(check, env, "env_file" in service),
        "interval": entry["interval"],
        "timeout": entry["timeout"],
        "retries": _RETRIES,
        "start_period": _FIRST_START if slow else entry["start_period"],
    }


def _fails(build: Build, file: ComposeFile, check: Value, test: str) -> bool:
    """Whether a health check never succeeds, as nobody noticed so far: a shell's words without a shell, no value."""
    items = check.get("test") if isinstance(check, Mapping) else None
    if isinstance(items, tuple) and items[:1] == ("CMD",):
        said = [item for item in items[1:] if isinstance(item, str)]
        if not said or re.search(r"\s", said[0]) or {"||", "&&", "|", ";"} & set(said):
            return True
    folder = posixpath.dirname(file.path)
    known = "".join(build.project.files.text(posixpath.join(folder, name)) or "" for name in (".env", ".env.example"))
    for name in re.findall(r"(?<!\$)\$\{?(\w+)(?![\w:-])", test):  # compose's own variable, not the container's
        uses = re.findall(rf"\$\{{?{name}\b", file.text)
        if len(uses) <= len(re.findall(rf"\$\{{?{name}\b", test)) and not re.search(rf"(?m)^\s*{name}\s*=", known):
            return True
    return False


def _test(check: str, env: Mapping[str, str | None], more: bool) -> tuple[str, ...]:
    """Return the ``test``: the service's own variables, the default where it has none."""

    def variable(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name not in env and not more:
            return default
        value = env.get(name) or ""
        return f"$${{{name}}}" if value and "$" not in value else f"$${{{name}:-{default}}}"

    if not re.search(r"[$|\"'&]", check):
        import shlex

        return ("CMD", *shlex.split(check))
    filled = re.sub(r"\$\{(\w+):-(\w+)\}", variable, check)
    return ("CMD-SHELL", re.sub(r"(?<!\$)\$(?=[A-Z])", "$$", filled))


def _items(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()


def _container_port(value: Value) -> str | None:
    """Return the container's port of an entry of ``ports``, None where it is no plain number."""
    if isinstance(value, Mapping):
        value = value.get("target")
    text = value.partition("/")[0].rpartition(":")[2] if isinstance(value, str) else ""
    return text if text.isdigit() else None
