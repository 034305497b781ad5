"""The transform non-root-user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.layout import block_start
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform

_NAME: Final = "app"
_PYTHON_START: Final = pattern(
    r"\b(?:python[\d.]*|gunicorn|uvicorn|hypercorn|waitress-serve|flask|celery|streamlit|daphne|fastapi)\b|\.py\b"
)
_ID: Final = 1001
_BASES: Final = frozenset({"python", "debian", "ubuntu", "alpine", "buildpack-deps"})
# fmt: off
_SYSTEM: Final = frozenset({
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
    "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/src", "/var", "/var/lib",
})
# fmt: on
_NEEDS_ROOT: Final = pattern(
    r"(?<![\w./-])(?:/\S*/)?(apt|apt-get|apk|service|systemctl|cron|crond|crontab|chown|gosu|su-exec|setpriv|su|sudo|"
    r"supervisord|supervisor|nginx|apache2|apache2ctl|sshd|openssh-server|mount|iptables|useradd|adduser|dockerd|"
    r"s6-svscan|runit|runsvdir|update-ca-certificates)(?![\w.-])"
)
_DAEMON: Final = pattern(
    r"(?<![\w/.-])(supervisord?|nginx|cron|crond|apache2|sshd|openssh-server|gosu|su-exec|sudo|redis-server|"
    r"postgresql|mysql-server|mariadb-server|s6-overlay|runit)(?![\w.-])"
)
_ROOT_HOME: Final = pattern(r"/root(?![\w-])|(?<![\w-])--user(?![\w-])|(?:^|[\s='\":])~/")
_LOW_PORT: Final = pattern(r"(?:port\W{1,3}|:|-[pb]\W{0,3})0*(\d{1,3}|10[01]\d|102[0-3])(?![\w.:-])", re.IGNORECASE)
_SECTION: Final = pattern(r"(?:^|[\s='\":/])(/(?:data|db|logs?|uploads?|storage|media|mnt|srv|var)(?:/[\w.-]+)*)")
_WRITES: Final = pattern(
    r"sqlite|\.write\(|\.save\(|write_text|write_bytes|makedirs|mkdir\(|FileHandler|to_csv|\bdump\(|"
    r"open\([^)\n]*,\s*(?:mode\s*=\s*)?['\"][rbt]*[wax+]"
)
_CODE_PORT: Final = pattern(
    r"(?i:\bport['\"]?\s*[=:,]\s*(?:int\()?['\"]?)0*(?:\d{1,3}|10[01]\d|102[0-3])(?![\w.])|:(?:80|443)['\"]"
)
_HOME_DOWNLOAD: Final = pattern(
    r"playwright\s+install|pyppeteer|nltk|huggingface|from_pretrained|torch\.hub|whisper|pipx|uv tool|uv python|rustup|"
    r"install-poetry|(?:curl|wget)\b[^\n|]*\|"
)
_SCRIPT: Final = pattern(r"[\w./-]+\.(?:sh|bash|py)|[\w./-]*(?:entrypoint|start|run|boot)[\w.-]*")
_MANIFEST: Final = pattern(
    r"(?:.*/)?(?:[\w.-]*require[\w.-]*\.(?:txt|in)|req\.txt|constraints[\w.-]*\.txt|pyproject\.toml|setup\.(?:py|cfg)|"
    r"Pipfile(?:\.lock)?|poetry\.lock\*?|uv\.lock|pdm\.lock|package(?:-lock|\*)?\.json)\Z"
)
_USERADD: Final = frozenset({"useradd", "adduser"})


class _Obstacle(Exception):
    def __init__(self, reason: str, line: int = 0, path: str | None = None) -> None:
        super().__init__(reason)
        self.skip = Skip(reason, line, path)


@record
class _User:
    name: str
    step: Step | None
    """The RUN that makes it already, None where this transform does."""


@transform(safety=Safety.REVIEW, phase=Phase.USER)
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
        +USER app
         CMD ["python", "app.py"]
        @@ requirements.txt
         flask==3.1.0

    An unprivileged user that the image makes already is used. Volumes are made and given to the user. Where the build
    itself makes files in the working directory, they are given to the user behind it.

    When it holds back: ports below 1024; start commands, scripts and packages that need root (cron, nginx,
    supervisord, gosu); the Docker socket and privileged services; bind mounts into which the program writes; paths
    below /root; directories outside the working directory that the program names; a base image whose user is not
    known; no WORKDIR, and no command.

    Source: Docker's documentation, "Building best practices", USER
    (https://docs.docker.com/build/building/best-practices/#user).
    """
    if ".devcontainer" in build.path:
        return
    chain = _ancestry(build)
    user_steps = [step for stage in chain for step in stage.of("USER")]
    if user_steps and not re.match(r"(?:root|0)?(?::|\Z)", user_steps[-1].instruction.value.strip("\"'")):
        return
    if not _python_program(chain):
        return
    try:
        yield _fix(build, chain, user_steps)
    except _Obstacle as obstacle:
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
    image = chain[0].image
    line = final.steps[0].line
    if image is None or not image.official or image.repository not in _BASES:
        raise _Obstacle(f"which user the base image {chain[0].base or ''} runs as is not known", line)
    if user_steps:
        raise _Obstacle("USER root is stated, so the program may need it", user_steps[-1].line)
    if "escape" in build.dockerfile.directives or last.shell[0] in ("cmd", "powershell", "pwsh"):
        raise _Obstacle("this is an image for Windows", line)
    for stage in chain:
        for step in stage.of("ONBUILD"):
            raise _Obstacle("ONBUILD runs in the builds of others", step.line)
    starts = [step for stage in chain for step in stage.of("CMD", "ENTRYPOINT")]
    if not starts:
        raise _Obstacle("no CMD and no ENTRYPOINT says which program runs", line)
    workdir = final.workdir
    if workdir is None or workdir in _SYSTEM or workdir.startswith(("/root/", "/usr/local/lib", "/etc/", "/tmp/")):
        shown = "a directory that is not known" if workdir is None else workdir
        raise _Obstacle(f"the program runs in {shown}, which cannot be given to a user", last.line)
    _check_text(build, chain)
    _check_starts(build, starts)
    owned = [workdir, *_volumes(build, chain, workdir)]
    _check_services(build, workdir)
    made = _made_directories(chain, workdir)
    owned += [path for path in made if path not in owned]
    _check_code(build, owned, chain)
    user = _existing_user(chain)
    return _write(build, chain, user, workdir, owned)


