"""The transform app-config-from-env."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from dockfix.build.model import Build
from dockfix.project.invocations import candidates
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from dockfix.syntax.edit import Edit
    from dockfix_transforms._config_literals import Literal
    from dockfix_transforms._given_by_compose import Runner

_MENTION: Final = pattern(
    r"(?:PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|DEBUG)\w*['\"]?\]?\s*[:=]|secret_key\s*=|debug\s*=\s*True"
    r"|://[^\s/'\"]*:[^\s/'\"]+@|(?:AK|AS)IA[A-Z0-9]{16}|[\"'](?:gh[pousr]_|sk[-_]|xox|AIza|glpat|SG\.)"
)
_ELSEWHERE: Final = pattern(
    r"(?:^|/)(?:tests?|testing|examples?|samples?|docs?|migrations|alembic|site-packages|node_modules|\.?venv|env|build"
    r"|dist|scripts|fixtures|locust\w*|benchmarks?)/|(?:^|/)(?:test_[^/]*|[^/]*_test|tests|conftest|setup|noxfile)\.py\Z"
)
_SETTINGS: Final = pattern(
    r"(?:^|/)(?:settings|config|configuration|conf)(?:/[\w]+)?\.py\Z|(?:^|/)\w*(?:settings|config)\.py\Z"
)
_WRITTEN_OUT: Final = pattern(r"(?:SECRET_KEY|PASSWORD|TOKEN)['\"]?\]?\s*[:=]\s*['\"]\w")
_RUNS_TESTS: Final = pattern(r"\bpytest\b|\bmanage\.py\b|\bunittest\b|\btox\b|\bnox\b|\bflask\b")
_DEVELOPMENT: Final = pattern(r"\brunserver\b|\bflask\b.*\brun\b|\bpython[\d.]*\s+\S*\.py\b|--reload\b|--debug\b")
_MOST_FILES: Final = 400


class Module(NamedTuple):
    """A module with settings that are to change. ``path`` is relative to the build context."""

    path: str
    literals: tuple[Literal, ...]
    edits: tuple[Edit, ...]


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
    context = build.project.context
    likely = [path for path in context.paths if path.endswith(".py") and not _ELSEWHERE.search(path)][:_MOST_FILES]
    likely = [path for path in likely if _MENTION.search(context.text(path) or "")]
    if likely and (paths := _in_image(build, likely)):
        from dockfix_transforms._obstacle import Obstacle

        found: list[Module] = []
        for path in paths:
            for item in _module(build, path):
                if isinstance(item, Module):
                    found.append(item)
                else:
                    yield item
        if not found:
            return
        try:
            yield _fix(build, found)
        except Obstacle as obstacle:
            skip = obstacle.skip
            names = ", ".join(dict.fromkeys(one.variable for module in found for one in module.literals))
            yield Skip(f"{names} in the code: {skip.reason}", skip.line, skip.path)


def _in_image(build: Build, paths: list[str]) -> list[str]:
    from dockfix.build.lineage import image_path
    from dockfix_transforms._config_literals import for_trials

    return [path for path in paths if image_path(build, path) is not None and not for_trials(path)]


def _module(build: Build, path: str) -> Iterator[Module | Skip]:
    """Yield the module if something in it is to change, and what is left alone."""
    from dockfix.project.python_module import parse_module
    from dockfix_transforms._config_literals import Left, Settings

    context = build.project.context
    text = context.text(path) or ""
    place = context.repository_path(path)
    tree = parse_module(text)
    if tree is None:
        if _WRITTEN_OUT.search(text):
            undecoded = re.search("[\ud800-\udfff]", text) is not None
            yield Skip(f"its settings stay: it {'is not in UTF-8' if undecoded else 'cannot be parsed'}", 0, place)
        return
    django = re.search(r"^(?:INSTALLED_APPS|ROOT_URLCONF|MIDDLEWARE)\b", text, re.MULTILINE) is not None
    settings = Settings(tree, django=django, strict=not (django or _is_settings(path, text)), shared=_passwords(build))
    literals: list[Literal] = []
    for item in settings.find():
        reason = None
        if isinstance(item, Left):
            reason = item.reason
        elif item.value is not None or item.variable == "DEBUG":
            other = _elsewhere(build, path, item.variable)
            reason = f"{item.variable} stays: {other} sets it as well" if other else None
        if reason is not None:
            yield Skip(reason, item.line, place)
        elif not isinstance(item, Left):
            literals.append(item)
    if not any(one.variable == "DEBUG" for one in literals):
        literals = [one for one in literals if one.variable != "ALLOWED_HOSTS"]
    values: dict[str, set[str | None]] = {}
    for one in literals:
        values.setdefault(one.variable, set()).add(one.value)
    for name in [name for name, given in values.items() if len(given) > 1]:
        line = next(one.line for one in literals if one.variable == name)
        yield Skip(f"{name} has several values", line, place)
        literals = [one for one in literals if one.variable != name]
    if not literals:
        return
    from dockfix_transforms._rewritten_module import Unchangeable, rewritten

    try:
        yield Module(path, tuple(literals), tuple(rewritten(text, tree, literals)))
    except Unchangeable as reason_:
        yield Skip(f"its settings stay: {reason_}", literals[0].line, place)


def _is_settings(path: str, text: str) -> bool:
    return _SETTINGS.search(path) is not None or re.search(r"\bFlask\(|\bSQLALCHEMY_", text) is not None


def _elsewhere(build: Build, path: str, name: str) -> str | None:
    """Return another module of a package of settings that sets *name*."""
    folder, base = posixpath.split(path)
    if not re.search(r"(?:settings|config|conf)\Z", folder) and base != "base.py":
        return None
    expression = re.compile(rf"^\s*{name}\s*(?::[^=\n]*)?=", re.MULTILINE)
    context = build.project.context
    for other in context.paths:
        beside = other != path and posixpath.dirname(other) == folder and other.endswith(".py")
        if beside and expression.search(context.text(other) or ""):
            return context.repository_path(other)
    return None


def _passwords(build: Build) -> list[tuple[str, str]]:
    """Return the passwords in the compose file by their names, which the code may hold as well."""
    from dockfix.build.secrets import is_placeholder, is_secret_name
    from dockfix_transforms._compose_files import compose_files, environment

    found: list[tuple[str, str]] = []
    for file in compose_files(build):
        for service in file.services.values():
            for name, value in environment(service).items():
                if value and is_secret_name(name) and not is_placeholder(value):
                    found.append((name, value))
    return found


def _fix(build: Build, modules: list[Module]) -> Fix:
    """Return the change of code, compose files and Dockerfiles. Raises ``Obstacle``."""
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
    images = {other.path: other for module in modules for other in images_with(build, module.path)}
    for other in images.values():
        for path, some in _placeholders(build, other, modules, list(secrets)).items():
            edits[path] = some
    services = runners(build, tuple(images))
    variables = {one.variable for module in modules for one in module.literals}
    switches = sorted(variables & {"DEBUG", "FLASK_DEBUG"})
    wanted = []
    for service in services:
        values = {name: f"${{{name}:?}}" for name in secrets}
        started = _started(build, service)
        on = "1" if _DEVELOPMENT.search(started) else "0"
        for module in modules:
            for one in module.literals:
                if one.variable in switches and (not one.started or posixpath.basename(module.path) in started):
                    values[one.variable] = f"${{{one.variable}:-{on}}}"
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
        variables=secrets,
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


def _started(build: Build, service: Runner) -> str:
    """Return the text of what the service starts, by compose's command or the image's."""
    from dockfix.build.lineage import start_steps
    from dockfix_transforms._compose_files import words

    data = service.file.services[service.name]
    text = words(data.get("command"))
    if not text and not data.get("entrypoint"):
        steps = [step for step in start_steps(build) if step is not None]
        text = " ".join(" ".join(step.instruction.json_form or (step.instruction.value,)) for step in steps)
    return text


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
            if path.endswith("urls.py") and re.search(r"\bstatic\(|settings\.DEBUG", context.text(path) or ""):
                yield f"{context.repository_path(path)} serves files with DEBUG alone."
                break
