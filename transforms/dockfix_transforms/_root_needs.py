"""What tells that a program needs root, and which directories it writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dockfix.build.expand import expand_word
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle

if TYPE_CHECKING:
    from dockfix.project.compose import Service

# fmt: off
SYSTEM: Final = frozenset({
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin",
    "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/src", "/var", "/var/lib",
})
# fmt: on
_NEEDS_ROOT: Final = pattern(
    r"(?<![\w./-])(?:/\S*/)?(apt|apt-get|apk|service|systemctl|cron|crond|crontab|chown|gosu|su-exec|setpriv|su|sudo|"
    r"supervisord|supervisor|nginx|apache2|apache2ctl|sshd|openssh-server|mount|iptables|useradd|adduser|dockerd|"
    r"s6-svscan|runit|runsvdir|update-ca-certificates|pcscd|dbus-daemon|avahi-daemon|bluetoothd|rsyslogd|udevd|"
    r"openvpn|wg-quick|tailscaled|dnsmasq)(?![\w.-])",
    words=(
        *("pcscd", "dbus-daemon", "avahi-daemon", "bluetoothd", "rsyslogd", "udevd", "openvpn", "wg-quick"),
        *("tailscaled", "dnsmasq"),
        *("apt", "apk", "service", "systemctl", "cron", "chown", "gosu", "su", "setpriv", "nginx", "apache2", "sshd"),
        *("openssh", "mount", "iptables", "useradd", "adduser", "dockerd", "s6-svscan", "runit", "runsvdir"),
        "update-ca",
    ),
)
_IDLE: Final = pattern(
    r"(?:(?:/usr)?/bin/)?(?:(?:ba|da|a|z)?sh(?: -[il]+)?|tail -[fF] \S+|sleep (?:infinity|\d+\w?)|i?python[\d.]*)",
    words=("sh", "tail -", "sleep ", "python"),
)
_DAEMON: Final = pattern(
    r"(?<![\w/.-])(supervisord?|nginx|cron|crond|apache2|sshd|openssh-server|gosu|su-exec|sudo|redis-server|"
    r"postgresql|mysql-server|mariadb-server|s6-overlay|runit)(?![\w.-])"
)
_PRIVILEGES: Final = pattern(r"\b(privileged:\s*true|cap_add:|devices:|network_mode:)")
_ROOT_HOME: Final = pattern(
    r"/root(?![\w-])|(?<![\w-])--user(?![\w-])|(?:^|[\s='\":])~/", words=("/root", "--user", "~/")
)
_LOW_PORT: Final = pattern(
    r"(?:port[^\w[$]{1,3}|:|-[pb]\W{0,3})0*(\d{1,3}|10[01]\d|102[0-3])(?![\w.:-])", re.IGNORECASE
)
_SECTION: Final = pattern(
    r"(?:^|[\s='\":/])(/(?:data|db|logs?|uploads?|storage|media|mnt|srv|var)(?:/[\w.-]+)*)",
    words=("/data", "/db", "/log", "/upload", "/storage", "/media", "/mnt", "/srv", "/var"),
)
_OF_SYSTEM: Final = pattern(r"/(?:usr|etc|bin|s?bin|lib\w*|proc|sys|dev|tmp|boot|root|home|run|opt/venv)?(?:/|\Z)")
_WRITES: Final = pattern(
    r"sqlite|\.write\(|\.save\(|write_text|write_bytes|makedirs|mkdir\(|FileHandler|to_csv|\bdump\(|"
    r"open\([^)\n]*,\s*(?:mode\s*=\s*)?['\"][rbt]*[wax+]"
)
_COMMAND_WRITES: Final = pattern(
    r"makemigrations|collectstatic|compilemessages|\bdb\s+(?:init|migrate|revision)\b|\balembic\s+revision\b|"
    r"\bcelery\b(?![^\n;&|]*\s(?:-S|-s|--schedule|--scheduler)[\s=])[^\n;&|]*\s(?:beat|-B|--beat)(?![\w-])|"
    r"(?<![\w.-])(?:touch|mkdir|cp|mv|tee)\s|(?<![-=&>\d])>{1,2}\s*(?!/dev/|&)[\w./$]"
)
_CODE_PORT: Final = pattern(
    r"(?i:\bport['\"]?\s*[=:,]\s*(?:int\()?['\"]?)0*(?:\d{1,3}|10[01]\d|102[0-3])(?![\w.])|:(?:80|443)['\"]"
)
_HOME_DOWNLOAD: Final = pattern(
    r"playwright\s+install|pyppeteer|nltk|huggingface|from_pretrained|torch\.hub|whisper|pipx|uv tool|uv python|rustup|"
    r"install-poetry|git\s+config\s+--global|gcloud\s+\w+|aws\s+configure|kubectl\s+config|helm\s+repo|--generate-config|"
    r"(?:curl|wget)\b[^\n|;&]*\|\s*(?:sudo\s+)?(?:\S*/)?(?:ba|da|z)?(?:sh|python[\d.]*)\b"
)
_PATHS: Final = pattern(r"['\"](?:sqlite:///)?(/[\w./-]+)['\"]", words=("'/", '"/', "sqlite:///"))
_OF_A_DATABASE: Final = pattern(r"/(?:var/)?run/(?:postgresql|mysqld|mariadb|redis)/?\Z")
"""Where a database puts its socket: the volume is the database's, and others only connect to it."""
_DATABASE: Final = pattern(r"sqlite:///(/[\w./-]+)", words=("sqlite:///",))
_PORT_VARIABLE: Final = pattern(r"PORT\W+0*(?:\d{1,3}|10[01]\d|102[0-3])(?!\d)", words=("PORT",))
_RUNNER: Final = pattern(r"(?<![\w-])(?:poetry|pipenv|uv|pdm|hatch|conda)\s+run", words=("run",))
_INSTALLS: Final = pattern(r"(?<![\w-])(?:pip3?|npm|poetry|pipenv)\s+install", words=("install",))
_SCRIPT: Final = pattern(
    r"[\w./-]+\.(?:sh|bash|py)|[\w./-]*(?:entrypoint|start|run|boot)[\w.-]*",
    words=(".sh", ".bash", ".py", "entrypoint", "start", "run", "boot"),
)


