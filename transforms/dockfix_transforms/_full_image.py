"""What a stage uses of a full Python image that a slim one has not: commands, libraries, compilers.

Everything is looked for where it can be said: in the RUNs, in the start command, the health check and the scripts that
they run, in compose files, in the Python sources, in the packages that are installed. What cannot be told is an
``Obstacle``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from dockfix.build.lineage import image_path, lineage
from dockfix.build.model import Build, Stage, Step
from dockfix.build.scripts import argv_of, inner_script
from dockfix.records import record
from dockfix.syntax.logical import Logical
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Script, ShellError, read_shell
from dockfix_transforms._debian import build_only, commands_of_full_images, installed_by_apt
from dockfix_transforms._obstacle import Obstacle

_WRAPPERS: Final = frozenset(
    {"sudo", "exec", "env", "time", "nohup", "timeout", "xargs", "nice", "gosu", "tini", "dumb-init", "command", "eval"}
)
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", ".", "source"})
_PYTHON: Final = pattern(r"python[\d.]*\Z")
_SCRIPT: Final = pattern(r"[\w./@+-]*\.(?:sh|bash)\Z")
_SCRIPT_NAME: Final = pattern(r"[\w./-]+\.(?:sh|bash)\b")
_COMPRESSED: Final = ((".tar.xz", "xz-utils"), (".txz", "xz-utils"), (".xz", "xz-utils"), (".bz2", "bzip2"))
_ALSO: Final = {"apt-key": "gnupg", "add-apt-repository": "gnupg"}
_FETCHED: Final = pattern(r"install\.python-poetry\.org|astral\.sh/uv|deb\.nodesource\.com|get-pip\.py")
_OTHER_MANAGERS: Final = frozenset({"npm", "yarn", "pnpm", "gem", "go", "composer", "bundle", "conda", "uv-tool"})
_MAN_PAGES: Final = pattern(r"\b(?:openjdk-[\w${}]+|default)-(?:jdk|jre)\b")
_CALLS: Final = pattern(
    r"\bsubprocess\b|\bPopen\b|os\.(?:system|popen|exec|spawn)|create_subprocess|shutil\.which|pexpect",
    words=("subprocess", "Popen", "os.", "shutil.which", "pexpect"),
)
_LOADS: Final = pattern(
    r"\bfind_library\s*\(|\bCDLL\s*\(|\bdlopen\s*\(|cdll\.LoadLibrary\s*\(",
    words=("find_library", "CDLL", "dlopen", "LoadLibrary"),
)
_TESTS: Final = pattern(
    r"(?:^|/)(?:tests?|testing|docs?|examples?|node_modules|\.?venv)/|(?:^|/)(?:test_[^/]*|[^/]*_tests?|conftest|setup)\.py\Z",
    words=("/", "test", "setup"),
)
_COMMON_WORDS: Final = frozenset(
    {"animate", "as", "cc", "compare", "composite", "convert", "display", "file", "free", "gio", "identify", "import"}
    | {"ld", "make", "montage", "patch", "size", "stream", "strip", "strings", "top", "uptime", "w", "watch"}
)
"""Commands that are words of a program too: in Python only those count that are the head of a call's argument."""
_MOST: Final = 400


@record
class Use:
    """A command of the full image that is called. ``line`` is that of the instruction, 0 outside of the Dockerfile."""

    command: str
    package: str
    where: str
    line: int


def affected(build: Build) -> tuple[Stage, ...]:
    """Return the stages that are built on the image that the final stage starts from, the first one with its FROM."""
    root = lineage(build)[0].index
    found = {root}
    for stage in build.stages[root + 1 :]:
        if stage.base_stage in found:
            found.add(stage.index)
    return tuple(build.stages[index] for index in sorted(found))


def apt_lines(stages: Sequence[Stage]) -> dict[str, int]:
    """Return what apt installs in *stages*, with the libraries of the headers, and the line where it does first."""
    found: dict[str, int] = {}
    for stage in stages:
        for step in stage.of("RUN"):
            for install in step.installs:
                if install.manager == "apt":
                    for name in installed_by_apt(package for package in install.packages if package is not None):
                        found.setdefault(name, step.line)
    return found


def removed(stages: Sequence[Stage]) -> frozenset[str]:
    """Return the packages that a RUN of *stages* removes again, with the libraries of the headers."""
    found: list[str] = []
    for stage in stages:
        for step in stage.of("RUN"):
            if "remove" not in step.instruction.value and "purge" not in step.instruction.value:
                continue
            for command in step.script.commands if step.script else ():
                words = [word.value for word in command.words if word.value is not None]
                if words[:1] in (["apt-get"], ["apt"]) and {"remove", "purge", "autoremove"} & set(words):
                    found += [word for word in words[2:] if not word.startswith("-")]
    return installed_by_apt(found)


