"""The transform no-baked-secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build
from dockfix.project.invocations import candidates, invocations
from dockfix.records import record, replace
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

if TYPE_CHECKING:
    from dockfix.build.model import Step
    from dockfix.syntax.dockerfile import Instruction
    from dockfix.syntax.edit import Edit
    from dockfix_transforms._given_by_compose import Given, Runner

_MENTION: Final = pattern(
    r"(?i)pass|pwd|secret|token|key|cred|://[^\s/]*@",
    words=("pass", "pwd", "secret", "token", "key", "cred", "://"),
)
_EVERYDAY: Final = pattern(
    r"(?i)(?:admin|root|user|guest|test|demo|password|passwd|secret|pass|postgres|mysql|1234\w*)\Z"
)
_LOCAL: Final = pattern(r"\w+://[^/@\s]*@(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?=[:/?]|\Z)")
_OF_INSTALLS: Final = ("PIP_", "UV_", "POETRY_", "NPM_", "YARN_", "CONDA_", "BUNDLE_", "TWINE_")


@record
class Secret:
    """A variable whose value is written out: the ENVs and ARGs that set it."""

    name: str
    value: str
    where: tuple[Instruction, ...]

    @property
    def line(self) -> int:
        """The line of the first of them."""
        return self.where[0].line

    @property
    def stays(self) -> bool:
        """Whether ENV sets it, so that the container has it, and it is not one of a package manager's."""
        return not self.name.startswith(_OF_INSTALLS) and any(one.keyword == "ENV" for one in self.where)


@transform(safety=Safety.REVIEW, phase=Phase.CONTENT)
def no_baked_secrets(build: Build) -> Iterator[Fix | Skip]:
    """Take passwords, keys and tokens out of the image: they come from outside, when it runs or is built.

    Why: whoever can pull an image can read its ENV and the ARGs of its history; deleting a file in a later layer
    hides nothing.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY . .
        -ENV SECRET_KEY=9f2c81b7a4 LOG_LEVEL=info
        -RUN python manage.py collectstatic --noinput
        +ENV LOG_LEVEL=info
        +RUN SECRET_KEY=placeholder python manage.py collectstatic --noinput
         CMD ["gunicorn", "shop.wsgi"]
        @@ compose.yaml
         services:
           web:
             build: .
             environment:
               LOG_LEVEL: debug
        +      SECRET_KEY: ${SECRET_KEY:?}
        @@ .env.example
        +# Copy this file to .env and fill it in: docker compose reads it from there.
        +SECRET_KEY=

    A value counts as a secret by the name of its variable and its shape; a URL by the password in it. The compose
    services that run the image get the variable from compose's environment or ``.env``. A RUN that reads it gets it as
    a build secret; for Django's management commands any secret key will do. ``COPY .env`` goes as well: the services
    get it as ``env_file``.

    When it holds back: empty values, placeholders, paths, public keys; a variable that other instructions are made
    with, or that a build argument sets; a server on localhost; everyday words such as ``admin`` in an image that no
    compose service is built from, where they are a documented default; a build elsewhere that would have to give a
    build secret; a server's password that an application's code holds as well; a compose file that cannot be edited, or
    that a workflow starts without the variable. A ``.env`` that a RUN, the start command or the code reads, or in which
    nothing is secret, is still copied.

    Source: Docker's build checks, SecretsUsedInArgOrEnv
    (https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/), and "Build secrets"
    (https://docs.docker.com/build/building/secrets/).
    """
    if _MENTION.search(build.dockerfile.text) and (found := _secrets(build)):
        yield from _taken_out(build, found)
    if ".env" in build.dockerfile.text:
        from dockfix_transforms._copied_env import copied_env

        yield from copied_env(build)


