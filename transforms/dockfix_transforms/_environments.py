"""Where an image has its Python packages: in the system's Python, in an environment that a manager makes, or in one of
the Dockerfile's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from posixpath import basename, join, normpath, relpath
from typing import TYPE_CHECKING, Final

from dockfix.build.copies import Copy
from dockfix.build.expand import expand_word
from dockfix.build.installs import Install
from dockfix.build.keyvalue import pairs_of
from dockfix.build.manifests import origin_of, toml_of
from dockfix.build.model import Build, Stage, Step
from dockfix.project.context import Context
from dockfix.records import record, replace
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tools import brings_tools, only_installers, python_image

if TYPE_CHECKING:
    from dockfix.syntax.shell import Script

ACTIVE: Final = "/opt/venv"
"""The environment that a builder makes for what went to the system's Python."""
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})
_NO_OTHER_PYTHON: Final = frozenset({"--no-python-downloads", "--no-managed-python"})
_BUILDS: Final = pattern(
    r"\[tool\.[\w.-]*build\.hooks[\w.-]*|\[tool\.poetry\.build\]|^build\s*=|write[_-]to\b|version[_-]file\b|ext[_-]modules"
    r"|maturin|scikit-build|meson-python|setuptools[-_]rust|cython",
    re.MULTILINE | re.IGNORECASE,
)
_MINOR: Final = pattern(r"(3\.\d+)(?:\.\d+)?(?:\Z|-)")


@record
class Environment:
    """The place of the packages in the builder and in the final stage.

    ``own`` tells that a command of the Dockerfile makes it, so that the builder needs no other.
    """

    path: str
    own: bool


def environment_folder(
    install: Install,
    env: Mapping[str, str | None],
    texts: Iterable[str],
    origin: Callable[[str], str | None],
    context: Context,
) -> str | None:
    """Return the folder that a manager makes beside its manifest and installs into, None where it does not.

    *env* is that of its RUN, *texts* the RUNs up to it, *origin* as for ``manifests_of``.
    """
    if install.workdir is None:
        return None
    match install.manager:
        case "npm" | "yarn" | "pnpm":
            return None if install.options & {"-g", "--global"} else join(install.workdir, "node_modules")
        case "composer":
            return join(install.workdir, "vendor")
        case "uv-sync":
            return normpath(join(install.workdir, env.get("UV_PROJECT_ENVIRONMENT") or ".venv"))
        case "pdm":
            return join(install.workdir, ".venv")
        case "poetry":
            inside = env.get("POETRY_VIRTUALENVS_IN_PROJECT") or ""
            if not inside and not re.search(r"virtualenvs\.in-project[ =]+[\"']?true", " ".join(texts)):
                source = origin(join(install.workdir, "poetry.toml"))
                table = toml_of(context.text(source) or "") if source else None
                inside = str(((table or {}).get("virtualenvs") or {}).get("in-project", "false"))
            else:
                inside = inside or "true"
            return None if inside.lower() in _FALSE else join(install.workdir, ".venv")
        case "pipenv":
            inside = env.get("PIPENV_VENV_IN_PROJECT") or ""
            return None if "--system" in install.options or inside in _FALSE else join(install.workdir, ".venv")
    return None


def lets_in(copy: Copy, context: Context, folder: str) -> bool:
    """Whether *copy* would bring what the context may have in *folder*, a path of the image."""
    if copy.from_ is not None:
        return False
    if copy.destination is None:
        return True
    below = relpath(folder, copy.destination)
    for source in copy.sources:
        place = normpath("/" + (source.value or "")).lstrip("/")
        if context.repository_path(place) in context.files.paths or "*" in place:
            continue  # a file, or what folders of these names hold
        inside = normpath(join(place, below))
        witness = f"{inside}/x"
        if not inside.startswith("..") and copy.image_path(witness) == f"{folder}/x" and not context.ignored(witness):
            return True
    return False


def environment_of(build: Build, stage: Stage, installs: Sequence[Step]) -> Environment:
    """Return the one environment that *installs* go to. Raises ``Obstacle`` where they go to several, or elsewhere."""
    context = build.project.context
    made = _made(stage, installs[-1])
    found: dict[Environment, str] = {}
    copies: list[Copy] = []

    def origin(target: str) -> str | None:
        return next((path for copy in copies if (path := origin_of(copy, context, target))), None)

    wanted = {step.line for step in installs}
    for at, step in enumerate(stage.steps, 1):
        if step.copy is not None:
            copies.append(step.copy)
        for install in step.installs if step.line in wanted else ():
            if not counts(step, install):
                continue
            _check_project(step, install, origin, context)
            texts = (other.instruction.value for other in islice(stage.steps, at) if other.keyword == "RUN")
            found.setdefault(_place(step, install, made, texts, origin, context), install.manager)
    if not found:
        raise Obstacle("what is installed are package managers only", installs[0].line)
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise Obstacle(f"{_shown(first)} and {_shown(second)} install into two environments", installs[-1].line)
    environment = next(iter(found))
    if environment.own:
        _check_own(build, stage, environment, installs)
    return environment