def uses(build: Build, stages: Sequence[Stage]) -> tuple[Use, ...]:
    """Return the commands of the full image that *stages*, their program and its services call. Raises ``Obstacle``."""
    found: list[Use] = []
    shipping = {stage.index for stage in lineage(build)}
    for stage in stages:
        for step in stage.of("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
            if step.keyword == "RUN" or stage.index in shipping:
                found += _of_step(build, step)
    found += _of_services(build)
    found += _of_sources(build)
    return tuple(found)


def missing(found: Sequence[Use], installed: Mapping[str, int], gone: Set[str]) -> tuple[Use, ...]:
    """Return the uses that apt does not install for in time. Raises ``Obstacle`` for a compiler or a header.

    *installed* is what ``apt_lines`` gives, *gone* what ``removed`` does.
    """
    lacking = []
    for use in found:
        line = None if use.package in gone and use.where != "a RUN" else installed.get(use.package)
        if line is not None and (not use.line or line <= use.line):
            continue
        if build_only(use.package) or use.package.endswith("-dev"):
            raise Obstacle(f"{use.where} calls {use.command}, which slim images have not", use.line)
        lacking.append(use)
    return tuple(lacking)


def _of_step(build: Build, step: Step) -> Iterator[Use]:
    where = "a RUN" if step.keyword == "RUN" else step.keyword
    for install in step.installs:
        if install.manager in _OTHER_MANAGERS:
            raise Obstacle(f"what {install.manager} builds may need a compiler", step.line)
        if install.manager == "apt" and _MAN_PAGES.search(step.instruction.value):
            raise Obstacle("Java's packages do not install in every slim image", step.line)
    script = step.script
    if script is not None:
        yield from _of_script(build, step, script, where, 0)
        return
    words = argv_of(step)
    if words is not None:
        yield from _of_words(build, step, words, where, 0)
    elif step.keyword == "RUN":
        raise Obstacle("this RUN is not understood", step.line)
    elif step.instruction.value.upper() != "NONE":
        yield from _in_text(step.instruction.value, where, step.line)


def _of_script(build: Build, step: Step, script: Script, where: str, depth: int) -> Iterator[Use]:
    commands = list(script.commands)
    for index, command in enumerate(commands):
        if not command.words:
            continue
        inner = inner_script(script, command)
        if inner is not None and depth < 3:
            yield from _of_script(build, step, inner, where, depth + 1)
        _check_pipe(commands, index, step.line)
        words = tuple(word.raw if word.value is None else word.value for word in command.words)
        yield from _of_words(build, step, words, where, depth)


def _check_pipe(commands: Sequence[Command], index: int, line: int) -> None:
    """Raise ``Obstacle`` for a shell that runs what comes from the network."""
    command = commands[index]
    if command.before not in ("|", "|&") or not index:
        return
    if posixpath.basename(command.name or "") not in _SHELLS | {"python", "python3", "sudo"}:
        return
    source = " ".join(word.raw for other in commands[:index] for word in other.words)
    if "http" in source and not _FETCHED.search(source):
        raise Obstacle("a script from the network runs, and what it calls is not known", line)


def _of_words(build: Build, step: Step, words: Sequence[str], where: str, depth: int) -> Iterator[Use]:
    table = commands_of_full_images()
    name = posixpath.basename(words[0])
    if words[0].startswith("/usr/bin/python"):
        raise Obstacle(f"{where} runs {words[0]}, which is Debian's Python of the full image", step.line)
    heads = list(words[:1])
    if name in _WRAPPERS:
        heads += [word for word in words[1:] if not word.startswith("-") and "=" not in word][:2]
    for head in heads:
        head_name = posixpath.basename(head)
        package = _ALSO.get(head_name) or (table.get(head_name) if _plain(head) else None)
        if package is not None:
            yield Use(head_name, package, where, step.line)
    if name in ("tar", "unar", "bsdtar"):
        for word in words[1:]:
            yield from (Use(name, package, where, step.line) for end, package in _COMPRESSED if word.endswith(end))
    setup = _PYTHON.match(name) and any(posixpath.basename(word) == "setup.py" for word in words[1:3])
    if setup and not {"--version", "--name", "sdist", "clean", "check"} & set(words):
        raise Obstacle(f"{where} runs setup.py, which may compile", step.line)
    scripts = [word for word in words[: 1 if name not in _SHELLS | _WRAPPERS else None] if _is_script(word)]
    for path in scripts[:1]:
        yield from _of_file(build, step, path, where, depth)


def _plain(word: str) -> bool:
    """Whether *word* is a command by its name, or one in a folder where the image's own commands are."""
    return "/" not in word or posixpath.dirname(word) in ("/bin", "/usr/bin", "/sbin", "/usr/sbin")


def _is_script(word: str) -> bool:
    return _SCRIPT.match(word) is not None or re.search(r"(?:^|/)(?:docker-)?entrypoint\Z", word) is not None


def _of_file(build: Build, step: Step, path: str, where: str, depth: int) -> Iterator[Use]:
    """Yield what the script *path* of the image calls. Raises ``Obstacle`` where it is not in the context."""
    target = posixpath.normpath(posixpath.join(step.workdir or "/", path))
    context = build.project.context
    found = _script_text(build, target)
    if found is None:
        if step.keyword == "RUN":
            raise Obstacle(f"what {path} does is not known", step.line)
        name = posixpath.basename(path)
        found = next(((one, context.text(one) or "") for one in context.paths if posixpath.basename(one) == name), None)
        if found is None:
            raise Obstacle(f"{where} runs {path}, which is not in the build context", step.line)
    place, text = found
    if depth >= 3 or (text.startswith("#!") and "sh" not in text.partition("\n")[0]):
        return
    place = context.repository_path(place)
    try:
        script = read_shell(Logical(text, ((0, 0, len(text)),)))
    except ShellError:
        yield from _in_text(text, place, step.line)
        return
    if step.keyword == "RUN" and re.search(r"\b(?:pip3?|apt|apt-get|npm|poetry|uv)\b[^\n]*\binstall\b", text):
        raise Obstacle(f"{place} installs packages", step.line)
    yield from _of_script(build, step, script, place, depth + 1)


def _script_text(build: Build, target: str) -> tuple[str, str] | None:
    context = build.project.context
    for path in context.paths:
        if posixpath.basename(path) == posixpath.basename(target) and image_path(build, path) == target:
            text = context.text(path)
            return (path, text) if text is not None else None
    return None


def _in_text(text: str, where: str, line: int) -> Iterator[Use]:
    """Yield the commands that stand as words in shell text that is not understood."""
    for command, package in commands_of_full_images().items():
        if command not in _COMMON_WORDS and re.search(rf"(?<![\w./-]){re.escape(command)}(?![\w.-])", text):
            yield Use(command, package, where, line)


def _of_services(build: Build) -> Iterator[Use]:
    """Yield what compose's commands and health checks call in the container."""
    for service in build.project.services:
        if service.target and service.target != (build.final.name or ""):
            continue
        for text in (service.command, service.entrypoint, service.healthcheck):
            if not text:
                continue
            joined = " ".join(text) if isinstance(text, tuple) else text
            yield from _of_text(joined, f"{service.path}:{service.line}")
            for name in _SCRIPT_NAME.findall(joined):
                context = build.project.context
                path = next((one for one in context.paths if posixpath.basename(one) == posixpath.basename(name)), None)
                if path is not None:
                    yield from _of_text(context.text(path) or "", context.repository_path(path))


def _of_text(text: str, where: str) -> Iterator[Use]:
    """Yield the commands of shell text outside of the Dockerfile."""
    try:
        script = read_shell(Logical(text, ((0, 0, len(text)),)))
    except ShellError:
        yield from _in_text(text, where, 0)
        return
    table = commands_of_full_images()
    for command in script.commands:
        words = [word.raw if word.value is None else word.value for word in command.words]
        heads = words if words and posixpath.basename(words[0]) in _SHELLS | _WRAPPERS else words[:1]
        for part in (part for head in heads for part in head.split()):
            name = posixpath.basename(part)
            if _plain(part) and (package := table.get(name)):
                yield Use(name, package, where, 0)


def _of_sources(build: Build) -> Iterator[Use]:
    """Yield the commands that the Python sources call. Raises ``Obstacle`` where they load a library by its name."""
    context = build.project.context
    table = commands_of_full_images()
    paths = [path for path in context.paths if path.endswith((".py", ".pyx")) and not _TESTS.search(path)]
    for path in paths[:_MOST]:
        text = context.text(path)
        place = context.repository_path(path)
        if path.endswith(".pyx"):
            raise Obstacle(f"{place} is compiled", 0, place)
        if text is None or not (_CALLS.search(text) or _LOADS.search(text)):
            continue
        if load := _LOADS.search(text):
            line = text.count("\n", 0, load.start()) + 1
            raise Obstacle(f"{place}:{line} loads a library by its name", line, place)
        for line, command in _called(text):
            name = posixpath.basename(command)
            if _plain(command) and (package := table.get(name)):
                yield Use(name, package, f"{place}:{line}", 0)


def _called(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and first word of the commands in a module: what is passed to a call, and texts that look like one."""
    import ast

    from dockfix.project.python_module import parse_module

    tree = parse_module(text)
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.List) and node.elts:
            yield from _head(node.elts[0])
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if re.search(r"run|call|check_output|Popen|system|popen|getoutput|subprocess|which|exec|spawn", name):
                for argument in node.args[:1]:
                    yield from _head(argument)
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            for line, head in _head(node):
                if head not in _COMMON_WORDS:
                    yield line, head


def _head(node: object) -> Iterator[tuple[int, str]]:
    import ast

    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip():
        yield node.lineno, node.value.split()[0]