def check_text(build: Build, chain: list[Stage]) -> None:
    """Refuse what the instructions say: daemons, downloads into root's home, ports that only root may bind, owners."""
    text = build.dockerfile.text
    for stage in chain:
        for step in stage.steps[1:]:
            raw = re.sub(
                r"--mount=\S+", "", text[step.instruction.start : step.instruction.end]
            )  # gone after the build
            if step.keyword == "LABEL":
                continue
            found = _ROOT_HOME.search(step.instruction.value)
            if found or "/root/" in raw:
                shown = found[0].strip() if found else "/root"
                raise Obstacle(f"{shown} belongs to root, and the program may need it", step.line)
            if step.keyword == "RUN" and (found := _DAEMON.search(raw)):
                raise Obstacle(f"{found[1]} needs root", step.line)
            if step.keyword == "RUN" and (found := _HOME_DOWNLOAD.search(raw)):
                shown = "a script that is piped into a shell" if "|" in found[0] else found[0]
                raise Obstacle(f"{shown} may leave files in root's home that the program needs", step.line)
            chown = step.instruction.flag("chown")
            if chown is not None and re.match(r"(?:root|0)?(?::|\Z)", chown.value or ""):
                raise Obstacle("--chown keeps these files root's on purpose", step.line)
            if step.keyword == "EXPOSE":
                for word in step.instruction.value.split():
                    number = (expand_word(word, step.env) or word).partition("/")[0].partition("-")[0]
                    if not number.isdecimal() or int(number) < 1024:
                        raise Obstacle(f"the port {word} is below 1024 or not known", step.line)
            if step.keyword == "ENV" and _PORT_VARIABLE.search(raw):
                raise Obstacle("the port is below 1024", step.line)


def check_starts(build: Build, starts: list[Step]) -> None:
    """Refuse start commands that need root, and the scripts that they run."""
    for step in starts:
        words = step.instruction.json_form
        text = " ".join(words) if words is not None else step.instruction.value
        for place, script in with_scripts(build, text):
            _check_command(script, 0 if place else step.line, place)