def _check_text(build: Build, chain: list[Stage]) -> None:
    text = build.dockerfile.text
    for stage in chain:
        for step in stage.steps[1:]:
            raw = text[step.instruction.start : step.instruction.end]
            if step.keyword == "LABEL":
                continue
            found = _ROOT_HOME.search(step.instruction.value)
            if found or "/root/" in raw:
                shown = found[0].strip() if found else "/root"
                raise _Obstacle(f"{shown} belongs to root, and the program may need it", step.line)
            if step.keyword == "RUN" and (found := _DAEMON.search(raw)):
                raise _Obstacle(f"{found[1]} needs root", step.line)
            if step.keyword == "RUN" and (found := _HOME_DOWNLOAD.search(raw)):
                raise _Obstacle(f"{found[0]} may leave files in root's home that the program needs", step.line)
            chown = step.instruction.flag("chown")
            if chown is not None and re.match(r"(?:root|0)?(?::|\Z)", chown.value or ""):
                raise _Obstacle("--chown keeps these files root's on purpose", step.line)
            if step.keyword == "EXPOSE":
                for word in step.instruction.value.split():
                    number = word.partition("/")[0].partition("-")[0]
                    if not number.isdecimal() or int(number) < 1024:
                        raise _Obstacle(f"the port {word} is below 1024 or not known", step.line)
            if step.keyword == "ENV" and re.search(r"PORT\W+0*(?:\d{1,3}|10[01]\d|102[0-3])(?!\d)", raw):
                raise _Obstacle("the port is below 1024", step.line)


def _check_command(text: str, line: int, path: str | None = None) -> None:
    if found := _NEEDS_ROOT.search(text):
        raise _Obstacle(f"{found[1]} in the start command needs root", line, path)
    if _LOW_PORT.search(text):
        raise _Obstacle("the port is below 1024", line, path)
    if _ROOT_HOME.search(text):
        raise _Obstacle("the start command names a path below /root", line, path)
    if found := re.search(r"(?<![\w-])(?:poetry|pipenv|uv|pdm|hatch|conda)\s+run", text):
        raise _Obstacle(f"{found[0]} keeps its environment where root's home or the build is", line, path)
    if re.search(r"(?<![\w-])(?:pip3?|npm|poetry|pipenv)\s+install", text):
        raise _Obstacle("the start command installs packages", line, path)


def _check_starts(build: Build, starts: list[Step]) -> None:
    for step in starts:
        words = step.instruction.json_form
        text = " ".join(words) if words is not None else step.instruction.value
        _check_command(text, step.line)
        context = build.project.context
        for word in _SCRIPT.findall(text):
            name = word.rpartition("/")[2]
            for path in context.paths:
                if path.rpartition("/")[2] == name and not path.endswith(".py"):
                    _check_command(context.text(path) or "", 0, context.repository_path(path))
            if name.endswith((".sh", ".bash")) and not any(path.rpartition("/")[2] == name for path in context.paths):
                raise _Obstacle(f"the script {name} is not among the files", step.line)


