"""Compose files: the services that are built from a Dockerfile, with the positions of what they say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from dockfix.project.files import Files
from dockfix.project.invocations import candidates, default_of, inside
from dockfix.records import record
from dockfix.syntax.compose import Value, read_yaml


@record
class Mount:
    """A volume of a service: ``source`` None for an anonymous one; ``bind`` when it is a host path."""

    source: str | None
    target: str
    bind: bool
    read_only: bool


@record
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
    found: list[Service] = []
    for path, kind in candidates(files):
        if kind == "compose":
            found += (service for name, service in _services(files, path) if name == dockerfile_path)
    return tuple(found)


def _services(files: Files, path: str) -> Iterator[tuple[str, Service]]:
    text = files.text(path)
    if text is None or "build" not in text:
        return
    document = read_yaml(text)
    services = document.data.get("services") if document else None
    if document is None or not isinstance(services, Mapping):
        return
    base = posixpath.dirname(path)
    for name in services:
        service = _extended(services, name, ())
        if service is None:
            continue
        placed = _built(files, base, service.get("build"))
        if placed is None:
            continue
        dockerfile, context, target = placed
        entry = document.positions.get(("services", name))
        yield dockerfile, _service(path, name, entry.line if entry else 0, context, target, service)


def _extended(services: Mapping[str, Value], name: str, seen: tuple[str, ...]) -> Mapping[str, Value] | None:
    """Return the service with what it extends in the same file; other files are not followed."""
    service = services.get(name)
    if not isinstance(service, Mapping) or name in seen:
        return None
    extends = service.get("extends")
    other: Value = extends
    if isinstance(extends, Mapping):
        other = None if extends.get("file") else extends.get("service")
    if not isinstance(other, str):
        return service
    parent = _extended(services, other, (*seen, name)) or {}
    merged = {**parent, **service}
    for key in ("build", "environment"):
        above, own = parent.get(key), service.get(key)
        if isinstance(above, Mapping) and isinstance(own, Mapping):
            merged[key] = {**above, **own}
    for key in ("ports", "volumes"):
        above, own = parent.get(key), service.get(key)
        if isinstance(above, tuple) and isinstance(own, tuple):
            merged[key] = above + own
    return merged


def _built(files: Files, base: str, build: Value) -> tuple[str, str, str | None] | None:
    """Return Dockerfile, context and target of a ``build:``; None where it is none or cannot be resolved."""
    options: Mapping[str, Value] = {"context": build} if isinstance(build, str) else {}
    if isinstance(build, Mapping):
        options = build
    context_text, name = options.get("context", "."), options.get("dockerfile")
    if not options or "dockerfile_inline" in options or not isinstance(context_text, str):
        return None
    context = inside(base, default_of(context_text))
    if context is None:
        return None
    if isinstance(name, str):
        dockerfile = inside(context, default_of(name))
    else:
        dockerfile = posixpath.join(context, "Dockerfile")
        if dockerfile not in files.paths:
            dockerfile = posixpath.join(context, "Containerfile")
    if dockerfile is None or dockerfile not in files.paths:
        return None
    return dockerfile, context, _text(options.get("target"))


def _service(
    path: str, name: str, line: int, context: str, target: str | None, service: Mapping[str, Value]
) -> Service:
    return Service(
        path=path,
        name=name,
        line=line,
        context=context,
        target=target,
        command=_command(service.get("command")),
        entrypoint=_command(service.get("entrypoint")),
        user=_text(service.get("user")),
        working_dir=_text(service.get("working_dir")),
        environment=_environment(service.get("environment")),
        env_files=_env_files(service.get("env_file")),
        ports=tuple(_port(port) for port in _items(service.get("ports"))),
        mounts=tuple(mount for volume in _items(service.get("volumes")) if (mount := _mount(volume)) is not None),
        depends_on=_depends_on(service.get("depends_on")),
        healthcheck=_healthcheck(service.get("healthcheck")),
    )


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _items(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()


def _command(value: Value) -> str | tuple[str, ...] | None:
    if isinstance(value, tuple):
        return tuple(item for item in value if isinstance(item, str))
    return _text(value)


def _environment(value: Value) -> dict[str, str | None]:
    if isinstance(value, Mapping):
        return {name: _text(item) for name, item in value.items()}
    found: dict[str, str | None] = {}
    for item in _items(value):
        if isinstance(item, str):
            name, equals, text = item.partition("=")
            found[name] = text if equals else None
    return found


def _env_files(value: Value) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else _items(value)
    texts = (item.get("path") if isinstance(item, Mapping) else item for item in listed)
    return tuple(text for text in texts if isinstance(text, str))


def _port(value: Value) -> int | None:
    if isinstance(value, Mapping):
        value = value.get("target")
    if not isinstance(value, str):
        return None
    number = value.partition("/")[0].rpartition(":")[2]
    return int(number) if number.isascii() and number.isdigit() else None


def _mount(value: Value) -> Mount | None:
    if isinstance(value, Mapping):
        target, source = _text(value.get("target")), _text(value.get("source"))
        if target is None:
            return None
        return Mount(source, target, value.get("type") == "bind", value.get("read_only") == "true")
    if not isinstance(value, str):
        return None
    parts = re.split(r":(?![-?+])", value)  # not the one in ${NAME:-default}
    if len(parts) == 1:
        return Mount(None, parts[0], False, False)
    options = parts[2].split(",") if len(parts) > 2 else []
    return Mount(parts[0], parts[1], parts[0].startswith((".", "/", "~", "$")), "ro" in options)


def _depends_on(value: Value) -> tuple[str, ...]:
    return tuple(item for item in (value if isinstance(value, (tuple, Mapping)) else ()) if isinstance(item, str))


def _healthcheck(value: Value) -> str | None:
    if not isinstance(value, Mapping):
        return None
    if value.get("disable") == "true":
        return ""
    test = value.get("test")
    if isinstance(test, tuple):
        words = [item for item in test if isinstance(item, str)]
        if words[:1] == ["NONE"]:
            return ""
        return " ".join(words[1:] if words[:1] in (["CMD"], ["CMD-SHELL"]) else words)
    return _text(test)
