"""Compose files: the services that are built from a Dockerfile, with the positions of what they say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeGuard
from weakref import WeakKeyDictionary

from dockfix.project.compose_files import included, overlays, services_of
from dockfix.project.files import Files
from dockfix.project.invocations import (
    adds_to_a_build,
    as_found,
    as_stated,
    candidates,
    default_dockerfile,
    default_of,
    inside,
)
from dockfix.records import record
from dockfix.syntax.compose import Value, read_yaml
from dockfix.syntax.patterns import pattern


@record
class Mount:
    """A volume of a service: ``source`` None for an anonymous one; ``bind`` when it is a host path."""

    source: str | None
    target: str
    bind: bool
    read_only: bool


@record
class Service:
    """A service that runs a Dockerfile's image. ``context`` is repository-relative. ``line`` counts from 1 in ``path``.

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
    kind: str = "built"
    """``built`` from the Dockerfile; ``laid over``: a built one with what ``path``, another file, says of it besides;
    ``image``: it runs the image of a built one by its name."""


_FOUND: Final[WeakKeyDictionary[Files, tuple[tuple[str, Service], ...]]] = WeakKeyDictionary()
_DEFAULT: Final = pattern(r"(?:\A|/)(?:docker-)?compose\.ya?ml\Z")
_MAY_BUILD: Final = pattern(r"\b(?:build|extends|include)\b")
_FOLDER: Final = pattern(r"(?!\w+://|git@)[^/~$]")


def services_for(files: Files, dockerfile_path: str) -> tuple[Service, ...]:
    """Return the services of every compose file that build this Dockerfile, those of ``compose.yaml`` first."""
    return tuple(service for service in services_of_image(files, dockerfile_path) if service.kind == "built")


def services_of_image(files: Files, dockerfile_path: str) -> tuple[Service, ...]:
    """Return every way in which compose files run the image of this Dockerfile.

    These are the services that build it, the same with what another file lays over them (``compose.override.yaml``,
    the next ``-f``), and services that run the image by the name which a building one gives it.
    """
    return tuple(service for name, service in _found(files) if name == dockerfile_path)


def _found(files: Files) -> tuple[tuple[str, Service], ...]:
    files = as_stated(files)
    known = _FOUND.get(files)
    if known is None:
        known = _FOUND[files] = tuple(_find(files))
    return known


def _find(files: Files) -> Iterator[tuple[str, Service]]:
    """Yield every service that runs the image of a Dockerfile, with the Dockerfile's path."""
    compose = [
        path
        for path, kind in candidates(files)
        if kind == "compose" and any(_MAY_BUILD.search(files.text(one) or "") for one in (path, *overlays(files, path)))
    ]
    compose.sort(key=lambda path: not _DEFAULT.search(path))
    for path in dict.fromkeys(one for file in compose for one in (file, *included(files, file))):
        images: dict[str, tuple[str, str, str | None]] = {}
        whole = {name: _extended(files, path, name, ()) for name in services_of(files, path)}
        for name, service in whole.items():
            placed = _built(files, posixpath.dirname(path), service.get("build"))
            if placed is not None and adds_to_a_build(service.get("build")) and _elsewhere(files, path, name, placed):
                continue
            if placed is not None:
                images.setdefault(default_of(_text(service.get("image")) or ""), placed)
                yield placed[0], _service(files, path, name, placed, service, "built")
        for name, service in whole.items():
            placed = images.get(default_of(_text(service.get("image")) or "")) if service.get("image") else None
            if placed is not None and "build" not in service:
                yield placed[0], _service(files, path, name, placed, service, "image")
        for other in overlays(files, path):
            yield from _laid_over(files, path, other)


def _elsewhere(files: Files, path: str, name: str, placed: tuple[str, str, str | None]) -> bool:
    """Whether another compose file of the folder builds the service from another context: *path* only adds to that."""
    folder = posixpath.dirname(path)
    for other, kind in candidates(files):
        if kind == "compose" and other != path and posixpath.dirname(other) == folder and _DEFAULT.search(other):
            build = services_of(files, other).get(name, {}).get("build")
            found = _built(files, folder, build) if not adds_to_a_build(build) else None
            if found is not None and found[:2] != placed[:2]:
                return True
    return False