def _check_services(build: Build, workdir: str) -> None:
    for service in build.project.services:
        where = (service.line, service.path)
        for command in (service.command, service.entrypoint):
            if command is not None:
                _check_command(command if isinstance(command, str) else " ".join(command), *where)
        if service.user is not None:
            raise _Obstacle("the compose service states its user", *where)
        text = build.project.files.text(service.path) or ""
        if re.search(r"privileged:\s*true|cap_add:|devices:|network_mode:", text):
            raise _Obstacle("a compose service has privileges of its own", *where)
        if any(port is None or port < 1024 for port in service.ports):
            raise _Obstacle("a container port in compose is below 1024 or not known", *where)
        for mount in service.mounts:
            if "docker.sock" in mount.target or "docker.sock" in (mount.source or ""):
                raise _Obstacle("the Docker socket is root's", *where)
            if not mount.bind or mount.read_only:
                continue
            if not f"{workdir}/".startswith(f"{mount.target.rstrip('/')}/"):
                raise _Obstacle(f"the host's directory at {mount.target} belongs to somebody else", *where)
            if any(_WRITES.search(code) for _, code in _code(build)):
                raise _Obstacle("the program writes into a directory of the host that is mounted over it", *where)


def _volumes(build: Build, chain: list[Stage], workdir: str) -> list[str]:
    found: list[str] = []
    for stage in chain:
        for step in stage.of("VOLUME"):
            words = step.instruction.json_form or tuple(step.instruction.value.split())
            for word in words:
                if not re.fullmatch(r"/[\w./-]+", word):
                    raise _Obstacle(f"the volume {word} is not known", step.line)
                found.append(word)
            raise_for = [word for word in words if word.rstrip("/") in _SYSTEM]
            if raise_for:
                raise _Obstacle(f"the volume {raise_for[0]} is the system's", step.line)
    for service in build.project.services:
        for mount in service.mounts:
            if not mount.bind and not mount.read_only:
                if not re.fullmatch(r"/[\w./-]+", mount.target) or mount.target.rstrip("/") in _SYSTEM:
                    raise _Obstacle(f"the volume {mount.target} cannot be given to a user", service.line, service.path)
                found.append(mount.target)
            if mount.target.startswith("/root"):
                raise _Obstacle("a volume is mounted below /root", service.line, service.path)
    return [path for path in dict.fromkeys(item.rstrip("/") for item in found) if path != workdir]


def _made_directories(chain: list[Stage], workdir: str) -> list[str]:
    """Return the directories outside of the working directory that the build makes with mkdir."""
    found: list[str] = []
    for stage in chain:
        for step in stage.of("RUN"):
            for command in step.script.commands if step.script else ():
                if command.name != "mkdir":
                    continue
                for value in command.argv[1:]:
                    if value is None or value.startswith("-"):
                        continue
                    inside = f"{value}/".startswith(f"{workdir}/")
                    if (
                        value.startswith("/")
                        and not inside
                        and _SECTION.match(value)
                        and re.fullmatch(r"[\w./-]+", value)
                    ):
                        found.append(value.rstrip("/"))
    return found


def _code(build: Build) -> Iterator[tuple[str, str]]:
    context = build.project.context
    for path in context.paths[:2000]:
        if path.endswith(".py") and "/test" not in f"/{path}" and not context.ignored(path):
            yield path, context.text(path) or ""


def _check_code(build: Build, owned: list[str], chain: list[Stage]) -> None:
    def foreign(text: str) -> str | None:
        for match in _SECTION.finditer(text):
            if not any(f"{match[1]}/".startswith(f"{path}/") for path in owned):
                return match[1]
        return None

    for stage in chain:
        for step in stage.of("ENV"):
            if path := foreign(step.instruction.value):
                raise _Obstacle(f"whether the program writes to {path} is not known", step.line)
    context = build.project.context
    for path in context.paths:
        name = path.rpartition("/")[2]
        if name == "Procfile" or (name.endswith(".ini") and "wsgi" in name):
            text = context.text(path) or ""
            _check_command(text, 0, context.repository_path(path))
            if re.search(r"^\s*[ug]id\s*=", text, re.MULTILINE):
                raise _Obstacle("the server changes its user by itself", 0, context.repository_path(path))
    for path, code in _code(build):
        if _CODE_PORT.search(code):
            raise _Obstacle("a port in the code is below 1024", 0, context.repository_path(path))
        if "/root/" in code or re.search(r"['\"]~/", code):
            raise _Obstacle("the program names a path in root's home", 0, build.project.context.repository_path(path))
        for literal in re.findall(r"['\"](?:sqlite:///)?(/[\w./-]+)['\"]", code):
            if place := foreign(literal):
                where = build.project.context.repository_path(path)
                # Routes look like paths; only what the system has, or what is opened, counts.
                if place.startswith(("/var/", "/mnt/", "/srv/")) or f"open('{literal}" in code.replace('"', "'"):
                    raise _Obstacle(f"whether the program writes to {place} is not known", 0, where)
        found = re.search(r"sqlite:///(/[\w./-]+)", code)
        if found and not any(f"{found[1]}/".startswith(f"{item}/") for item in owned):
            where = build.project.context.repository_path(path)
            raise _Obstacle(f"the database {found[1]} would stay root's", 0, where)


