"""What keeps a single stage from being split, whatever its steps do: its base, and how the program is started."""

from __future__ import annotations

import re
from posixpath import basename
from typing import Final

from dockfix.build.model import Build, Stage
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tools import PROGRAMS, python_image

_BELOW_LOCAL: Final = pattern(
    r"/usr/local/(?:bin/[\w.+-]+|lib/python[\w.]*)|\bsite-packages\b|\bdist-packages\b",
    words=("/usr/local/", "-packages"),
)
_LOGIN: Final = pattern(
    r"\b(?:bash|sh)\s+(?:-\w*l\w*\b|--login)|\bsu\s+-(?:\s|\Z)|\bcrond?\b|\bcrontab\b", words=("sh", "su", "cron")
)
_SETTINGS: Final = pattern(r"\.(?:sh|bash|ini|conf|cfg)\Z")
_WORD: Final = pattern(r"[\w./-]+")
_SHELL_SCRIPT: Final = pattern(r"#!\s*\S*(?:/env )?\s*(?:/\S*/)?(?:ba|da|a)?sh\b")


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
    texts = [(step.line, step.instruction.value) for step in stage.of("CMD", "ENTRYPOINT", "HEALTHCHECK", "RUN")]
    for line, text in texts:
        _check_text(text, copied, line)
    texts += [
        (0, command if isinstance(command, str) else " ".join(command or ()))
        for service in build.project.services
        for command in (service.command, service.entrypoint)
    ]
    words = set(_WORD.findall(" ".join(text for _, text in texts)))
    names = {basename(word) for word in words}
    context = build.project.context
    for path in context.paths:
        name = basename(path)
        if "." in name and not _SETTINGS.search(name):
            continue
        places = {place for copy in copies if (place := copy.image_path(path))}
        if (name in names and "." in name) or words & places or words & set(map(basename, places)):
            text = context.text(path) or ""
            if "." in name or _SHELL_SCRIPT.match(text):
                _check_text(text, copied, 0, context.repository_path(path))


def _check_text(text: str, copied: frozenset[str], line: int, path: str | None = None) -> None:
    for match in _BELOW_LOCAL.finditer(text):
        if basename(match.group()) not in copied | PROGRAMS:
            at = line if path is None else text.count("\n", 0, match.start()) + 1
            raise Obstacle(f"{match.group()} is named, where the packages are now", at, path)
    if login := _LOGIN.search(text):
        at = line if path is None else text.count("\n", 0, login.start()) + 1
        raise Obstacle(f"`{login.group().strip()}` resets PATH", at, path)