def check_program(build: Build, starts: list[Step]) -> None:
    """Refuse an image that starts nothing but a shell: who uses it says which program runs, and where it writes."""
    if any(service.command or service.entrypoint for service in build.project.services):
        return
    step = starts[-1]
    text = " ".join(step.instruction.json_form or (step.instruction.value,)).strip()
    if _IDLE.fullmatch(text) and not any(other.keyword == "ENTRYPOINT" for other in starts[:-1]):
        raise Obstacle(f"`{text}` waits for a command: which program runs is not known", step.line)


def with_scripts(build: Build, text: str) -> Iterator[tuple[str | None, str]]:
    """Yield the text of a command, and place and text of the scripts that it runs."""
    yield None, text
    context = build.project.context
    for word in _SCRIPT.findall(text):
        name = word.rpartition("/")[2]
        found = [path for path in context.paths if path.rpartition("/")[2] == name]
        for path in found:
            if not path.endswith(".py"):
                yield context.repository_path(path), context.text(path) or ""
        if name.endswith((".sh", ".bash")) and not found:
            raise Obstacle(f"the script {name} is not among the files")


def check_services(build: Build, workdir: str) -> None:
    """Refuse compose services that need root, or whose mounts the user could not write to."""
    services = build.project.services
    if services and all(service.target not in (None, build.final.name) for service in services):
        first = services[0]
        raise Obstacle(f"{first.name} is built from the stage {first.target}, not the last one", first.line, first.path)
    for service in build.project.services:
        where = (service.line, service.path)
        commands = [item for item in (service.command, service.entrypoint) if item is not None]
        texts = [item if isinstance(item, str) else " ".join(item) for item in commands]
        for place, script in (found for text in texts for found in with_scripts(build, text)):
            _check_command(script, 0 if place else service.line, place or service.path)
        if service.user is not None:
            raise Obstacle("the compose service states its user", *where)
        if found := _privilege(build, service):
            raise Obstacle(f"the compose service {service.name} has privileges of its own ({found})", *where)
        if any(port is None or port < 1024 for port in service.ports):
            raise Obstacle("a container port in compose is below 1024 or not known", *where)
        for mount in service.mounts:
            if "docker.sock" in mount.target or "docker.sock" in (mount.source or ""):
                raise Obstacle("the Docker socket is root's", *where)
            if not mount.bind or mount.read_only:
                continue
            if not f"{workdir}/".startswith(f"{mount.target.rstrip('/')}/"):
                raise Obstacle(f"the host's directory at {mount.target} belongs to somebody else", *where)
            texts += [step.instruction.value for step in build.final.of("CMD", "ENTRYPOINT")]
            scripts = [script for text in texts for _, script in with_scripts(build, text)]
            if any(_COMMAND_WRITES.search(script) for script in scripts) or any(
                _WRITES.search(code) for _, code in _code(build)
            ):
                raise Obstacle("the program writes into a directory of the host that is mounted over it", *where)


def _privilege(build: Build, service: Service) -> str | None:
    """Return the key that gives *service* privileges, None where none does."""
    from dockfix.syntax.compose import read_yaml

    text = build.project.files.text(service.path) or ""
    document = read_yaml(text) if _PRIVILEGES.search(text) else None
    services = document.data.get("services") if document else None
    own = services.get(service.name) if isinstance(services, Mapping) else None
    keys = own if isinstance(own, Mapping) and "extends" not in own and service.kind == "built" else None
    for found in _PRIVILEGES.finditer(text):
        name = found[1].removesuffix(":").partition(":")[0]
        if keys is None or (name in keys and keys[name] != "false"):
            return name
    return None


