"""The transform compose-secrets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dockfix.build.model import Build
from dockfix.project.compose_files import used_with
from dockfix.project.invocations import candidates
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._compose_files import ComposeFile, compose_file, compose_files, environment, known_image, swarm

if TYPE_CHECKING:
    from dockfix.syntax.compose import Value
    from dockfix_transforms._compose_passwords import Place, Secret

_MENTION: Final = pattern(r"(?i)pass|pwd|secret|token|key|cred|://[^\s/]*@")
_FOR_TRIALS: Final = pattern(
    r"(?:^|[/._-])(?:dev|devel|development|local|tests?|testing|ci|e2e|examples?|samples?|debug|demo|devcontainer)(?=[/._-])"
)
_RUNS_COMPOSE: Final = pattern(r"\bdocker[- ]compose\b")
_NUMBER: Final = pattern(
    r"[-+]?(?:0[0-9_]+|0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d[\d_]*_[\d_]*)\Z"
)
"""What YAML reads as a number that is written in another way than it would be given to the container."""
_TEMPLATES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")
_OTHER_IN_ENV: Final = pattern(r"[\s$\\\"'`]")


@transform(safety=Safety.REVIEW, phase=Phase.COMPOSE)
def compose_secrets(build: Build) -> Iterator[Fix | Skip]:
    """Take passwords out of compose files: they come from the environment or from .env.

    Why: a compose file is in the repository, and so is every password in it.

    Example:
         FROM python:3.12-slim
         COPY . /app
         CMD ["python", "/app/main.py"]
        @@ compose.yaml
         services:
           web:
             build: .
             environment:
        -      DATABASE_URL: postgresql://shop:hunter2@db/shop
        +      DATABASE_URL: postgresql://shop:${POSTGRES_PASSWORD:?}@db/shop
           db:
             image: postgres:17
             environment:
               POSTGRES_USER: shop
        -      POSTGRES_PASSWORD: hunter2
        +      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
        @@ .env.example
        +# Copy this file to .env and fill it in: docker compose reads it from there.
        +POSTGRES_PASSWORD=

    ``${NAME:?}`` stops compose with the variable's name where it has no value. One password is one variable: for the
    database, for the clients that get it in a URL or as a variable, and for the database's own health check. What
    stood in the file is written nowhere: the note names what belongs into ``.env``.

    When it holds back: placeholders, empty values and ``${...}``; files for development and tests by their name;
    a workflow that starts compose, where there is no ``.env``; a password that the code, a file for ``env_file`` or
    another compose file that is used with this one holds as well; one that is percent-encoded in a URL; places that an
    anchor shares; a template that gives the variable another value; files for ``docker stack``.

    Source: Docker's documentation, "Set environment variables" (https://docs.docker.com/compose/how-tos/environment-variables/)
    and "Interpolation" (https://docs.docker.com/reference/compose-file/interpolation/).
    """
    for file in compose_files(build):
        if _MENTION.search(file.text) and not _FOR_TRIALS.search(f"/{file.path}"):
            yield from _file(build, file)


def _file(build: Build, file: ComposeFile) -> Iterator[Fix | Skip]:
    from dockfix.syntax.yaml_edit import Editing, replace_scalar
    from dockfix_transforms._compose_passwords import secrets_of

    found = secrets_of(file)
    if not found:
        return
    reason = swarm(build, file) or _unattended(build) or _template_in_use(file)
    if reason is not None:
        yield Skip(f"the passwords stay in it: {reason}", file.lines.get(found[0].places[0].service, 0), file.path)
        return
    taken: list[Secret] = []
    for secret in found:
        reason = _obstacle(build, file, secret)
        if reason is None:
            taken.append(secret)
        else:
            place = secret.places[0]
            yield Skip(
                f"{secret.name} of {place.service} stays in it: {reason}", file.lines.get(place.service, 0), file.path
            )
    changes: dict[tuple[str | int, ...], list[tuple[int, int, str]]] = {}
    values: dict[tuple[str | int, ...], str] = {}
    for secret in list(taken):
        spans = [span for place in secret.places for span in changes.get(place.path, ()) if _overlaps(place, span)]
        if spans:
            taken.remove(secret)
            place = secret.places[0]
            reason = f"{secret.name} of {place.service} stays in it: it stands where another one is taken out"
            yield Skip(reason, file.lines.get(place.service, 0), file.path)
            continue
        for place in secret.places:
            changes.setdefault(place.path, []).append((place.start, place.end, f"${{{secret.name}:?}}"))
            values[place.path] = place.value
    editing = Editing(file.text)
    for path, spans in changes.items():
        value = values[path]
        for start, end, text in sorted(set(spans), reverse=True):
            value = value[:start] + text + value[end:]
        if not editing.apply(replace_scalar(editing.text, path, value)):
            return
    if taken:
        yield _fix(build, file, editing.edits(), taken)


def _overlaps(place: Place, span: tuple[int, int, str]) -> bool:
    return place.start < span[1] and span[0] < place.end


def _unattended(build: Build) -> str | None:
    for path, kind in candidates(build.project.files):
        if kind == "workflow" and _RUNS_COMPOSE.search(build.project.files.text(path) or ""):
            return f"{path} starts compose, where nobody fills in .env"
    return None


def _template_in_use(file: ComposeFile) -> str | None:
    for name, service in file.services.items():
        listed = service.get("env_file")
        for item in listed if isinstance(listed, tuple) else (listed,):
            if isinstance(item, str) and posixpath.basename(item) in _TEMPLATES:
                return f"{name} runs with {item}, which would be the template"
    return None


def _obstacle(build: Build, file: ComposeFile, secret: Secret) -> str | None:
    """Return why the secret cannot be taken out as a whole."""
    from dockfix.build.secrets import is_placeholder
    from dockfix.syntax.yaml_edit import replace_scalar
    from dockfix_transforms._compose_passwords import holding, named_otherwise, values_of

    if any(place.secret != secret.value for place in secret.places):
        return "a URL has it percent-encoded"
    if _OTHER_IN_ENV.search(secret.value):
        return "it has a dollar sign, quotes or spaces, which .env reads in another way"
    if _NUMBER.match(secret.value):
        return "compose may read it as a number, and give the container another text than .env would"
    if named_otherwise(file, secret):
        return "its command line names it in a way that is not known"
    if any(replace_scalar(file.text, place.path, "${X:?}") is None for place in secret.places):
        return "it stands where an anchor shares it, or in several lines"
    if re.search(rf"(?<!\$)\$(?:{secret.name}\b|\{{{secret.name}\b(?!:\?))", file.text):
        return f"the file takes {secret.name} from the environment in another place"
    files = build.project.files
    folder = posixpath.dirname(file.path)
    for name in (".env", *_TEMPLATES):  # what is in .env now, or was copied there: it may be for outside of compose
        given = _assigned(_text(build, folder, name), secret.name)
        if given is not None and given != secret.value and not is_placeholder(given):
            return f"{name} gives {secret.name} another value"
    for path in used_with(files, file.path):
        other = compose_file(files, path)
        if other is not None and secret.value in values_of(other):
            return f"{path}, which is used with it, holds it as well"
        if other is not None and any(
            place.name and place.name in environment(other.services.get(place.service, {})) for place in secret.places
        ):
            return f"{path}, which is used with it, gives it as well"
    holder = holding(files, secret.value, _readers(build, file, secret))
    return None if holder is None else f"{holder} holds it as well"


def _readers(build: Build, file: ComposeFile, secret: Secret) -> Iterator[str]:
    """Yield the files that a service with the secret, or a client of it, may take it from as well."""
    if secret.giver is None:
        return
    files, folder = build.project.files, posixpath.dirname(file.path)
    for service in file.services.values():
        listed = service.get("env_file")
        for item in listed if isinstance(listed, tuple) else (listed,):
            if isinstance(item, str):
                yield posixpath.normpath(posixpath.join(folder, item))
    for mount in _mounts(file.services[secret.giver]):
        source = posixpath.normpath(posixpath.join(folder, mount))
        yield from ({source} & files.paths) or files.below(source)
    if all(known_image(file.services[place.service]) for place in secret.clients):  # none is the application
        from dockfix_transforms._compose_passwords import code

        yield from code(files)


def _mounts(service: Mapping[str, Value]) -> Iterator[str]:
    """Yield the files and folders of the repository that a service gets."""
    volumes = service.get("volumes")
    for item in volumes if isinstance(volumes, tuple) else ():
        source = item.get("source") if isinstance(item, Mapping) else item
        if isinstance(source, str) and source.startswith("./"):
            yield source.partition(":")[0]


def _text(build: Build, folder: str, name: str) -> str:
    return build.project.files.text(posixpath.join(folder, name)) or ""


def _assigned(text: str, name: str) -> str | None:
    match = re.search(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE)
    return match.group(1).strip("\"'") if match else None


def _fix(build: Build, file: ComposeFile, edits: list[Edit], taken: list[Secret]) -> Fix:
    folder = posixpath.dirname(file.path)
    names = [secret.name for secret in taken]
    known = [name for name in _TEMPLATES if posixpath.join(folder, name) in build.project.files.paths]
    path = posixpath.join(folder, known[0] if known else _TEMPLATES[0])
    present = build.project.files.text(path) or ""
    newline = "\r\n" if "\r\n" in (present or file.text) else "\n"
    missing = [name for name in names if not re.search(rf"^\s*#?\s*(?:export\s+)?{name}\s*=", present, re.MULTILINE)]
    lines = [] if present else ["# Copy this file to .env and fill it in: docker compose reads it from there."]
    lines += [f"{name}=" for name in missing]
    changes: dict[str, list[Edit]] = {file.path: edits}
    if missing:
        lead = newline if present and not present.endswith("\n") else ""
        changes[path] = [insert(len(present), lead + "".join(line + newline for line in lines))]
    notes = [
        f"Put the values that stood in {file.name} into .env beside it before the next start: {', '.join(names)}.",
        "They stay in the history of the repository: change them where they protect something. "
        "A database that exists keeps its password until it is changed there.",
    ]
    if any(place.host for secret in taken for place in secret.places):
        notes.append("A password that is part of a URL has to be percent-encoded, or of letters and digits alone.")
    values: dict[str, list[str]] = {}
    after = apply_edits(file.text, edits)
    for secret in taken:
        values.setdefault(secret.value, []).append(secret.name)
        told = len(secret.value) > 7 and secret.value not in ("postgres", "postgresql", "password", "rabbitmq")
        left = re.search(rf"(?<![\w-]){re.escape(secret.value)}(?![\w-])", after) if told else None
        if left is not None:
            line = after.count("\n", 0, left.start()) + 1
            notes.append(f"Line {line} of {file.name} still holds the value of {secret.name}, where it is not read.")
    notes += [
        f"{_listed(same)} had one value: give them one again where they are the same password."
        for same in values.values()
        if len(same) > 1
    ]
    ignored = "\n".join(_text(build, place, ".gitignore") for place in ("", folder))
    if not re.search(rf"^/?(?:\*\*/|{re.escape(folder)}/)?(?:\.env\*?|\*\.env)\s*$", ignored, re.M):
        there = posixpath.join(folder, ".env") in build.project.files.paths
        rest = (
            "and take .env out of the repository if it is in it" if there else "so that it stays out of the repository"
        )
        notes.append(f"No .gitignore names .env: add it, {rest}.")
    title = f"take {_listed(names)} out of {file.name}"
    secrets = tuple(dict.fromkeys(secret.value for secret in taken))
    variables = {secret.name: secret.value for secret in taken}
    line = build.final.steps[0].line
    return Fix(title, changes, line, notes=tuple(notes), secrets=secrets, variables=variables)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
