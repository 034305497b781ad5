"""What to build and how to run it, as the repository's files tell: context, arguments, environment, ports, routes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build, Stage
from dockfix.build.stages import copied_sources, stages_of
from dockfix.project.application import Application
from dockfix.project.compose import Service
from dockfix.project.files import Files
from dockfix.project.model import Project
from dockfix.syntax.compose import Value, read_yaml
from dockfix.syntax.dockerfile import parse
from dockfix.verify.hints import arguments_without_value
from dockfix.verify.services import Companion, companions_of, pairs, words
from dockfix.verify.variables import read_variables, resolve

_EXAMPLES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")
_PLAIN_ROUTE: Final = re.compile(r"/[\w./~-]*")
_MOST_ROUTES: Final = 12
_SYSTEM: Final = frozenset(
    ("/", "/etc", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin", "/bin", "/sbin", "/tmp", "/var", "/lib", "/opt")
)
_HOSTS: Final = re.compile(r"^ALLOWED_HOSTS\b[^\n=]*=([^\n]*[\[(][^\])]*)", re.MULTILINE)
_STRING: Final = re.compile(r"""["']([^"'\n]+)["']""")
_HOST: Final = re.compile(r"\.?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_FRAMEWORK_ROUTES: Final = {"fastapi": ("/openapi.json", "/docs"), "django": ("/admin/login/",)}


class Plan(NamedTuple):
    """How one Dockerfile is built and run. Paths are relative to the repository."""

    dockerfile: str
    context: str
    target: str | None
    arguments: tuple[tuple[str, str | None], ...]
    open_arguments: tuple[str, ...]
    """The build arguments that neither the Dockerfile nor compose gives a value."""
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...]
    """Of the compose service, for an image that states no command of its own."""
    ports: tuple[int, ...]
    """Where it may listen, likeliest first."""
    routes: tuple[str, ...]
    hosts: tuple[str, ...]
    """The names that Django is known to answer to, for one that does not answer to localhost."""
    serves: bool
    """Whether the files say that it listens: then it is waited for."""
    folders: tuple[str, ...]
    """Where in the image the application's files lie."""
    touched: str | None
    """A source file of the application, to be changed for the rebuild."""
    copies: tuple[tuple[str, str], ...]
    """What the final stage copies from the context: source (relative to it, "" for all), and place in the image."""
    needed: tuple[str, ...]
    """What COPY names; it is copied even where git ignores it."""
    stated: frozenset[str]
    """The variables that ENV sets in the final stage."""
    companions: tuple[Companion, ...]
    """The services that compose declares beside it."""
    not_run: tuple[str, ...]
    """The services that are built, too, and are not run beside it."""
    doubt: str | None
    """Why the context is not certain."""


def make_plan(files: Files, dockerfile: str, given: Mapping[str, str], target: str | None = None) -> Plan:
    """Return the plan for *dockerfile*; *given* are the variables of ``--env``.

    Raises ``DockerfileSyntaxError`` and ``ValueError`` (it cannot be read).
    """
    text = files.text(dockerfile)
    if text is None:
        raise ValueError(f"{dockerfile}: cannot be read")
    parsed = parse(text)
    stages = stages_of(parsed)
    project = Project(files, dockerfile, copied_sources(stages))
    build = Build(dockerfile, parsed, stages, project)
    service = next(iter(project.services), None)
    context = project.context
    variables = {**_variables(files, service), **given}
    applications = project.applications
    states_command = any(
        step.keyword in ("CMD", "ENTRYPOINT") for stage in _ancestry(build, target) for step in stage.steps
    )
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    if service and not states_command:
        entrypoint = None if service.entrypoint is None else words(service.entrypoint, variables)
        command = words(service.command, variables)
    companions, missing = companions_of(files, service, variables) if service else ((), ())
    ports = _ports(build, service, applications)
    arguments = _arguments(files, service, variables)
    return Plan(
        dockerfile=dockerfile,
        context=context.root,
        target=target or (service.target if service else None),
        arguments=arguments,
        open_arguments=arguments_without_value(parsed, {name for name, _ in arguments}),
        environment={**_environment(files, service, variables), **given},
        entrypoint=entrypoint,
        command=command,
        ports=ports,
        routes=_routes(applications),
        hosts=tuple(dict.fromkeys(host for one in applications for host in _hosts(files, context.root, one))),
        serves=bool(ports or applications),
        folders=_folders(build),
        touched=_touched(build, applications),
        copies=_copies(build),
        needed=tuple(context.repository_path(path) for path in _named(build)),
        stated=_stated(build, target),
        companions=companions,
        not_run=missing,
        doubt=context.ambiguous,
    )


def _ancestry(build: Build, target: str | None) -> list[Stage]:
    """Return the stage that is built and the stages that it starts from."""
    stage = next((stage for stage in build.stages if target and stage.name == target.lower()), build.final)
    found = [stage]
    while stage.base_stage is not None:
        stage = build.stages[stage.base_stage]
        found.append(stage)
    return found


def _stated(build: Build, target: str | None) -> frozenset[str]:
    """Return the variables that ENV sets in the image."""
    return frozenset(
        pair.name
        for stage in _ancestry(build, target)
        for step in stage.of("ENV")
        for pair in pairs_of(step.instruction, step.escape)
    )