def check_code(build: Build, owned: list[str], chain: list[Stage]) -> None:
    """Refuse code that binds a low port, or may write outside of the directories in *owned*."""

    def foreign(text: str) -> str | None:
        for match in _SECTION.finditer(text):
            if not any(f"{match[1]}/".startswith(f"{path}/") for path in owned):
                return match[1]
        return None

    for stage in chain:
        for step in stage.of("ENV"):
            if path := foreign(step.instruction.value):
                raise Obstacle(f"whether the program writes to {path} is not known", step.line)
    context = build.project.context
    for path in context.paths:
        name = path.rpartition("/")[2]
        if name == "Procfile" or (name.endswith(".ini") and "wsgi" in name):
            text = context.text(path) or ""
            _check_command(text, 0, context.repository_path(path))
            if re.search(r"^\s*[ug]id\s*=", text, re.MULTILINE):
                raise Obstacle("the server changes its user by itself", 0, context.repository_path(path))
    for path, code in _code(build):
        if _CODE_PORT.search(code):
            raise Obstacle("a port in the code is below 1024", 0, context.repository_path(path))
        if "/root/" in code or "'~/" in code or '"~/' in code:
            raise Obstacle("the program names a path in root's home", 0, build.project.context.repository_path(path))
        for literal in _PATHS.findall(code):
            if place := foreign(literal):
                where = build.project.context.repository_path(path)
                # Routes look like paths; only what the system has, or what is opened, counts.
                if place.startswith(("/var/", "/mnt/", "/srv/")) or f"open('{literal}" in code.replace('"', "'"):
                    raise Obstacle(f"whether the program writes to {place} is not known", 0, where)
        found = _DATABASE.search(code)
        if found and not any(f"{found[1]}/".startswith(f"{item}/") for item in owned):
            where = build.project.context.repository_path(path)
            raise Obstacle(f"the database {found[1]} would stay root's", 0, where)


def check_writes(build: Build, owned: list[str], starts: list[Step]) -> None:
    """Refuse a program that writes into one of *owned*, where none of them can be given to a user."""
    why = "the image has no shell to give it away"
    if len(owned) > 1:
        raise Obstacle(f"{owned[1]} would stay root's: {why}", build.final.steps[0].line)
    for path, code in _code(build):
        if _WRITES.search(code):
            place = build.project.context.repository_path(path)
            raise Obstacle(f"the program may write into {owned[0]}, which would stay root's: {why}", 0, place)
    for step in starts:
        if _COMMAND_WRITES.search(step.instruction.value):
            raise Obstacle(f"the start command writes into {owned[0]}, which would stay root's: {why}", step.line)


def volumes(build: Build, chain: list[Stage], workdir: str) -> list[str]:
    """Return the directories on which volumes are mounted, which the user has to own."""
    found: list[str] = []
    for stage in chain:
        for step in stage.of("VOLUME"):
            words = step.instruction.json_form or tuple(step.instruction.value.split())
            for word in words:
                if not re.fullmatch(r"/[\w./-]+", word):
                    raise Obstacle(f"the volume {word} is not known", step.line)
                found.append(word)
            raise_for = [word for word in words if word.rstrip("/") in SYSTEM]
            if raise_for:
                raise Obstacle(f"the volume {raise_for[0]} is the system's", step.line)
    for service in build.project.services:
        for mount in service.mounts:
            if not mount.bind and not mount.read_only and not _OF_A_DATABASE.match(mount.target):
                if not re.fullmatch(r"/[\w./-]+", mount.target) or mount.target.rstrip("/") in SYSTEM:
                    raise Obstacle(f"the volume {mount.target} cannot be given to a user", service.line, service.path)
                found.append(mount.target)
            if mount.target.startswith("/root"):
                raise Obstacle("a volume is mounted below /root", service.line, service.path)
    return [path for path in dict.fromkeys(item.rstrip("/") for item in found) if path != workdir]


def made_directories(chain: list[Stage], workdir: str) -> list[str]:
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
                        and not _OF_SYSTEM.match(value)
                        and re.fullmatch(r"[\w./-]+", value)
                    ):
                        found.append(value.rstrip("/"))
    return found


def _check_command(text: str, line: int, path: str | None = None) -> None:
    if found := _NEEDS_ROOT.search(text):
        raise Obstacle(f"{found[1]} in the start command needs root", line, path)
    if _LOW_PORT.search(text):
        raise Obstacle("the port is below 1024", line, path)
    if _ROOT_HOME.search(text):
        raise Obstacle("the start command names a path below /root", line, path)
    if found := _RUNNER.search(text):
        raise Obstacle(f"{found[0]} keeps its environment where root's home or the build is", line, path)
    if _INSTALLS.search(text):
        raise Obstacle("the start command installs packages", line, path)


def _code(build: Build) -> Iterator[tuple[str, str]]:
    context = build.project.context
    for path in context.paths[:2000]:
        if path.endswith(".py") and "/test" not in f"/{path}" and not context.ignored(path):
            yield path, context.text(path) or ""
