"""The transform non-root-user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.expand import expand_word
from dockfix.build.layout import above, block_start
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._base_images import runs_as_somebody, users_of
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._root_needs import (
    SYSTEM,
    check_code,
    check_program,
    check_services,
    check_starts,
    check_text,
    check_writes,
    made_directories,
    volumes,
)
from dockfix_transforms._user_obstacles import check_user

_NAME: Final = "app"
_PYTHON_START: Final = pattern(
    r"\b(?:python[\d.]*|gunicorn|uvicorn|hypercorn|waitress-serve|flask|celery|streamlit|daphne|fastapi)\b|\.py\b"
)
_ID: Final = 1001
_MANIFEST: Final = pattern(
    r"(?:.*/)?(?:[\w.-]*require[\w.-]*\.(?:txt|in)|req\.txt|constraints[\w.-]*\.txt|pyproject\.toml|setup\.(?:py|cfg)|"
    r"Pipfile(?:\.lock)?|poetry\.lock\*?|uv\.lock|pdm\.lock|package(?:-lock|\*)?\.json)\Z"
)
_WITH_VARIABLES: Final = pattern(r"(?=[^$]*\$)(?:[\w./-]|\$\w|\$\{\w+\})+\Z", words=("$",))
_HARMLESS: Final = frozenset({"pip", "pip3", "chmod", "apt-get", "apk", "rm", "echo", "uv", "set"})
_USERADD: Final = frozenset({"useradd", "adduser"})


@record
class _User:
    name: str
    step: Step | None = None
    """The RUN that makes it already."""
    command: str = ""
    """The command that makes it; none where it is there, by its number."""

    @property
    def number(self) -> str:
        """What USER is to name: by number, so that Kubernetes can see that it is not root (runAsNonRoot)."""
        return str(_ID) if self.command else self.name


@transform(safety=Safety.REVIEW, phase=Phase.USER, production=True)
def non_root_user(build: Build) -> Iterator[Fix | Skip]:
    """Run the program as an unprivileged user that owns the application's directory.

    Why: a program that runs as root in a container is root to the kernel. A hole in the application, or a volume
    that is mounted by mistake, then costs more than it has to. The working directory belongs to the user, so that
    databases, uploads and caches beside the code still work.

    Example:
         FROM python:3.12-slim
         WORKDIR /app
         COPY requirements.txt .
         RUN pip install -r requirements.txt
        -COPY . .
        +RUN groupadd --gid 1001 app && useradd --uid 1001 --gid app --create-home app && chown app:app /app
        +COPY --chown=app:app . .
        +USER 1001
         CMD ["python", "app.py"]
        @@ requirements.txt
         flask==3.1.0

    USER has the number, since Kubernetes does not take a name for a user other than root (runAsNonRoot). An
    unprivileged user that the image makes already is used, and on a base without a shell the one that it has. Volumes
    are made and given to the user. Where the build itself makes files in the working directory, they are given to the
    user behind it.

    When it holds back: ports below 1024; start commands, scripts and packages that need root (cron, nginx,
    supervisord, gosu); the Docker socket and privileged services; bind mounts into which the program writes; paths
    below /root; directories outside the working directory that the program names; a base image whose user is not
    known, or that has no program to make one; a base without a shell, where the program writes files; files and homes
    that the build leaves to root alone; code that needs privileges; no WORKDIR, and no command, or one that is only a
    shell.

    Source: Docker's documentation, "Building best practices", USER
    (https://docs.docker.com/build/building/best-practices/#user).
    """
    chain = _ancestry(build)
    user_steps = [step for stage in chain for step in stage.of("USER")]
    if user_steps and not re.match(r"(?:root|0)?(?::|\Z)", user_steps[-1].instruction.value.strip("\"'")):
        return
    if not user_steps and runs_as_somebody(chain[0].image):
        return
    if not _python_program(chain):
        return
    try:
        yield _fix(build, chain, user_steps)
    except Obstacle as obstacle:
        yield obstacle.skip


def _python_program(chain: list[Stage]) -> bool:
    """Whether the image ships a Python program: other programs may need root in ways that nothing here knows."""
    if any("python" in (stage.base or "") for stage in chain):
        return True
    starts = [step for stage in chain for step in stage.of("CMD", "ENTRYPOINT")]
    if not any(_PYTHON_START.search(step.instruction.value) for step in starts):
        return False
    copies = [step.copy for stage in chain for step in stage.of("COPY", "ADD")]
    return any(copy is not None and copy.from_ is None for copy in copies)


def _ancestry(build: Build) -> list[Stage]:
    """Return the final stage and the stages that it is built on, the lowest first."""
    chain = [build.final]
    while (base := chain[0].base_stage) is not None:
        chain.insert(0, build.stages[base])
    return chain


def _fix(build: Build, chain: list[Stage], user_steps: list[Step]) -> Fix:
    final = build.final
    last = final.steps[-1]
    line = final.steps[0].line
    users = users_of(chain[0].image) if chain[0].image is not None else None
    if users is None:
        raise Obstacle(f"which user the base image {chain[0].base or ''} runs as is not known", line)
    if user_steps:
        raise Obstacle("USER root is stated, so the program may need it", user_steps[-1].line)
    if "escape" in build.dockerfile.directives or last.shell[0] in ("cmd", "powershell", "pwsh"):
        raise Obstacle("this is an image for Windows", line)
    for stage in chain:
        for step in stage.of("ONBUILD"):
            raise Obstacle("ONBUILD runs in the builds of others", step.line)
    starts = [step for stage in chain for step in stage.of("CMD", "ENTRYPOINT")]
    if not starts:
        raise Obstacle("no CMD and no ENTRYPOINT says which program runs", line)
    workdir = final.workdir
    if workdir is None or workdir in SYSTEM or workdir.startswith(("/root/", "/usr/local/lib", "/etc/", "/tmp/")):
        shown = "a directory that is not known" if workdir is None else workdir
        raise Obstacle(f"the program runs in {shown}, which cannot be given to a user", last.line)
    check_text(build, chain)
    check_program(build, starts)
    check_starts(build, starts)
    owned = [workdir, *volumes(build, chain, workdir)]
    check_services(build, workdir)
    made = made_directories(chain, workdir)
    owned += [path for path in made if path not in owned]
    check_code(build, owned, chain)
    check_user(build, chain, owned, workdir)
    user = _User(f"{users}") if isinstance(users, int) else _user(chain, users)
    if isinstance(users, int):
        check_writes(build, owned, starts)
    return _write(build, chain, user, workdir, owned)


def _user(chain: list[Stage], program: str) -> _User:
    """Return the user that a RUN makes, or that *program* can make."""
    for stage in chain:
        for step in stage.of("RUN"):
            if not re.search(r"\b(?:useradd|adduser|addgroup|groupadd)\b", step.instruction.value):
                continue
            commands = [item for item in step.script.commands if item.name in _USERADD] if step.script else []
            name = commands[0].argv[-1] if len(commands) == 1 else None
            if name is None or stage is not chain[-1] or not re.fullmatch(r"[a-z_][a-z0-9_-]*", name):
                raise Obstacle("which user the image makes cannot be told", step.line)
            return _User(name, step)
    if program == "adduser":
        return _User(_NAME, command=f"addgroup -g {_ID} {_NAME} && adduser -D -u {_ID} -G {_NAME} {_NAME}")
    if program == "shadow-utils" and not _installed_first(chain, program):
        raise Obstacle(f"the base image {chain[0].base} has no useradd", chain[-1].steps[0].line)
    command = f"groupadd --gid {_ID} {_NAME} && useradd --uid {_ID} --gid {_NAME} --create-home {_NAME}"
    return _User(_NAME, command=command)


def _installed_first(chain: list[Stage], package: str) -> bool:
    """Whether *package* is there before the first COPY, where the user is made."""
    first = next((step for stage in chain for step in stage.of("COPY", "ADD")), None)
    steps = [step for stage in chain for step in stage.of("RUN") if first is None or step.line < first.line]
    return any(package in install.packages for step in steps for install in step.installs)


def _write(build: Build, chain: list[Stage], user: _User, workdir: str, owned: list[str]) -> Fix:
    final = build.final
    dockerfile = build.dockerfile
    steps = final.steps
    lower = steps[0].instruction.keyword_text.islower()
    newline = dockerfile.newline
    first_copy, chowned = _copies(final, workdir)
    by_number = user.step is None and not user.command
    recursive = not by_number and _recursive(chain, first_copy, workdir)
    if user.step is not None and first_copy is not None and user.step.line > first_copy.line:
        recursive, chowned = True, []
    if recursive:
        chowned = []
    if by_number:  # what other stages made is readable as it is
        chowned = [step for step in chowned if step.copy is not None and step.copy.from_ is None]
    anchor = first_copy if first_copy is not None and not recursive else _user_anchor(final)
    group = user.name if user.step is None else ""
    owner = f"{user.name}:{group}"
    commands = [user.command] if user.command else []
    absent = owned[1:] if anchor is None or anchor.workdir == workdir else owned
    edits: list[Edit] = []
    run = "run " if lower else "RUN "
    if recursive and user.command and first_copy is not None:  # a layer that no change of the source builds anew
        edits.append(insert(block_start(dockerfile, first_copy.instruction), f"{run}{commands.pop()}{newline}"))
    if absent:
        commands.append("mkdir -p " + " ".join(absent))
    given = [_as_written(final, workdir, anchor), *(one for path in owned[1:] for one in _below(workdir, path))]
    commands.append(f"chown {'-R ' if recursive else ''}{owner} " + " ".join(given))
    text = "" if by_number else run + " && ".join(commands) + newline
    place = _user_anchor(final)
    user_line = f"{'user' if lower else 'USER'} {user.number}{newline}"
    end = dockerfile.text[: steps[-1].instruction.end]
    prefix = "" if end.endswith("\n") else newline
    if place is None and prefix:  # the file ends without a newline, and stays so
        user_line = user_line.removesuffix(newline)
    if anchor is not None and anchor is not place and text:
        edits.append(insert(block_start(dockerfile, anchor.instruction), text))
        text = ""
    text += user_line
    edits.append(above(dockerfile, place.instruction, text) if place else insert(len(end), prefix + text))
    flag = f" --chown={user.name}:{group}".rstrip(":")
    for step in chowned:
        instruction = step.instruction
        edits.append(insert(instruction.keyword_start + len(instruction.keyword_text), flag))
    notes = []
    if by_number:
        notes.append(f"The image has no shell that could give {workdir} away: it stays root's, and is only read.")
    if len(owned) > 1:
        notes.append("Volumes that exist already keep root's files; give them to the user once.")
    if any(mount.bind for service in build.project.services for mount in service.mounts):
        command = "manage.py makemigrations" if "manage.py" in _names(build) else "a formatter"
        notes.append(
            "A compose file mounts the host's files over the application; the program only reads them. What writes "
            f"there by hand, such as {command}, needs `docker compose run --user $(id -u)`."
        )
    return Fix(f"run as the user {user.name}", {build.path: edits}, (place or steps[-1]).line, notes=tuple(notes))


def _names(build: Build) -> frozenset[str]:
    return frozenset(path.rpartition("/")[2] for path in build.project.context.paths)


def _below(workdir: str, path: str) -> Iterator[str]:
    """Yield *path*, behind the directories between it and the working directory that ``mkdir -p`` makes as well."""
    inside = path.removeprefix(f"{workdir}/") if path.startswith(f"{workdir}/") else ""
    parts = inside.split("/")[:-1]
    yield from ("/".join([workdir, *parts[: end + 1]]) for end in range(len(parts)))
    yield path


def _as_written(stage: Stage, workdir: str, where: Step | None) -> str:
    """Return the working directory with the variables that WORKDIR names: a build may set others."""
    last = stage.last("WORKDIR")
    if last is None or (where is not None and where.line < last.line):
        return workdir
    text = last.instruction.value
    env = (where or stage.steps[-1]).env
    return text if _WITH_VARIABLES.match(text) and expand_word(text, env) == workdir else workdir


def _user_anchor(stage: Stage) -> Step | None:
    """Return the first HEALTHCHECK, ENTRYPOINT or CMD behind everything that needs root, None for the end."""
    found: Step | None = None
    for step in reversed(stage.steps):
        if step.keyword in ("RUN", "COPY", "ADD", "WORKDIR", "SHELL", "FROM"):
            break
        if step.keyword in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
            found = step
    return found


def _copies(stage: Stage, workdir: str) -> tuple[Step | None, list[Step]]:
    """Return the first COPY of the application, and those that can take ``--chown``."""
    first: Step | None = None
    found: list[Step] = []
    for step in stage.of("COPY", "ADD"):
        copy = step.copy
        if copy is None or copy.destination is None:
            raise Obstacle("where this lands in the image cannot be told", step.line)
        if not f"{copy.destination}/".startswith(f"{workdir}/"):
            continue
        plain = copy.sources and all(source.value and _MANIFEST.match(source.value) for source in copy.sources)
        if first is None and plain and copy.from_ is None:
            continue
        first = first or step
        if step.instruction.flag("chown") is None:
            found.append(step)
    return first, found


def _leaves_nothing_to_write(command: Command) -> bool:
    """Whether what a command leaves in the working directory is only read by the program later, if it leaves any."""
    if command.name in _HARMLESS:
        return True
    words = [word for word in command.argv if word is not None]
    return bool(re.match(r"(?:\S*/)?(?:python[\d.]*|django-admin|flask)\Z", words[0] if words else "")) and any(
        one in words for one in ("collectstatic", "compilemessages", "compileall", "compilejsi18n", "compress")
    )


def _makes_only(command: Command, workdir: str) -> bool:
    """Whether a command makes the working directory itself, or is one that leaves nothing of root's in it."""
    if command.name != "mkdir":
        return command.name in _HARMLESS
    return not command.redirects and all(
        word == workdir or word in ("-p", "--parents")
        for word in (text and text.rstrip("/") for text in command.argv[1:])
    )


def _recursive(chain: list[Stage], first: Step | None, workdir: str) -> bool:
    """Return whether files in the working directory would stay root's without ``chown -R``."""
    if any(
        step.copy and f"{step.copy.destination}/".startswith(f"{workdir}/")
        for stage in chain[:-1]
        for step in stage.of("COPY", "ADD")
    ):
        return True
    for step in chain[-1].of("COPY", "ADD"):
        copy = step.copy
        above = copy.destination.rstrip("/") if copy and copy.destination else None
        if above is not None and above != workdir and workdir.startswith(f"{above}/"):
            return True
    for step in chain[-1].of("RUN"):
        names = [command.name for command in step.script.commands] if step.script else [None]
        if first is not None and step.line < first.line:
            if not any(name in ("mkdir", "touch", "git", "curl", "wget", None) for name in names):
                continue
            if step.workdir != workdir and workdir not in step.instruction.value:
                continue
            if step.script is not None and all(_makes_only(command, workdir) for command in step.script.commands):
                continue
            return True
        harmless = step.script is not None and all(map(_leaves_nothing_to_write, step.script.commands))
        editable = any(install.editable or install.local for install in step.installs)
        if not harmless or editable:
            return True
    return False