def _named(build: Build) -> list[str]:
    """Return what COPY and ADD name of the context, the whole of it left aside."""
    copies = [step.copy for step in build.steps if step.copy is not None and step.copy.from_ is None]
    values = [source.value for copy in copies for source in copy.sources if source.value not in copy.remote]
    cleaned = [posixpath.normpath("/" + value).strip("/") for value in values if value]
    return [path for path in dict.fromkeys(cleaned) if path]


def _copies(build: Build) -> tuple[tuple[str, str], ...]:
    found = []
    for step in build.final.steps:
        copy = step.copy
        if copy is None or copy.from_ is not None or copy.destination is None:
            continue
        for source in copy.sources:
            if source.value is not None and source.value not in copy.remote:
                found.append((posixpath.normpath("/" + source.value).strip("/"), copy.destination))
    return tuple(found)


def _folders(build: Build) -> tuple[str, ...]:
    """Return the folders of the image that hold the application: where COPY brings the context to, and WORKDIR."""
    copies = [step.copy for step in build.final.steps if step.copy is not None and step.copy.from_ is None]
    found = [build.final.workdir] if build.final.workdir else []
    for copy in copies:
        if copy.destination is not None:
            found.append(copy.destination if copy.directory else posixpath.dirname(copy.destination))
    outer = [path for path in dict.fromkeys(found) if path not in _SYSTEM]
    return tuple(path for path in outer if not any(path.startswith(f"{other}/") for other in outer))


def _touched(build: Build, applications: tuple[Application, ...]) -> str | None:
    """Return a source file that the final stage gets: the application's module, else some other."""
    context = build.project.context
    copies = [step.copy for step in build.steps if step.copy is not None and step.copy.from_ is None]
    likely = [application.path for application in applications]
    likely += sorted((path for path in context.paths if path.endswith(".py")), key=lambda path: path.count("/"))
    likely += [path for path in context.paths if path.endswith((".js", ".ts", ".html", ".css", ".go", ".rb", ".php"))]
    for path in likely:
        if context.ignored(path) or posixpath.basename(path) == "setup.py":
            continue
        if any(copy.everything or copy.image_path(path) is not None for copy in copies):
            return context.repository_path(path)
    return None


def _ports(build: Build, service: Service | None, applications: tuple[Application, ...]) -> tuple[int, ...]:
    found = [step.instruction.value.split() for step in build.final.of("EXPOSE")]
    numbers = [int(word.partition("/")[0]) for words in found for word in words if word.partition("/")[0].isdigit()]
    numbers += [port for port in (service.ports if service else ()) if port is not None]
    numbers += [application.run.port for application in applications if application.run and application.run.port]
    return tuple(dict.fromkeys(numbers))


def _routes(applications: tuple[Application, ...]) -> tuple[str, ...]:
    """Return ``/`` and the routes that can be asked for without arguments and without effects."""
    found = ["/"]
    for application in applications:
        found += _FRAMEWORK_ROUTES.get(application.framework, ())
        for route in application.routes:
            if "GET" in route.methods and _PLAIN_ROUTE.fullmatch(route.path):
                found.append(route.path)
    return tuple(dict.fromkeys(found))[:_MOST_ROUTES]


def _hosts(files: Files, root: str, application: Application) -> Iterator[str]:
    """Yield the hosts that ALLOWED_HOSTS names in the settings, in whatever they are wrapped there."""
    if application.framework != "django" or not application.settings:
        return
    place = posixpath.join(root, application.import_root, application.settings.replace(".", "/"))
    for path in (f"{place}.py", f"{place}/__init__.py", f"{posixpath.dirname(place)}/base.py"):
        for match in _HOSTS.finditer(files.text(path) or ""):
            words = (word for text in _STRING.findall(match[1]) for word in re.split(r"[\s,]+", text))
            yield from (word.removeprefix(".") for word in words if _HOST.fullmatch(word))


def _raw(files: Files, service: Service) -> Mapping[str, Value]:
    document = read_yaml(files.text(service.path) or "")
    services = document.data.get("services") if document else None
    found = services.get(service.name) if isinstance(services, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _arguments(
    files: Files, service: Service | None, variables: Mapping[str, str]
) -> tuple[tuple[str, str | None], ...]:
    """Return the build arguments that compose states."""
    stated = _raw(files, service).get("build") if service else None
    arguments = stated.get("args") if isinstance(stated, Mapping) else None
    return tuple(
        (name, variables.get(name) if value is None else resolve(value, variables)) for name, value in pairs(arguments)
    )


def _environment(files: Files, service: Service | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the container: of ``.env.example``, of compose's env_file, of its environment."""
    found: dict[str, str] = {}
    folder = posixpath.dirname(service.path) if service else ""
    for name in _EXAMPLES:
        found.update(read_variables(files.text(posixpath.join(folder, name)) or ""))
    if service is None:
        return found
    for path in service.env_files:
        found.update(read_variables(files.text(posixpath.normpath(posixpath.join(folder, path))) or ""))
    for name, value in service.environment.items():
        if value is not None:
            found[name] = resolve(value, variables)
        elif name in variables:
            found[name] = variables[name]
    return found


def _variables(files: Files, service: Service | None) -> dict[str, str]:
    """Return what compose replaces variables by: those of the example, and of ``.env`` beside the compose file."""
    folder = posixpath.dirname(service.path) if service else ""
    found: dict[str, str] = {}
    for name in (*_EXAMPLES, ".env"):
        found.update(read_variables(files.text(posixpath.join(folder, name)) or ""))
    return found
