"""What keeps a single stage from being split, whatever its steps do: its base, and how the program is started."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from posixpath import basename
from typing import Final

from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.patterns import pattern
from dockfix_transforms._lost_tools import CALLS
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tools import PROGRAMS, python_image

_BELOW_LOCAL: Final = pattern(
    r"/usr/local/(?:bin/[\w.+-]+|lib/python[\w.]*)|\bsite-packages\b|\bdist-packages\b",
    words=("/usr/local/", "-packages"),
)
_LOGIN: Final = pattern(
    r"\b(?:bash|sh)\s+(?:-\w+\s+)*(?:-\w*l\w*(?![\w-])|--login)|\bsu\s+(?:-l?|--login)(?:\s|\Z)|\bcrond?\b|\bcrontab\b|\bsudo\b|"
    r"\brunuser\s+-l|\benv\s+-i",
    words=("sh", "su", "cron", "env", "runuser"),
)
_SETTINGS: Final = pattern(r"\.(?:sh|bash|ini|conf|cfg)\Z")
_WORD: Final = pattern(r"[\w./-]+")
_PACKAGES: Final = pattern(
    r"/(?:site|dist)-packages(?:/|\Z)|/usr/local/lib/python", words=("-packages", "/usr/local/lib/python")
)
_OTHER_PYTHON: Final = pattern(r"#!\s*(/usr/(?:local/)?bin/python[\d.]*)(?![\w.])", words=("/bin/python",))
_IN_CODE: Final = pattern(r"[\"'](/usr/local/bin/(?!python|docker-)[\w.-]+)[\"' ]", words=("/usr/local/bin/",))
_SHELL_SCRIPT: Final = pattern(r"#!\s*\S*(?:/env )?\s*(?:/\S*/)?(?:ba|da|a)?sh\b", words=("#!",))


def check_base(build: Build, stage: Stage) -> None:
    """Raise ``Obstacle`` unless *stage* starts from an official image of Python 3 for Linux."""
    line = stage.steps[0].line
    if stage.name == "builder":
        raise Obstacle("the only stage is named builder already", line)
    image = stage.image
    if image is None:
        raise Obstacle("the base image cannot be told from the file", line)
    python = python_image(image)
    if python is None:
        raise Obstacle(f"the base image {image} is not an official Python image", line)
    if not image.official and not stage.of("CMD", "ENTRYPOINT"):
        raise Obstacle(f"the image starts what {image} starts", line)
    tag = python.partition(":")[2] or "latest"
    if re.match(r"[012](?:\.|-|\Z)", tag):
        raise Obstacle("Python 2 has no module venv", line)
    if "windows" in tag or "nanoserver" in tag:
        raise Obstacle("a Windows image", line)
    if "alpine" in tag and any(install.manager == "apk" for step in stage.steps for install in step.installs):
        raise Obstacle("which of the Alpine packages the program needs when it runs is not known", line)
    onbuild = next(iter(stage.of("ONBUILD")), None)
    if onbuild:
        raise Obstacle("ONBUILD: images that are built from this one expect it in one stage", onbuild.line)


def check_start(build: Build, stage: Stage) -> None:
    """Raise ``Obstacle`` where the program is started by a path or in a way that passes a virtual environment by."""
    copies = [step.copy for step in stage.of("COPY", "ADD") if step.copy]
    copied = frozenset(basename(source.value or "") for copy in copies for source in copy.sources)
    copied |= {basename(copy.destination or "") for copy in copies}
    for step in stage.of("CMD", "ENTRYPOINT", "HEALTHCHECK", "RUN", "SHELL", "ENV"):
        _check_text(_said(step), copied, step.line)
    for step in stage.of("COPY", "ADD"):
        if step.copy is not None and _PACKAGES.search(step.copy.destination or ""):
            raise Obstacle(f"it copies to {step.copy.destination}, where the packages are now", step.line)
    for path, text in _reached(build, stage):
        where = build.project.context.repository_path(path)
        if not path.endswith(".py"):
            _check_text(text, copied, 0, where)
        elif found := _OTHER_PYTHON.match(text):
            raise Obstacle(f"{found.group(1)} is another Python than that of the packages", 1, where)
        elif found := _IN_CODE.search(text):
            raise Obstacle(f"{found.group(1)} is named, where the packages are now", _at(text, found), where)


def check_calls(build: Build, stage: Stage, lost: Collection[str]) -> None:
    """Raise ``Obstacle`` where the container starts a program that came with the packages *lost*."""
    if not lost:
        return
    texts: list[tuple[int, str | None, str]] = []
    texts += [(step.line, None, _said(step)) for step in stage.of("CMD", "ENTRYPOINT", "HEALTHCHECK")]
    for service in build.project.services:
        for command in (service.command, service.entrypoint, service.healthcheck):
            texts.append((service.line, service.path, command if isinstance(command, str) else " ".join(command or ())))
    for line, place, text in texts:
        if found := CALLS.search(re.sub(r"^.*?\bCMD\s+", "", text)):
            raise Obstacle(f"{found.group(1)} is used when the container runs", line, place)
    for path, text in _reached(build, stage):
        if path.endswith(".py"):
            continue
        for number, content in enumerate(text.splitlines(), 1):
            found = None if content.lstrip().startswith("#") else CALLS.search(content)
            if found and basename(path) != "Makefile":
                where = build.project.context.repository_path(path)
                raise Obstacle(f"{found.group(1)} is used when the container runs", number, where)


def _said(step: Step) -> str:
    """Return what an instruction says, its JSON form as a command line."""
    words = step.instruction.json_form
    return " ".join(words) if words is not None else step.instruction.value.replace('", "', " ").replace('","', " ")


def _reached(build: Build, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield the scripts and settings that the image has and that its commands lead to, with their text."""
    context = build.project.context
    copies = [step.copy for step in stage.of("COPY", "ADD") if step.copy]
    texts = [_said(step) for step in stage.of("CMD", "ENTRYPOINT", "HEALTHCHECK", "RUN", "COPY", "ADD")]
    for service in build.project.services:
        for command in (service.command, service.entrypoint):
            texts.append(command if isinstance(command, str) else " ".join(command or ()))
    words = set(_WORD.findall(" ".join(texts)))
    waiting = []
    for path in context.paths:
        name = basename(path)
        if "." not in name or _SETTINGS.search(name) or name.endswith(".py"):
            waiting.append((path, {place for copy in copies if (place := copy.image_path(path))}))
    found = True
    while found:
        names = {basename(word) for word in words}
        found = False
        for item in list(waiting):
            path, places = item
            name = basename(path)
            if not ((name in names and "." in name) or words & places or words & set(map(basename, places))):
                continue
            waiting.remove(item)
            text = context.text(path) or ""
            if name.endswith(".py"):
                if _called_itself(words, texts, name):
                    yield path, text
                elif _IN_CODE.search(text):
                    yield path, "\n" + text
                continue
            if "." in name or text.startswith("#!"):
                yield path, text
            if "." in name or _SHELL_SCRIPT.match(text):
                texts.append(text)
                words |= set(_WORD.findall(text))
                found = True


def _called_itself(words: Collection[str], texts: Sequence[str], name: str) -> bool:
    """Whether a Python file is started by its own name, not as an argument of python."""
    by_python = re.compile(rf"python[\d.]*\s+(?:-\w+\s+)*\S*{re.escape(name)}")
    return any(word.endswith(name) for word in words) and any(
        name in by_python.sub("", text) and re.search(rf"(?:^|[\s;&|/]){re.escape(name)}", by_python.sub("", text))
        for text in texts
    )


def _check_text(text: str, copied: frozenset[str], line: int, path: str | None = None) -> None:
    if path is not None and (found := _OTHER_PYTHON.match(text)):
        raise Obstacle(f"{found.group(1)} is another Python than that of the packages", 1, path)
    for match in _BELOW_LOCAL.finditer(text):
        if basename(match.group()) not in copied | PROGRAMS:
            raise Obstacle(f"{match.group()} is named, where the packages are now", line or _at(text, match), path)
    if login := _LOGIN.search(text):
        raise Obstacle(f"`{login.group().strip()}` resets PATH", line or _at(text, login), path)


def _at(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