def _check_project(step: Step, install: Install, origin: Callable[[str], str | None], context: Context) -> None:
    """Raise ``Obstacle`` where the manifest is not known, and where the project itself is installed from its source and
    that may leave files there.
    """
    if install.manager not in ("poetry", "uv-sync", "pipenv") or install.workdir is None:
        return
    name = "Pipfile" if install.manager == "pipenv" else "pyproject.toml"
    source = origin(join(install.workdir, name))
    if source is None and step.instruction.flag("mount") is not None:
        source = name
    text = context.text(source) if source else None
    if text is None:
        raise Obstacle(f"{name}, which {_shown(install.manager)} reads, is not in the build context", step.line)
    if install.manager == "pipenv" or ("." not in install.local and "--only-root" not in install.options):
        return
    if found := _BUILDS.search(text):
        reason = f"the project is installed from its source, and its build may write there: {found.group().strip()}"
        raise Obstacle(reason, step.line)
    if origin(join(install.workdir, "setup.py")):
        raise Obstacle("the project is installed from its source, and its setup.py may write there", step.line)


def counts(step: Step, install: Install) -> bool:
    """Whether *install* brings packages that the program runs with."""
    if install.manager in ("apt", "apk", "yum") or only_installers(install):
        return False
    return step.script is None or not brings_tools(step.script, install.command, install)


def _place(
    step: Step,
    install: Install,
    made: str | None,
    texts: Iterable[str],
    origin: Callable[[str], str | None],
    context: Context,
) -> Environment:
    manager, line = install.manager, step.line
    first = basename(install.command.words[0].value or "")
    if manager in ("poetry", "pipenv") and first.startswith("python"):
        raise Obstacle(f"{first} -m {manager} would look for {manager} among the packages of the program", line)
    if manager not in ("pip", "uv-pip", "uv-sync", "poetry", "pipenv"):
        raise Obstacle(f"the packages are installed by {_shown(manager)}: where to is not known", line)
    if install.workdir is None:
        if manager == "pip" and first not in ("poetry", "pipenv", "uv"):
            return Environment(made, True) if made else Environment(ACTIVE, False)
        raise Obstacle(f"the directory in which {_shown(manager)} runs is not known", line)
    if manager == "uv-sync" or (manager == "uv-pip" and first == "uv"):
        _check_uv(step, install)
    if manager == "uv-sync" and "--active" in install.options:
        if made is None:
            raise Obstacle("uv sync --active: which environment is active is not known", line)
        return Environment(made, True)
    if manager == "uv-pip":
        if "--system" in install.options or (step.env.get("UV_SYSTEM_PYTHON") or "").lower() not in _FALSE:
            return Environment(ACTIVE, False)
        return Environment(made or join(install.workdir, ".venv"), True)
    if manager == "pip" and first == "uv":
        raise Obstacle("uv run pip: which environment it installs into is not known", line)
    if manager == "pip" and first in ("poetry", "pipenv"):  # poetry run pip install: into poetry's environment
        install = replace(install, manager=first, options=frozenset())
        manager = first
    if manager == "pipenv" and (step.env.get("PIPENV_IGNORE_VIRTUALENVS") or "") not in _FALSE:
        raise Obstacle("PIPENV_IGNORE_VIRTUALENVS keeps pipenv out of the builder's environment", line)
    folder = environment_folder(install, step.env, texts, origin, context)
    if folder is not None and folder.startswith(("/usr", "/opt/conda")):
        raise Obstacle(f"{_shown(manager)} installs into {folder}", line)
    if folder is not None:
        return Environment(folder, True)
    return Environment(made, True) if made else Environment(ACTIVE, False)


def _check_uv(step: Step, install: Install) -> None:
    asked = install.options & {"--python", "-p", "--target", "--prefix", "--package", "--all-packages", "--script"}
    if asked:
        raise Obstacle(f"uv installs to a place of its own ({min(asked)})", step.line)
    if install.unsure:
        raise Obstacle(f"how uv is started is not clear: {install.unsure[0]}", step.line)


def _made(stage: Stage, last: Step) -> str | None:
    """Return the virtual environment that a command in front of the last install makes and PATH leads to."""
    found: dict[str, int] = {}
    for step in stage.of("RUN"):
        script = step.script
        if step.line > last.line or script is None:
            continue
        for command in script.commands:
            path = made_environment(step, script, command)
            if path is not None:
                found[path] = step.line
    if not found:
        return None
    if len(found) > 1:
        raise Obstacle("the Dockerfile makes two virtual environments", max(found.values()))
    path = next(iter(found))
    if not any(f"{path}/bin" in text for text in _paths(stage, last)):
        if basename(path) == ".venv":
            return None
        raise Obstacle(f"no ENV leads to the virtual environment {path} that is made here", found[path])
    return path


