"""Let the compose services that run an image give it variables that it no longer has."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.project.compose import Service, services_of_image
from dockfix.project.disk import is_dockerfile_name
from dockfix.project.invocations import candidates
from dockfix.records import record, replace
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._compose_files import ComposeFile, compose_file
from dockfix_transforms._obstacle import Obstacle

if TYPE_CHECKING:
    from dockfix.syntax.yaml_edit import Editing

_RUNS_COMPOSE: Final = pattern(r"\bdocker[- ]compose\b")
_REQUIRED: Final = pattern(r"\$\{(\w+):\?\}")
_NO_PYTHON: Final = frozenset({"node", "nginx", "httpd", "caddy", "traefik", "haproxy", "oven/bun", "denoland/deno"})
_TEMPLATES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")


@record
class Given:
    """What compose gives: the edits by file, the services, and where values have to be put by hand."""

    edits: dict[str, list[Edit]]
    services: tuple[str, ...]
    notes: tuple[str, ...]


@record
class Runner:
    """A service that runs the image, with the file in which it stands."""

    file: ComposeFile
    service: Service
    overlays: tuple[Service, ...]
    """The same with what other files say of it."""

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name


def runners(build: Build, dockerfiles: Sequence[str] = ()) -> list[Runner]:
    """Return the services that run the image of this Dockerfile (or of *dockerfiles*), built there or by its name.

    One that extends another of them in the same file has what that one has.
    """
    files = build.project.files
    found = [service for path in dockerfiles or (build.path,) for service in services_of_image(files, path)]
    given = {(service.path, service.name): service for service in found if service.kind != "laid over"}
    result = []
    for (path, name), service in given.items():
        file = compose_file(files, path)
        if file is None or name not in file.services:
            continue
        extended = file.services[name].get("extends")
        if isinstance(extended, Mapping):
            extended = None if extended.get("file") else extended.get("service")
        if (path, extended) in given:
            continue
        folder = posixpath.dirname(path)
        overlays = [one for one in found if one.kind == "laid over" and one.name == name]
        result.append(Runner(file, service, tuple(one for one in overlays if posixpath.dirname(one.path) == folder)))
    return result


def images_with(build: Build, context_paths: Sequence[str]) -> list[Build]:
    """Return this build and those of the repository's other Dockerfiles whose image has one of these of its files."""
    from dockfix.build.lineage import image_path, lineage
    from dockfix.build.stages import build_of, copied_sources, stages_of
    from dockfix.project.model import Project
    from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

    files = build.project.files
    wanted = [build.project.context.repository_path(path) for path in context_paths]
    found = [build]
    for path in sorted(path for path in files.paths if is_dockerfile_name(posixpath.basename(path))):
        text = files.text(path) if path != build.path else None
        if not text:
            continue
        try:
            dockerfile = parse(text)
            project = Project(files, path, copied_sources(stages_of(dockerfile)))
            other = build_of(path, dockerfile, project)
        except DockerfileSyntaxError:
            continue
        root = f"{project.context.root}/" if project.context.root else ""
        inside = [one.removeprefix(root) for one in wanted if one.startswith(root)]
        base = lineage(other)[0].image
        if base is not None and base.repository in _NO_PYTHON:
            continue  # it has the code, and nothing that runs it
        if any(image_path(other, one) is not None for one in inside):
            found.append(other)
    return found


def give(build: Build, wanted: Sequence[tuple[Runner, Mapping[str, str]]]) -> Given:
    """Return what gives each service its variables, with values as compose is to read them. Raises ``Obstacle``.

    What compose then needs itself (``${NAME:?}``) is listed in .env.example.
    """
    from dockfix.syntax.yaml_edit import Editing, set_environment

    files = build.project.files
    edits: dict[str, list[Edit]] = {}
    notes: list[str] = []
    elsewhere: dict[tuple[str, str], list[str]] = {}
    given: dict[str, None] = {}
    for path in dict.fromkeys(service.file.path for service, _ in wanted):
        mine = [(service, values) for service, values in wanted if service.file.path == path]
        file = mine[0][0].file
        editing = Editing(file.text)
        needed: dict[str, None] = {}
        for service, values in mine:
            given[service.name] = None
            for name, value in values.items():
                where = _has(build, service, name)
                if where == "":
                    continue
                for other in service.overlays:
                    if name in other.environment:
                        reason = f"{other.path} gives {name} to {service.name}, and {file.name} does not"
                        raise Obstacle(reason, other.line, other.path)
                if where is not None:
                    elsewhere.setdefault((service.name, where), []).append(name)
                    continue
                if not editing.apply(set_environment(editing.text, service.name, name, value)):
                    reason = f"{service.name} cannot be given {name} as {file.name} is written"
                    raise Obstacle(reason, service.service.line, file.path)
                needed.update((variable, None) for variable in _REQUIRED.findall(value) if variable not in needed)
        changes = editing.edits()
        if not changes:
            continue
        names = tuple(name for name in needed if f"${{{name}" not in file.text)
        if names:
            _unattended(build, file, names)
            if not _ignores_env(build, file):
                notes.append("No .gitignore names .env: add it, so that the file stays out of the repository.")
            template, lines = _template(build, file, names)
            if lines:
                edits[template] = [insert(len(files.text(template) or ""), lines)]
        edits[path] = changes
    for (service_name, where), some in elsewhere.items():
        listed = some[0] if len(some) == 1 else f"{', '.join(some[:-1])} and {some[-1]}"
        verb = "has" if len(some) == 1 else "have"
        notes.append(f"{listed} of {service_name} {verb} to be in {where}, which is not in the repository.")
    return Given(edits, tuple(given), tuple(dict.fromkeys(notes)))