def _secrets(build: Build) -> list[Secret]:
    found: dict[str, Secret] = {}
    mentioned: dict[str, list[Instruction]] = {}
    for instruction in build.dockerfile.instructions:
        if instruction.keyword not in ("ENV", "ARG"):
            continue
        for pair in pairs_of(instruction, build.dockerfile.escape):
            mentioned.setdefault(pair.name, []).append(instruction)
            if pair.raw is None or pair.name in found:
                continue
            from dockfix.build.expand import expand_word
            from dockfix.build.secrets import secret_in

            written = expand_word(pair.raw, {}, build.dockerfile.escape)
            value = pair.raw.strip("\"'") if written is None else written
            if secret_in(pair.name, value) is not None:
                found[pair.name] = Secret(pair.name, value, ())
    return [replace(secret, where=tuple(mentioned[name])) for name, secret in found.items()]


def _taken_out(build: Build, found: list[Secret]) -> Iterator[Fix | Skip]:
    from dockfix_transforms._given_by_compose import give, give_builds, runners
    from dockfix_transforms._obstacle import Obstacle

    services = runners(build)
    taken: list[Secret] = []
    for secret in found:
        reason = _reason(build, secret, services)
        if reason is None:
            taken.append(secret)
        else:
            yield Skip(f"{secret.name} stays in the image: {reason}", secret.line)
    if not taken:
        return
    try:
        edits, mounted = _edits(build, taken)
        if mounted:
            _built_elsewhere(build, mounted)
        given = give(build, [(one, _needed(build, one, taken)) for one in services])
        changes = {build.path: edits, **given.edits}
        if mounted:
            give_builds(services, mounted, changes)
    except Obstacle as obstacle:
        skip = obstacle.skip
        yield Skip(f"{_listed(taken)} stays in the image: {skip.reason}", skip.line or taken[0].line, skip.path)
        return
    yield Fix(
        f"take {_listed(taken)} out of the image",
        {path: tuple(sorted(some)) for path, some in changes.items()},
        taken[0].line,
        notes=tuple(_notes(build, taken, given, mounted)),
        secrets=tuple(secret.value for secret in taken),
        variables={secret.name: secret.value for secret in taken},
    )


def _reason(build: Build, secret: Secret, services: list[Runner]) -> str | None:
    """Return why the variable cannot go, None where it can."""
    used = re.compile(rf"\$(?:{secret.name}(?!\w)|\{{{secret.name}\W)")
    for instruction in build.dockerfile.instructions:
        if instruction.keyword in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK") or not used.search(instruction.value):
            continue
        pairs = pairs_of(instruction, build.dockerfile.escape)
        passed_on = {f"${secret.name}", f"${{{secret.name}}}"}
        if any(
            used.search(pair.raw or "") and (pair.name != secret.name or (pair.raw or "").strip("\"'") not in passed_on)
            for pair in pairs
        ) or instruction.keyword not in ("ENV", "ARG"):
            return f"line {instruction.line} is made with it"
    trigger = next((one for one in build.dockerfile.instructions if one.keyword == "ONBUILD"), None)
    if trigger is not None:
        return f"line {trigger.line} runs in the build of another image, and may read it"
    if any(one.keyword == "ARG" for one in secret.where):
        passed = re.compile(rf"(?<!\w){secret.name}(?!\w)")
        for path, _ in candidates(build.project.files):
            text = build.project.files.text(path) or ""
            if re.search(r"build-arg|\bargs\b", text) and passed.search(text):
                return f"{path} sets it as a build argument"
    if _LOCAL.match(secret.value):
        return "it names a server on localhost, which a container has not: a value for the build, it seems"
    if services and (holder := _client(build, secret)) is not None:
        return f"{holder} holds it as well, as a client of the server does"
    if not services and _EVERYDAY.match(secret.value):
        return "its value is an everyday word, as defaults of an image are that users are to change"
    return None