def _paths(stage: Stage, last: Step | None = None) -> Iterator[str]:
    """Yield what ENV puts into PATH, its variables expanded where they are known."""
    for step in stage.of("ENV"):
        if last is not None and step.line > last.line:
            return
        for pair in pairs_of(step.instruction, step.escape):
            if pair.name == "PATH":
                text = (pair.raw or "").strip("\"'")
                for part in text.split(":"):
                    yield normpath(expand_word(part, step.env, step.escape) or part)


def leads_to(stage: Stage, environment: Environment) -> bool:
    """Whether an ENV of *stage* puts the environment's programs on PATH."""
    return f"{environment.path}/bin" in _paths(stage)


def made_environment(step: Step, script: Script, command: Command) -> str | None:
    """Return the absolute path of the virtual environment that *command* makes, None for another command."""
    words = [word.value for word in command.words]
    names = [basename(word or "") for word in words]
    if (
        len(words) > 2
        and re.match(r"python[\d.]*\Z", names[0])
        and words[1:3] in (["-m", "venv"], ["-m", "virtualenv"])
    ):
        rest = command.words[3:]
    elif names[:1] == ["virtualenv"]:
        rest = command.words[1:]
    elif names[:2] == ["uv", "venv"]:
        rest = command.words[2:]
    else:
        return None
    if any(
        word.raw.startswith(("-p", "--python", "--prompt", "--system-site-packages", "--relocatable")) for word in rest
    ):
        raise Obstacle("the virtual environment is made with options that may tie it to this stage", step.line)
    operands = [word for word in rest if not word.raw.startswith("-")]
    if not operands and names[0] == "uv":
        return normpath(join(step.workdir or "/", step.env.get("VIRTUAL_ENV") or ".venv"))
    if len(operands) != 1 or step.workdir is None:
        raise Obstacle("which virtual environment is made here is not clear", step.line)
    value = operands[0].value or expand_word(operands[0].raw, step.env, step.escape)
    if not value:
        raise Obstacle("which virtual environment is made here is not clear", step.line)
    return normpath(join(step.workdir, value))


def _check_own(build: Build, stage: Stage, environment: Environment, installs: Sequence[Step]) -> None:
    """Raise ``Obstacle`` where the environment would not be the same, or not work, in the final stage."""
    context = build.project.context
    name = basename(environment.path)
    for step in stage.of("COPY", "ADD"):
        if step.copy is not None and lets_in(step.copy, context, environment.path):
            reason = f"a {name} of the build context would come over the one of the builder: .dockerignore lets it in"
            raise Obstacle(reason, step.line)
    for step in installs:
        for install in step.installs:
            if install.manager in ("uv-sync", "uv-pip"):
                check_python(build, stage, step, install)


def check_python(build: Build, stage: Stage, step: Step, install: Install) -> None:
    """Raise ``Obstacle`` where uv may bring a Python of its own, which the final stage would not have."""
    env = step.env
    if (env.get("UV_PYTHON_DOWNLOADS") or "") in ("never", "manual", "0", "false"):
        return
    if env.get("UV_PYTHON_PREFERENCE") == "only-system" or (env.get("UV_NO_MANAGED_PYTHON") or "") not in _FALSE:
        return
    if install.options & _NO_OTHER_PYTHON:
        return
    context = build.project.context
    copies = [other.copy for other in stage.steps if other.line < step.line and other.copy is not None]

    def text_of(name: str) -> str:
        target = join(install.workdir or "/", name)
        source = next((path for copy in copies if (path := origin_of(copy, context, target))), None)
        return (context.text(source) if source else None) or ""

    tag = (python_image(stage.image) or "").partition(":")[2] or "latest"
    minor = _MINOR.match(tag)
    wanted = text_of(".python-version").strip()
    if env.get("UV_PYTHON"):
        wanted = env.get("UV_PYTHON") or ""
    if wanted and wanted not in (minor.group(1) if minor else None, "3"):
        raise Obstacle(f"uv would bring Python {wanted}, which the final stage has not: the image is {tag}", step.line)
    table = toml_of(text_of("pyproject.toml")) or {}
    requires = (table.get("project") or {}).get("requires-python")
    if requires and not _admits(str(requires), minor.group(1) if minor else None):
        raise Obstacle(f"uv may bring another Python: the image is {tag}, the project wants {requires}", step.line)


def _admits(requires: str, minor: str | None) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(requires)
    except InvalidSpecifier:
        return False
    if minor is None:  # the newest: only an upper bound keeps it out
        return all(item.operator in (">=", ">") for item in specifiers)
    return f"{minor}.0" in specifiers or f"{minor}.30" in specifiers


def _shown(manager: str) -> str:
    return {"uv-pip": "uv pip", "uv-sync": "uv sync", "uv-tool": "uv tool"}.get(manager, manager)
