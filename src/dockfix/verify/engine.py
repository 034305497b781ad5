"""The container engines, by their command lines: what dockfix asks of docker and podman, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from dockfix.verify.process import Finished, Interrupts, capture, execute

LABEL: Final = "dockfix.run"
"""The label that everything carries that dockfix makes; its value is the run."""
NAMES: Final = ("docker", "podman")
_SHORT: Final = 60.0
_CLEAN_UP: Final = 120.0


class EngineError(Exception):
    """The engine does not do what it is asked for. The message is for the user."""


class BuildRequest(NamedTuple):
    """One build. Paths are on this machine."""

    context: str
    dockerfile: str
    iidfile: str
    network: str | None = None
    arguments: tuple[tuple[str, str | None], ...] = ()
    target: str | None = None
    secrets: tuple[str, ...] = ()
    cache: bool = True


class RunRequest(NamedTuple):
    """One container. ``command`` and ``entrypoint`` None: the image's own. ``network`` as the engine names it."""

    image: str
    network: str = "none"
    environment: Mapping[str, str] = {}
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    user: str | None = None
    workdir: str | None = None
    memory: str = "2g"
    processes: int = 512
    aliases: tuple[str, ...] = ()


class Engine:
    """One engine that answers. Everything it makes carries the label of the run."""

    name = "docker"

    def __init__(self, program: str, version: str, run: str, interrupts: Interrupts) -> None:
        self.program = program
        self.version = version
        self.run = run
        self.interrupts = interrupts
        self.environment: dict[str, str] = {}
        self.tick: Callable[[], None] | None = None
        """Called several times a second while the engine is waited for."""

    @property
    def label(self) -> str:
        """The label of this run, as ``name=value``."""
        return f"{LABEL}={self.run}"

    def ask(self, *arguments: str, timeout: float = _SHORT, stdin: str | None = None) -> Finished:
        """Run the engine's program and return what it said."""
        return execute(
            [self.program, *arguments],
            timeout=timeout,
            interrupts=self.interrupts,
            environment=self.environment,
            stdin=stdin,
            on_tick=self.tick,
        )

    def tell(self, *arguments: str, timeout: float = _SHORT) -> str:
        """Run the engine's program and return its output; raise ``EngineError`` where it fails."""
        done = self.ask(*arguments, timeout=timeout)
        if not done.ok:
            raise EngineError(f"{self.name} {arguments[0]}: {done.complaint}")
        return done.stdout

    def build_arguments(self, request: BuildRequest) -> list[str]:
        """Return the arguments of the build's command line."""
        arguments = ["build", "--label", self.label, "--iidfile", request.iidfile, "--file", request.dockerfile]
        if request.network:
            arguments += ["--network", request.network]
        for name, value in request.arguments:
            arguments += ["--build-arg", name if value is None else f"{name}={value}"]
        if request.target:
            arguments += ["--target", request.target]
        for secret in request.secrets:
            arguments += ["--secret", secret]
        if not request.cache:
            arguments += ["--no-cache"]
        return [*arguments, request.context]

    def build(
        self, request: BuildRequest, timeout: float, on_line: Callable[[str], None], on_tick: Callable[[], None]
    ) -> Finished:
        """Build an image; its id is in ``request.iidfile`` afterwards. *on_line* gets the log."""
        return execute(
            [self.program, *self.build_arguments(request)],
            timeout=timeout,
            interrupts=self.interrupts,
            environment=self.environment,
            merge=True,
            on_line=on_line,
            on_tick=on_tick,
        )

    def run_arguments(self, request: RunRequest) -> list[str]:
        """Return the arguments that make a container: limits, no privileges to gain, no mounts, no ports."""
        arguments = ["create", "--label", self.label, "--network", request.network, "--memory", request.memory]
        arguments += ["--memory-swap", request.memory, "--pids-limit", str(request.processes)]
        arguments += ["--security-opt", "no-new-privileges", *self.log_options]
        if not request.network.startswith("container:"):
            arguments += ["--hostname", "dockfix"]
        for alias in request.aliases:
            arguments += ["--network-alias", alias]
        for name, value in request.environment.items():
            arguments += ["--env", f"{name}={value}"]
        if request.user is not None:
            arguments += ["--user", request.user]
        if request.workdir is not None:
            arguments += ["--workdir", request.workdir]
        command = request.command
        if request.entrypoint is not None:
            arguments += ["--entrypoint", request.entrypoint[0] if request.entrypoint else ""]
            command = (*request.entrypoint[1:], *command)
        return [*arguments, request.image, *command]

    @property
    def log_options(self) -> list[str]:
        """What bounds the log that the engine keeps."""
        return ["--log-driver", "json-file", "--log-opt", "max-size=10m"]

    def create(self, request: RunRequest) -> str:
        """Make a container that does not run yet and return its id."""
        return self.tell(*self.run_arguments(request)).strip().splitlines()[-1]

    def start(self, container: str) -> str | None:
        """Start a container; return why that is not possible, or None."""
        done = self.ask("start", container)
        if done.ok:
            return None
        lines = [line.strip() for line in done.stderr.splitlines() if container[:12] not in line]
        return " ".join(line for line in lines if line) or done.complaint

    def state(self, container: str) -> Mapping[str, Any]:
        """Return the container's state: ``Running``, ``ExitCode``, ``OOMKilled``, ``Error``."""
        state: Mapping[str, Any] = _json(self.tell("container", "inspect", container))[0]["State"]
        return state

    def execute(
        self, container: str, *command: str, timeout: float, user: str | None = None, stdin: str | None = None
    ) -> Finished:
        """Run a command inside a running container."""
        options = [*(["--user", user] if user else []), *(["--interactive"] if stdin is not None else [])]
        return self.ask("exec", *options, container, *command, timeout=timeout, stdin=stdin)

    def logs(self, container: str, lines: int = 400) -> str:
        """Return the end of what the container wrote, output and errors in their order."""
        done = execute(
            [self.program, "logs", "--tail", str(lines), container],
            timeout=_SHORT,
            interrupts=self.interrupts,
            environment=self.environment,
            merge=True,
        )
        return done.stdout

    def copy_out(self, container: str, path: str, archive: str, most: int) -> bool:
        """Write what lies at *path* of a container to the tar file *archive*; False: there is nothing, or too much."""
        with open(archive, "wb") as sink:
            (_, _), code = capture(
                [self.program, "cp", f"{container}:{path}", "-"],
                timeout=300.0,
                interrupts=self.interrupts,
                environment=self.environment,
                sink=sink,
                most=most,
            )
            return code == 0 and sink.tell() < most

    def run_once(self, request: RunRequest, timeout: float) -> Finished:
        """Make a container, run it to its end, remove it, and return what it said."""
        container = self.create(request)
        try:
            return self.ask("start", "--attach", container, timeout=timeout)
        finally:
            self.remove_container(container)

    def inspect(self, image: str) -> Mapping[str, Any]:
        """Return what the engine knows of an image."""
        found: Mapping[str, Any] = _json(self.tell("image", "inspect", image))[0]
        return found

    def has_image(self, image: str) -> bool:
        """Return whether the engine has the image already."""
        return self.ask("image", "inspect", image).ok

    def layers(self, image: str) -> list[tuple[str, int]]:
        """Return the layers of an image, the first one first: what made it, and its size in bytes."""
        text = self.tell("history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", image)
        rows = [line.partition("\t") for line in text.splitlines() if line.strip()]
        return [(made, int(size)) for size, _, made in reversed(rows) if size.isdigit()]

    def create_network(self, name: str) -> None:
        """Make a network of the run that leads nowhere else."""
        self.tell("network", "create", "--internal", "--label", self.label, name)

    def remove_network(self, name: str) -> None:
        """Remove a network of this run."""
        self.ask("network", "rm", name)

    def remove_container(self, container: str) -> None:
        """Remove a container and its volumes, whatever it does."""
        self.ask("rm", "--force", "--volumes", container)

    def remove_image(self, image: str) -> None:
        """Remove an image of this run."""
        self.ask("image", "rm", "--force", image)

    def remove_everything(self) -> list[str]:
        """Remove all that carries this run's label; return what could not be removed, in words."""
        kinds = (
            (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            (("network", "ls", "--quiet"), ("network", "rm")),
            (("image", "ls", "--all", "--quiet", "--no-trunc"), ("image", "rm", "--force")),
        )
        left = []
        for listing, removal in kinds:
            found = self.ask(*listing, "--filter", f"label={self.label}")
            names = list(dict.fromkeys(found.stdout.split()))
            if names:
                done = self.ask(*removal, *names, timeout=_CLEAN_UP)
                if not done.ok and "no such" not in done.stderr.lower():
                    left.append(f"{listing[0]}: {done.complaint}")
        return left


class Docker(Engine):
    """Docker. With BuildKit where the client can: as a plug-in (buildx), or built in (before 23)."""

    def __init__(self, program: str, version: str, run: str, interrupts: Interrupts, buildkit: bool) -> None:
        super().__init__(program, version, run, interrupts)
        self.buildkit = buildkit
        self.environment = {"DOCKER_BUILDKIT": "1" if buildkit else "0", "BUILDKIT_PROGRESS": "plain"}

    def build_arguments(self, request: BuildRequest) -> list[str]:
        """As everywhere; the plain log is what can be read."""
        first, *rest = super().build_arguments(request)
        return [first, *(["--progress", "plain"] if self.buildkit else ["--force-rm"]), *rest]


class Podman(Engine):
    """Podman. Images in Docker's format: the other one has no HEALTHCHECK and no SHELL."""

    name = "podman"

    def build_arguments(self, request: BuildRequest) -> list[str]:
        """As everywhere; steps come from a cache only where they are kept as layers."""
        first, *rest = super().build_arguments(request)
        return [first, "--format", "docker", "--layers", "--force-rm", *rest]

    @property
    def log_options(self) -> list[str]:
        """What bounds the log that the engine keeps."""
        return ["--log-driver", "k8s-file", "--log-opt", "max-size=10mb"]


def find_engine(wanted: str | None, run: str, interrupts: Interrupts) -> Engine:
    """Return the engine *wanted*, or the first that answers. Raises ``EngineError`` that says what was looked for."""
    seen: list[str] = []
    for name in (wanted,) if wanted else NAMES:
        programs = _programs(name)
        if not programs:
            seen.append(f"{name} (not on PATH)")
        second: Engine | None = None
        for program in programs:
            found = _answering(name, program, run, interrupts)
            if isinstance(found, str):
                seen.append(f"{program} ({found})")
            elif isinstance(found, Docker) and not found.buildkit:
                second = second or found
            else:
                return found
        if second is not None:
            return second
    raise EngineError(
        f"no container engine answers; looked for {', '.join(seen)}; install Docker Engine or Podman, start it, and"
        " name its socket in DOCKER_HOST or CONTAINER_HOST where it is not the usual one"
    )


def _programs(name: str) -> list[str]:
    """Return every program of this name on PATH: an older client may do what a newer one lacks the plug-in for."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found: dict[str, str] = {}
    for folder in folders:
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _answering(name: str, program: str, run: str, interrupts: Interrupts) -> Engine | str:
    """Return the engine behind *program*, or why there is none."""

    def ask(*arguments: str) -> Finished:
        return execute([program, *arguments], timeout=20.0, interrupts=interrupts)

    try:
        said = ask("--version").stdout.lower()
        if "podman" in said:
            done = ask("version", "--format", "{{.Client.Version}}")
            reachable = ask("info", "--format", "{{.Host.Arch}}")
            if not reachable.ok:
                return reachable.complaint
            return Podman(program, done.stdout.strip(), run, interrupts)
        done = ask("version", "--format", "{{.Client.Version}} {{.Server.Version}}")
        if not done.ok:
            return done.complaint
        client, _, server = done.stdout.strip().partition(" ")
        buildkit = ask("buildx", "version").ok
        with suppress(ValueError):
            buildkit = buildkit or int(client.partition(".")[0]) < 23
        return Docker(program, server, run, interrupts, buildkit)
    except OSError as error:
        return error.strerror or str(error)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"the engine's answer is no JSON: {text[:80]}") from error


def split_pair(text: str) -> tuple[str, str | None]:
    """Return ``NAME=VALUE`` as a pair; without ``=``, the value is the surrounding environment's (None)."""
    name, equals, value = text.partition("=")
    return name, value if equals else None


def shown(command: Sequence[str]) -> str:
    """Return a command as one would type it."""
    import shlex

    return shlex.join(command)