def _client(build: Build, secret: Secret) -> str | None:
    """Return the file of an application that has the password of this image, a server's, written out as well."""
    from dockfix_transforms._compose_passwords import code, holding
    from dockfix_transforms._knowledge import table

    names = {name for entry in table("services")["service"] for name in entry.get("passwords", ())}
    if secret.name not in names:
        return None
    files = build.project.files
    paths = [path for path in code(files) if not path.rpartition("/")[2].startswith(".env")]
    return holding(files, secret.value, paths)


def _edits(build: Build, taken: list[Secret]) -> tuple[list[Edit], tuple[str, ...]]:
    """Return the edits of the Dockerfile, and the names that are build secrets then. Raises ``Obstacle``."""
    from dockfix.build.keyvalue import without_names
    from dockfix_transforms._build_secrets import mounted, placeholders, readers

    names = {secret.name for secret in taken}
    where = {one.start: one for secret in taken for one in secret.where}
    edits = without_names(build.dockerfile, [where[start] for start in sorted(where)], names)
    wanted: dict[int, tuple[Step, dict[str, None]]] = {}
    for secret in taken:
        starts = {one.start for one in secret.where}
        for step in build.steps:
            if step.instruction.start in starts:
                for reader in readers(build, step, secret.name):
                    wanted.setdefault(reader.instruction.start, (reader, {}))[1][secret.name] = None
    needed: dict[str, None] = {}
    for step, variables in wanted.values():
        changes = placeholders(step, variables)
        if changes is None:
            changes = mounted(step, variables, build.dockerfile.newline)
            needed.update(variables)
        edits += changes
    return edits, tuple(needed)


def _built_elsewhere(build: Build, names: tuple[str, ...]) -> None:
    """Raise ``Obstacle`` where a script or workflow builds the image, and would have to give it a secret."""
    from dockfix_transforms._obstacle import Obstacle

    kinds = dict(candidates(build.project.files))
    for found in invocations(build.project.files):
        if found.dockerfile == build.path and kinds.get(found.path) != "compose":
            reason = f"a RUN reads it, and {found.path} builds the image and would have to give {names[0]} to the build"
            raise Obstacle(reason, found.line, found.path)


def _needed(build: Build, service: Runner, taken: list[Secret]) -> dict[str, str]:
    """Return the variables that ENV set in the stage that the service runs, as compose gives them."""
    stage = next((one for one in build.stages if one.name == (service.service.target or "").lower()), build.final)
    stages = {stage.index}
    while stage.base_stage is not None:
        stage = build.stages[stage.base_stage]
        stages.add(stage.index)
    set_there = {step.instruction.start for step in build.steps if step.stage in stages and step.keyword == "ENV"}
    names = [secret.name for secret in taken if secret.stays and any(one.start in set_there for one in secret.where)]
    return {name: f"${{{name}:?}}" for name in names}


def _notes(build: Build, taken: list[Secret], given: Given, mounted: tuple[str, ...]) -> Iterator[str]:
    one = len(taken) == 1
    yield (
        f"{'The value that stood' if one else 'The values that stood'} here {'is' if one else 'are'} in the "
        f"repository's history and in every image that was built: change {'it' if one else 'them'}."
    )
    stay = [secret for secret in taken if secret.stays]
    asked = {name for service in build.project.services for name in service.environment}
    if stay and given.services and not given.edits and not asked.intersection(secret.name for secret in stay):
        if not given.notes:
            yield f"docker compose gives {_listed(stay)} to the container already."
    elif stay and given.services:
        yield f"docker compose takes {_listed(stay)} from its environment or from .env beside the compose file."
    elif stay:
        yield f"Give {_listed(stay)} to the container when it starts (docker run -e {stay[0].name} ...)."
    if mounted:
        options = " ".join(f"--secret id={name},env={name}" for name in mounted)
        yield f"A build reads {', '.join(mounted)} now: docker build {options} ..."
    yield from given.notes


def _listed(secrets: list[Secret]) -> str:
    names = [secret.name for secret in secrets]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
