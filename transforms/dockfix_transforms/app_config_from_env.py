"""The transform app-config-from-env."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.project.invocations import candidates
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from dockfix.syntax.compose import Value
    from dockfix.syntax.edit import Edit
    from dockfix_transforms._config_modules import Module

_SWITCHES: Final = frozenset({"DEBUG", "FLASK_DEBUG"})
_RUNS_TESTS: Final = pattern(r"\bpytest\b|\bmanage\.py\b|\bunittest\b|\btox\b|\bnox\b|\bflask\b")
_DEVELOPMENT: Final = pattern(
    r"\brunserver\b|\bflask\b.*\brun\b|\bpython[\d.]*\s+(?!\S*manage\.py)\S*\.py\b|--reload\b|--debug\b"
)


@transform(safety=Safety.REVIEW, phase=Phase.CONTENT)
def app_config_from_env(build: Build) -> Iterator[Fix | Skip]:
    """Let the application's code take its secrets, and whether it debugs, from the environment.

    Why: a key in the code is in every copy of the repository and of the image, and is the same one in development and
    in production. With debugging on, Flask and Django show their code, and run what a visitor enters.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY . .
         CMD ["gunicorn", "app:app"]
        @@ app.py
        +import os
        +
         from flask import Flask

         app = Flask(__name__)
        -app.config["SECRET_KEY"] = "b7f3e09a41c2"
        +app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]

         if __name__ == "__main__":
        -    app.run(debug=True)
        +    app.run(debug=os.environ.get("FLASK_DEBUG") == "1")
        @@ compose.yaml
         services:
           web:
             build: .
        +    environment:
        +      SECRET_KEY: ${SECRET_KEY:?}
        @@ .env.example
        +# Copy this file to .env and fill it in: docker compose reads it from there.
        +SECRET_KEY=

    A secret has no default: without it the program does not start, and says which variable is missing. Debugging is
    off unless the variable switches it on; Django then answers to the same hosts as before. The compose services whose
    image has the code get the variables. A RUN of Django's management commands gets a placeholder as the key.

    When it holds back: tests, examples, migrations and what is for development by its name; values that are no plain
    string, stand under a condition or are a default already; constants of other modules that do not look random; one
    name with several values; settings that another module of the package sets as well; DEBUG on which other settings
    depend; a RUN that may import the code; a workflow that runs it without the variable; a compose file that cannot be
    edited. A module that is not UTF-8, cannot be parsed, or that libcst does not give back as it is, is left alone.

    Source: The Twelve-Factor App, "Config" (https://12factor.net/config); Django's deployment checklist
    (https://docs.djangoproject.com/en/stable/howto/deployment/checklist/); Flask's documentation, "Configuration
    Handling" (https://flask.palletsprojects.com/en/stable/config/).
    """
    if any(path.endswith(".py") for path in build.project.context.paths):
        from dockfix_transforms import _config_modules

        found: list[Module] = []
        for item in _config_modules.settings_modules(build):
            if isinstance(item, _config_modules.Module):
                found.append(item)
            else:
                yield item
        if found:
            yield _changed(build, found)


def _changed(build: Build, found: list[Module]) -> Fix | Skip:
    from dockfix_transforms._obstacle import Obstacle

    try:
        return _fix(build, found)
    except Obstacle as obstacle:
        skip = obstacle.skip
        names = ", ".join(dict.fromkeys(one.variable for module in found for one in module.literals))
        return Skip(f"{names} in the code: {skip.reason}", skip.line, skip.path)


def _fix(build: Build, modules: list[Module]) -> Fix:
    """Return the change of code, compose files and Dockerfiles. Raises ``Obstacle``."""
    from dockfix_transforms._config_modules import passwords
    from dockfix_transforms._given_by_compose import give, images_with, runners

    context = build.project.context
    secrets: dict[str, str] = {}
    from dockfix_transforms._obstacle import Obstacle

    for module in modules:
        for one in module.literals:
            if one.value is not None and secrets.setdefault(one.variable, one.value) != one.value:
                raise Obstacle(f"{one.variable} has several values", one.line, context.repository_path(module.path))
    _tested(build, list(secrets))
    edits: dict[str, list[Edit]] = {context.repository_path(one.path): list(one.edits) for one in modules}
    images = images_with(build, [module.path for module in modules])
    for other in images:
        for path, some in _placeholders(build, other, modules, list(secrets)).items():
            edits[path] = some
    services = runners(build, [other.path for other in images])
    variables = {one.variable for module in modules for one in module.literals}
    switches = sorted(variables & _SWITCHES)
    theirs = {value: name for name, value in passwords(build)}
    sources = {name: theirs.get(value, name) if "PASS" in name else name for name, value in secrets.items()}
    wanted = []
    for service in services:
        values = {name: f"${{{source}:?}}" for name, source in sources.items()}
        started = _started(build, service.file.services[service.name])
        on = "1" if _DEVELOPMENT.search(started) else "0"
        values.update((name, f"${{{name}:-{on}}}") for name in _in_force(modules, started))
        wanted.append((service, values))
    given = give(build, wanted)
    edits.update(given.edits)
    notes = list(_notes(build, modules, list(secrets), switches, given.services))
    names = [*secrets, *switches]
    title = f"take {names[0] if len(names) == 1 else ', '.join(names[:-1]) + ' and ' + names[-1]} from the environment"
    return Fix(
        title,
        {path: tuple(sorted(some)) for path, some in edits.items()},
        build.final.steps[0].line,
        notes=(*notes, *given.notes),
        secrets=tuple(dict.fromkeys(secrets.values())),
        variables={
            **secrets,
            **{source: secrets[name] for name, source in sources.items()},
            **dict.fromkeys(_in_force(modules, _started(build, {})), "1"),
        },
    )


def _in_force(modules: list[Module], started: str) -> list[str]:
    """Return the variables that switch debugging on in a program of which *started* is the command."""
    return sorted(
        {
            one.variable
            for module in modules
            for one in module.literals
            if one.variable in _SWITCHES and (not one.started or posixpath.basename(module.path) in started)
        }
    )


def _tested(build: Build, names: list[str]) -> None:
    """Raise ``Obstacle`` where a workflow runs the code, and would have to set the variables."""
    from dockfix_transforms._obstacle import Obstacle

    files = build.project.files
    for path, kind in candidates(files):
        text = (files.text(path) or "") if kind == "workflow" else ""
        missing = [name for name in names if name not in text]
        if missing and _RUNS_TESTS.search(text):
            raise Obstacle(f"{path} runs the code, and would have to set {missing[0]} first", 0, path)


def _placeholders(build: Build, image: Build, modules: list[Module], names: list[str]) -> Mapping[str, list[Edit]]:
    """Return the edits of a Dockerfile that let its RUNs do without the secrets. Raises ``Obstacle``."""
    from dockfix_transforms._build_secrets import may_read, placeholders
    from dockfix_transforms._obstacle import Obstacle

    if not names:
        return {}
    root = image.project.context.root
    inside = [build.project.context.repository_path(module.path) for module in modules]
    inside = [path[len(root) + 1 :] if root else path for path in inside if not root or path.startswith(f"{root}/")]
    edits: list[Edit] = []
    has: set[int] = set()
    for step in image.steps:
        if step.keyword == "FROM" and image.stages[step.stage].base_stage in has:
            has.add(step.stage)
        copy = step.copy
        if copy is not None and (copy.from_ is not None or any(copy.image_path(path) for path in inside)):
            has.add(step.stage)
        if step.keyword != "RUN" or step.stage not in has or all(step.env.get(name) for name in names):
            continue
        if any(may_read(step, name) for name in names):
            changes = placeholders(step, names)
            if changes is None:
                raise Obstacle(f"line {step.line} may run the code while the image is built", step.line, image.path)
            edits += changes
    return {image.path: edits} if edits else {}


def _started(build: Build, data: Mapping[str, Value]) -> str:
    """Return the text of what a service starts, by compose's command or the image's, with the scripts in it."""
    from dockfix.build.lineage import start_steps
    from dockfix_transforms._compose_files import words

    text = words(data.get("command"))
    if not text and not data.get("entrypoint"):
        steps = [step for step in start_steps(build) if step is not None]
        text = " ".join(" ".join(step.instruction.json_form or (step.instruction.value,)) for step in steps)
    return build.project.context.with_scripts(text)


def _notes(
    build: Build, modules: list[Module], names: list[str], switches: list[str], services: tuple[str, ...]
) -> Iterator[str]:
    context = build.project.context
    if names:
        places = ", ".join(
            f"{context.repository_path(module.path)}:{one.line}"
            for module in modules
            for one in module.literals
            if one.value is not None
        )
        yield (
            f"What stood at {places} is in the repository's history and in every image that was built: "
            "change it where it protects something."
        )
        where = "docker compose takes it from its environment or from .env" if services else "docker run -e"
        yield f"The program does not start without {', '.join(names)}. Set it wherever it runs ({where})."
    for name in switches:
        yield f"Debugging is off unless {name}=1: set it for development."
    if "DEBUG" in switches:
        for path in context.paths:
            text = context.text(path) or "" if path.endswith("urls.py") else ""
            if re.search(r"\bstatic\(|\bserve\b|staticfiles_urlpatterns", text):
                yield f"{context.repository_path(path)} serves files with DEBUG alone."
                break