def _has(build: Build, runner: Runner, name: str) -> str | None:
    """Return "" where the service gives *name* already, the file that may give it, None where nothing does."""
    if name in runner.service.environment:
        return ""
    unseen = None
    for path in runner.service.env_files:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(runner.file.path), path))
        text = build.project.files.text(place)
        if text is None:
            unseen = place
        elif re.search(rf"^\s*(?:export\s+)?{name}\s*[=:]", text, re.MULTILINE):
            return ""
    return unseen


def _unattended(build: Build, file: ComposeFile, names: tuple[str, ...]) -> None:
    """Raise ``Obstacle`` where a workflow starts compose and nothing would give it the variables."""
    files = build.project.files
    present = files.text(posixpath.join(posixpath.dirname(file.path), ".env")) or ""
    for path, kind in candidates(files):
        text = files.text(path) or "" if kind == "workflow" else ""
        missing = [name for name in names if name not in text and name not in present]
        if missing and _RUNS_COMPOSE.search(text):
            raise Obstacle(f"{path} starts compose and would have to give it {missing[0]} first", 0, path)


def _ignores_env(build: Build, file: ComposeFile) -> bool:
    files, folder = build.project.files, posixpath.dirname(file.path)
    ignored = [files.text(posixpath.join(place, ".gitignore")) or "" for place in ("", folder)]
    return re.search(r"^/?(?:\*\*/)?\.env\*?\s*$", "\n".join(ignored), re.MULTILINE) is not None


def _template(build: Build, file: ComposeFile, names: tuple[str, ...]) -> tuple[str, str]:
    """Return the path of the example of .env beside the compose file, and the lines to add to it."""
    folder = posixpath.dirname(file.path)
    files = build.project.files
    known = [name for name in _TEMPLATES if posixpath.join(folder, name) in files.paths]
    path = posixpath.join(folder, known[0] if known else _TEMPLATES[0])
    present = files.text(path) or ""
    newline = "\r\n" if "\r\n" in (present or file.text) else "\n"
    missing = [name for name in names if not re.search(rf"^\s*#?\s*(?:export\s+)?{name}\s*=", present, re.MULTILINE)]
    if not missing:
        return path, ""
    lines = [] if present else ["# Copy this file to .env and fill it in: docker compose reads it from there."]
    lines += [f"{name}=" for name in missing]
    lead = newline if present and not present.endswith("\n") else ""
    return path, lead + "".join(line + newline for line in lines)


def give_builds(services: list[Runner], names: tuple[str, ...], edits: dict[str, list[Edit]]) -> None:
    """Let compose give its builds *names* as build secrets, from its environment. Raises ``Obstacle``."""
    from dockfix.syntax.edit import apply_edits
    from dockfix.syntax.yaml_edit import Editing, add_key

    for path in dict.fromkeys(service.file.path for service in services):
        mine = [service for service in services if service.file.path == path]
        file = mine[0].file
        editing = Editing(file.text)
        editing.apply(edits.get(path, ()))
        for service in mine:
            if "build" not in file.services[service.name] and service.service.kind == "built":
                reason = f"{service.name} is built as another file says, which would have to give build secrets"
                raise Obstacle(reason, service.service.line, path)
            if "build" in file.services[service.name] and not _add_build_secrets(editing, service.name, names):
                reason = f"{service.name} cannot be given build secrets as {file.name} is written"
                raise Obstacle(reason, service.service.line, path)
        for name in names:
            top = ("secrets",) if "secrets" in file.data else ()
            secret = {name: {"environment": name}}
            if not editing.apply(
                add_key(editing.text, top, name if top else "secrets", secret[name] if top else secret)
            ):
                raise Obstacle(f"{file.name} cannot be given a secret as it is written", 0, path)
            file = replace(file, data={**file.data, "secrets": None})
        if changes := editing.edits():
            apply_edits(mine[0].file.text, changes)
            edits[path] = changes


def _add_build_secrets(editing: Editing, service: str, names: tuple[str, ...]) -> bool:
    from dockfix.syntax.compose import read_yaml
    from dockfix.syntax.yaml_edit import add_item, add_key
    from dockfix.syntax.yaml_tree import Keys, Scalar, read_tree

    path = ("services", service, "build")
    tree = read_tree(editing.text)
    node, parent = (tree.at(path), tree.at(path[:-1])) if tree else (None, None)
    if isinstance(node, Keys):
        if node.find("secrets") is None:
            return editing.apply(add_key(editing.text, path, "secrets", list(names)))
        return all(editing.apply(add_item(editing.text, (*path, "secrets"), name)) for name in names)
    if not isinstance(node, Scalar) or not isinstance(parent, Keys) or parent.flow or node.anchor or node.tag:
        return False
    text = editing.text
    stop = text.find("\n", node.end)
    if text[node.end : stop if stop >= 0 else len(text)].strip():
        return False
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = newline + " " * (parent.column + 2)
    items = "".join(f"{indent}  - {name}" for name in names)
    start = node.start - len(text[: node.start]) + len(text[: node.start].rstrip(" "))
    added = f"{indent}context: {text[node.start : node.end]}{indent}secrets:{items}"
    context = node.value
    editing.apply([Edit(start, node.end, added)])
    document = read_yaml(editing.text)
    services = document.data.get("services") if document else None
    built = services.get(service) if isinstance(services, Mapping) else None
    return isinstance(built, Mapping) and built.get("build") == {"context": context, "secrets": names}