def _existing_user(chain: list[Stage]) -> _User:
    for stage in chain:
        for step in stage.of("RUN"):
            if not re.search(r"\b(?:useradd|adduser|addgroup|groupadd)\b", step.instruction.value):
                continue
            commands = [item for item in step.script.commands if item.name in _USERADD] if step.script else []
            name = commands[0].argv[-1] if len(commands) == 1 else None
            if name is None or stage is not chain[-1] or not re.fullmatch(r"[a-z_][a-z0-9_-]*", name):
                raise _Obstacle("which user the image makes cannot be told", step.line)
            return _User(name, step)
    return _User(_NAME, None)


def _write(build: Build, chain: list[Stage], user: _User, workdir: str, owned: list[str]) -> Fix:
    final = build.final
    dockerfile = build.dockerfile
    steps = final.steps
    lower = steps[0].instruction.keyword_text.islower()
    newline = dockerfile.newline
    first_copy, chowned = _copies(final, workdir)
    recursive = _recursive(chain, first_copy, workdir)
    if user.step is not None and first_copy is not None and user.step.line > first_copy.line:
        recursive, chowned = True, []
    if recursive:
        chowned = []
    anchor = first_copy if first_copy is not None and not recursive and user.step is None else _user_anchor(final)
    if user.step is not None and first_copy is not None and not recursive:
        anchor = first_copy
    group = user.name if user.step is None else ""
    owner = f"{user.name}:{group}"
    commands: list[str] = []
    if user.step is None:
        image = chain[0].image
        alpine = image is not None and (image.repository == "alpine" or "alpine" in (image.tag or ""))
        commands.append(
            f"addgroup -g {_ID} {_NAME} && adduser -D -u {_ID} -G {_NAME} {_NAME}"
            if alpine
            else f"groupadd --gid {_ID} {_NAME} && useradd --uid {_ID} --gid {_NAME} --create-home {_NAME}"
        )
    absent = owned[1:] if anchor is None or anchor.workdir == workdir else owned
    if absent:
        commands.append("mkdir -p " + " ".join(absent))
    commands.append(f"chown {'-R ' if recursive else ''}{owner} " + " ".join(owned))
    text = ("run " if lower else "RUN ") + " && ".join(commands) + newline
    edits: list[Edit] = []
    place = _user_anchor(final)
    user_line = ("user " if lower else "USER ") + user.name + newline
    end = dockerfile.text[: steps[-1].instruction.end]
    prefix = "" if end.endswith("\n") else newline
    at = block_start(dockerfile, place.instruction) if place else len(end)
    if anchor is None or anchor is place:
        edits.append(insert(at, ("" if place else prefix) + text + user_line))
    else:
        edits.append(insert(block_start(dockerfile, anchor.instruction), text))
        edits.append(insert(at, ("" if place else prefix) + user_line))
    flag = f" --chown={user.name}:{group}".rstrip(":")
    for step in chowned:
        instruction = step.instruction
        edits.append(insert(instruction.keyword_start + len(instruction.keyword_text), flag))
    notes = []
    if len(owned) > 1:
        notes.append("Volumes that exist already keep root's files; give them to the user once.")
    if any(mount.bind for service in build.project.services for mount in service.mounts):
        notes.append("A compose file mounts the host's files over the application; the program only reads them.")
    return Fix(f"run as the user {user.name}", {build.path: edits}, (place or steps[-1]).line, notes=tuple(notes))


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
            raise _Obstacle("where this lands in the image cannot be told", step.line)
        if not f"{copy.destination}/".startswith(f"{workdir}/"):
            continue
        plain = copy.sources and all(source.value and _MANIFEST.match(source.value) for source in copy.sources)
        if first is None and plain and copy.from_ is None:
            continue
        first = first or step
        if step.instruction.flag("chown") is None:
            found.append(step)
    return first, found


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
            return True
        harmless = all(name in ("pip", "pip3", "chmod", "apt-get", "apk", "rm", "echo", "uv", "set") for name in names)
        editable = any(install.editable or install.local for install in step.installs)
        if not harmless or editable:
            return True
    return False
