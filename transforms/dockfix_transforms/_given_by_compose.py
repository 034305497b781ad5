"""Let the compose services that run an image give it variables that it no longer has."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from dockfix.build.model import Build
from dockfix.project.compose import services_for
from dockfix.project.disk import is_dockerfile_name
from dockfix.project.invocations import candidates
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._compose_files import ComposeFile, compose_file, environment
from dockfix_transforms._obstacle import Obstacle

if TYPE_CHECKING:
    from dockfix.syntax.yaml_edit import Editing

_RUNS_COMPOSE: Final = pattern(r"\bdocker[- ]compose\b")
_REQUIRED: Final = pattern(r"\$\{(\w+):\?\}")
_TEMPLATES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")


class Given(NamedTuple):
    """What compose gives: the edits by file, the services, and where values have to be put by hand."""

    edits: dict[str, list[Edit]]
    services: tuple[str, ...]
    notes: tuple[str, ...]


class Runner(NamedTuple):
    """A service that runs the image."""

    file: ComposeFile
    name: str
    target: str | None

    @property
    def line(self) -> int:
        """The service's line in its file."""
        return self.file.lines.get(self.name, 0)


def runners(build: Build, dockerfiles: tuple[str, ...] | None = None) -> list[Runner]:
    """Return the services that run the image of this Dockerfile (or of *dockerfiles*), built there or by its name."""
    files = build.project.files
    found: dict[tuple[str, str], Runner] = {}
    images: set[str] = set()
    for dockerfile in dockerfiles or (build.path,):
        for service in services_for(files, dockerfile):
            file = compose_file(files, service.path)
            if file is None or service.name not in file.services:
                continue
            found[file.path, service.name] = Runner(file, service.name, service.target)
            if isinstance(image := file.services[service.name].get("image"), str):
                images.add(image)
    for path in dict.fromkeys(path for path, kind in candidates(files) if kind == "compose") if images else ():
        file = compose_file(files, path)
        for name, service_data in file.services.items() if file else ():
            if (
                file
                and (path, name) not in found
                and "build" not in service_data
                and service_data.get("image") in images
            ):
                found[path, name] = Runner(file, name, None)
    return list(found.values())


def images_with(build: Build, context_path: str) -> list[Build]:
    """Return this build and those of the repository's other Dockerfiles whose image has its file *context_path*."""
    from dockfix.build.lineage import image_path
    from dockfix.build.stages import build_of, copied_sources, stages_of
    from dockfix.project.model import Project
    from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse

    files = build.project.files
    wanted = build.project.context.repository_path(context_path)
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
        root = project.context.root
        if wanted.startswith(f"{root}/" if root else ""):
            inside = wanted[len(root) + 1 :] if root else wanted
            if image_path(other, inside) is not None:
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
                if where is not None:
                    notes.append(f"{name} of {service.name} has to be in {where}, which is not in the repository.")
                    continue
                if not editing.apply(set_environment(editing.text, service.name, name, value)):
                    reason = f"{service.name} cannot be given {name} as {file.name} is written"
                    raise Obstacle(reason, service.line, file.path)
                needed.update((variable, None) for variable in _REQUIRED.findall(value) if variable not in needed)
        changes = editing.edits()
        if not changes:
            continue
        names = tuple(name for name in needed if f"${{{name}" not in file.text)
        if names:
            _unattended(build, file, names)
            template, lines = _template(build, file, names)
            if lines:
                edits[template] = [insert(len(files.text(template) or ""), lines)]
        edits[path] = changes
    return Given(edits, tuple(given), tuple(dict.fromkeys(notes)))


def _has(build: Build, service: Runner, name: str) -> str | None:
    """Return "" where the service gives *name* already, the file that may give it, None where nothing does."""
    data = service.file.services[service.name]
    if name in environment(data):
        return ""
    listed = data.get("env_file")
    unseen = None
    for item in listed if isinstance(listed, tuple) else (listed,):
        path = item.get("path") if isinstance(item, Mapping) else item
        if not isinstance(path, str):
            continue
        place = posixpath.normpath(posixpath.join(posixpath.dirname(service.file.path), path))
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
            if "build" in file.services[service.name] and not _add_build_secrets(editing, service.name, names):
                reason = f"{service.name} cannot be given build secrets as {file.name} is written"
                raise Obstacle(reason, service.line, path)
        for name in names:
            top = ("secrets",) if "secrets" in file.data else ()
            secret = {name: {"environment": name}}
            if not editing.apply(
                add_key(editing.text, top, name if top else "secrets", secret[name] if top else secret)
            ):
                raise Obstacle(f"{file.name} cannot be given a secret as it is written", 0, path)
            file = file._replace(data={**file.data, "secrets": None})
        if changes := editing.edits():
            apply_edits(mine[0].file.text, changes)
            edits[path] = changes


def _add_build_secrets(editing: Editing, service: str, names: tuple[str, ...]) -> bool:
    from dockfix.syntax.compose import read_yaml
    from dockfix.syntax.yaml_edit import Keys, Scalar, add_item, add_key, read_tree

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
