"""The transform migrations-out-of-start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dockfix.build.lineage import start_steps
from dockfix.build.model import Build
from dockfix.build.secrets import secret_in
from dockfix.build.start import Start, Unclear, shell_word, start_of
from dockfix.project.invocations import candidates
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._migrations import MENTION, Migration, migration_of, without
from dockfix_transforms._obstacle import Obstacle

_ELSEWHERE: Final = pattern(
    r"(?:.*/)?(?:fly\.toml|render\.ya?ml|railway\.(?:toml|json)|heroku\.yml|app\.json|captain-definition|apprunner\.ya?ml"
    r"|cloudbuild\.ya?ml|Dockerrun\.aws\.json|task-?def[\w-]*\.json|Chart\.ya?ml|skaffold\.ya?ml|kustomization\.ya?ml"
    r"|[^/]*\.nomad)\Z|(?:.*/)?(?:k8s|kubernetes|helm|charts|kube|ecs|\.ebextensions)/"
)
_BEHIND: Final = pattern(
    r"\b(?:manage\.py|django-admin)\b[^&;|]*\bmigrate\b[^&;|]*(?:&&|;)|\b(?:alembic|flask\s+db|aerich)\b[^&;|]*\bupgrade\b[^&;|]*(?:&&|;)",
    words=("migrate", "upgrade"),
)
_DEPLOYS: Final = pattern(
    r"\bkubectl\b|\bhelm (?:upgrade|install)\b|gcloud run deploy|ecs-deploy|amazon-ecs|webapps-deploy|az webapp|flyctl|"
    r"heroku container|docker run\b[^\n]*\s-d\b"
)


@transform(safety=Safety.REVIEW, phase=Phase.COMPOSE, production=True)
def migrations_out_of_start(build: Build) -> Iterator[Fix | Skip]:
    """Migrate the database once, in a container of its own, not whenever a container of the application starts.

    Why: with two replicas two migrations run at once, and lock or break each other; a restart in the middle of a day
    changes the schema. A service that runs once, for which the others wait, does neither.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY . .
        -CMD python manage.py migrate && gunicorn --bind 0.0.0.0:8000 shop.wsgi
        +CMD gunicorn --bind 0.0.0.0:8000 shop.wsgi
        @@ compose.yaml
         services:
           web:
             build: .
             depends_on:
               db:
                 condition: service_healthy
        +      migrate:
        +        condition: service_completed_successfully
        +  migrate:
        +    build: .
        +    command: ["python", "manage.py", "migrate"]
        +    depends_on:
        +      db:
        +        condition: service_healthy
           db:
             image: postgres:17
             healthcheck:
               test: ["CMD", "pg_isready"]

    The commands are those of Flask-Migrate, Django, Alembic and Aerich, in CMD, ENTRYPOINT or the script that they
    start. It is a suggestion without a compose file that runs them, where the files show that the image is deployed in
    another way as well, and where ``poetry run`` or the like starts them.

    When it holds back: a migration in a condition, a loop or a group, or in front of a command that depends on how it
    ends; ``makemigrations``; a migration in a service's own command; other commands around it that the migration may
    need, or that need it; a database that is a file, is unknown, or is not waited for; services that share their
    settings by anchors, ``extends`` or an override file; a service ``migrate`` that is there.

    Source: Docker's documentation, "Control startup and shutdown order in Compose"
    (https://docs.docker.com/compose/how-tos/startup-order/); Django's, "Migrations"
    (https://docs.djangoproject.com/en/stable/topics/migrations/).
    """
    yield from _in_compose(build)
    if not any(step is not None for step in start_steps(build)):
        return
    start = start_of(build)
    if isinstance(start, Unclear):
        if MENTION.search(start.text):
            yield Skip(f"it migrates at the start, and {start.reason}", start.line, start.path)
        return
    if start is None or not start.shells:
        return
    try:
        migration = migration_of(start)
        if migration is not None:
            yield _fix(build, start, migration)
    except Obstacle as obstacle:
        yield obstacle.skip


def _in_compose(build: Build) -> Iterator[Skip]:
    """Yield a refusal for the first service that migrates in its own command, and starts a server behind it."""
    for service in build.project.services:
        command = service.command
        text = command if isinstance(command, str) else " ".join(command or ())
        if service.kind == "built" and _BEHIND.search(text) and "runserver" not in text:
            reason = f"{service.name} migrates at every start, by a command in the compose file"
            yield Skip(f"{reason}, which is not taken apart", service.line, service.path)
            return


def _fix(build: Build, start: Start, migration: Migration) -> Fix:
    from dockfix_transforms._migrate_service import NAME, edits_of, services_that_migrate

    path = migration.shell.path
    edits: dict[str, list[Edit]] = {path: without(build.project.files.text(path) or "", migration)}
    services = services_that_migrate(build, migration)
    command = " ".join(map(shell_word, migration.alone()))
    if not services:
        once = f"run `{command}` once before a new version starts"
        title = f"migrate once, not at every start: take `{migration.text}` out of it"
        return Fix(title, _sorted(edits), start.step.line, Safety.SUGGESTION, (once,))
    edits.update(edits_of(build, migration, services))
    names = ", ".join(dict.fromkeys(service.path for service in services))
    notes = [f"where the image runs without {names}, run `{command}` before a new version starts"]
    if migration.may_fail:
        notes.append("the application started even where the migration failed, and no longer does")
    open_question = _deployed(build)
    if (runner := migration.runner) and open_question is None:
        open_question = f"{runner} would start it: decide first whether the image keeps {runner}"
    notes += [open_question] if open_question is not None else []
    title = f"migrate in a service {NAME} that runs once, not at every start"
    values = [(name, value) for service in services for name, value in service.environment.items() if value]
    secrets = tuple(secret for name, value in values if (secret := secret_in(name, value)))
    safety = Safety.SUGGESTION if open_question is not None else None
    return Fix(title, _sorted(edits), start.step.line, safety, tuple(notes), secrets)


def _sorted(edits: dict[str, list[Edit]]) -> dict[str, tuple[Edit, ...]]:
    return {path: tuple(sorted(changes)) for path, changes in edits.items()}


def _deployed(build: Build) -> str | None:
    """Return which file shows that the image is deployed without compose."""
    files = build.project.files
    for path in sorted(files.paths):
        if _ELSEWHERE.match(path):
            return f"{path} deploys it in another way"
    for path, kind in candidates(files):
        if kind in ("workflow", "make", "script") and _DEPLOYS.search(files.text(path) or ""):
            return f"{path} deploys it in another way"
    return None