def _laid_over(files: Files, path: str, other: str) -> Iterator[tuple[str, Service]]:
    """Yield the services of *path* as they are with what *other* says of them."""
    for name in services_of(files, other):
        if name not in services_of(files, path):
            continue
        service = _merged(_extended(files, path, name, ()), _extended(files, other, name, ()))
        placed = _built(files, posixpath.dirname(path), service.get("build"))  # relative to the first file
        if placed is not None:
            yield placed[0], _service(files, other, name, placed, service, "laid over")


def _extended(files: Files, path: str, name: str, seen: tuple[tuple[str, str], ...]) -> Mapping[str, Value]:
    """Return the service with what it extends, in the same file or another; empty where there is none."""
    service = services_of(files, path).get(name)
    if service is None or (path, name) in seen:
        return {}
    other = service.get("extends")
    source: str | None = path
    if isinstance(other, Mapping):
        if (file := _text(other.get("file"))) is not None:
            source = inside(posixpath.dirname(path), default_of(file))
        other = other.get("service")
    if not isinstance(other, str) or source is None:
        return service
    parent = _extended(files, source, other, (*seen, (path, name)))
    return _merged(_moved(parent, posixpath.dirname(source), posixpath.dirname(path)), service)


def _moved(service: Mapping[str, Value], old: str, new: str) -> Mapping[str, Value]:
    """Return a service whose paths are relative to the folder *old* with paths relative to *new*."""
    if old == new:
        return service

    def path(value: str) -> str:
        return posixpath.relpath(posixpath.join("/", old, value), posixpath.join("/", new))

    moved = dict(service)
    build = service.get("build")
    if isinstance(build, (str, Mapping)):
        options = build if isinstance(build, Mapping) else {"context": build}
        context = options.get("context", ".")
        moved["build"] = {**options, "context": path(context)} if _is_folder(context) else options
    if "env_file" in service:
        moved["env_file"] = tuple(path(one) if _is_folder(one) else one for one in _env_files(service["env_file"]))
    if "volumes" in service:
        moved["volumes"] = tuple(
            f"./{path(one)}" if isinstance(one, str) and one.startswith(".") else one
            for one in _items(service["volumes"])
        )
    return moved


def _is_folder(value: Value) -> TypeGuard[str]:
    return isinstance(value, str) and _FOLDER.match(value) is not None


def _merged(below: Mapping[str, Value], above: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return a service as compose merges two: mappings by their keys, lists one behind the other, else the latter."""
    merged: dict[str, Value] = {**below, **above}
    for key in below.keys() & above.keys():
        one, other = (_in_long_form(key, service[key]) for service in (below, above))
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            merged[key] = {**one, **other}
        elif isinstance(one, tuple) and isinstance(other, tuple) and key not in ("command", "entrypoint"):
            merged[key] = one + other
        elif other is None:  # ``!reset`` may be the reason, which is not told from an empty value
            merged[key] = one
    return merged


def _in_long_form(key: str, value: Value) -> Value:
    if value is None:
        return None
    match key:
        case "build" if isinstance(value, str):
            return {"context": value}
        case "environment":
            return _environment(value)
        case "env_file":
            return _env_files(value)
        case "depends_on":
            return dict.fromkeys(_depends_on(value))
    return value


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
        written = inside(context, default_of(name))
        dockerfile = as_found(files, written) if written is not None else None
    else:
        dockerfile = default_dockerfile(files, context)
    if dockerfile is None or dockerfile not in files.paths:
        return None
    return dockerfile, context, _text(options.get("target"))


def _service(
    files: Files, path: str, name: str, placed: tuple[str, str, str | None], service: Mapping[str, Value], kind: str
) -> Service:
    document = read_yaml(files.text(path) or "")
    entry = document.positions.get(("services", name)) if document else None
    _, context, target = placed
    return Service(
        path=path,
        name=name,
        line=entry.line if entry else 0,
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
        kind=kind,
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
