"""The transform compose-obsolete-version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.model import Build
from dockfix.project.invocations import candidates
from dockfix.syntax.edit import Edit
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._compose_files import beside, swarm

_OLD: Final = pattern(r"(?:\bdocker-compose==|compose/releases/download/v?)1\.(?:1?\d|2[0-6])(?!\d)")

_WORD: Final = (
    r"(?:the|of|for|defin\w+|set|sets|setting|specif\w+|use|docker|docker-compose|compose|file|format|schema|syntax)"
)
_HEADING: Final = pattern(
    rf"(?:\A|\n[ \t]*\r?\n)(#+[ \t]*(?:{_WORD}[ \t]+)*version(?:[ \t]+{_WORD})*[ \t]*[:.#]*[ \t]*\r?\n)\Z",
    re.IGNORECASE,
)
_EMPTY: Final = pattern(r"[ \t]*\r?\n")


@transform(safety=Safety.SAFE, phase=Phase.COMPOSE)
def compose_obsolete_version(build: Build) -> Iterator[Fix | Skip]:
    """Remove the top-level version of compose files, which compose warns about and does not read.

    Why: since 2020 there is one format; ``version`` says nothing any more, and every command prints a warning.

    Example:
         FROM python:3.12-slim
         COPY . /app
         CMD ["python", "/app/main.py"]
        @@ compose.yaml
        -version: "3.8"
        -
         services:
           web:
             build: .

    The other compose files in the same folder (``compose.override.yaml``) lose theirs as well.

    When it holds back: files for ``docker stack deploy`` or ``ecs-cli``, which refuse a file without it; a repository
    that installs docker-compose before 1.27; a file that is not one plain YAML document.

    Source: the Compose specification, "Version and name top-level elements"
    (https://docs.docker.com/reference/compose-file/version-and-name/).
    """
    if not build.project.services:
        return
    from dockfix.syntax.yaml_edit import remove_key

    line = build.final.steps[0].line
    for file in beside(build):
        if "version" not in file.data:
            continue
        reason = swarm(build, file) or _old_program(build)
        edits = remove_key(file.text, ("version",)) if reason is None else None
        if reason is not None or edits is None:
            yield Skip(reason or "version cannot be taken out of it as it is written", path=file.path)
            continue
        edits = [_with_heading(file.text, edit) for edit in edits]
        yield Fix(f"remove the obsolete version from {file.name}", {file.path: edits}, line)


def _with_heading(text: str, edit: Edit) -> Edit:
    """Return the removal with the comment above it that says no more than that this is the version."""
    heading = _HEADING.search(text, 0, edit.start)
    if heading is None:
        return edit
    end = edit.end
    while empty := _EMPTY.match(text, end):
        end = empty.end()
    return Edit(heading.start(1), end, edit.replacement)


def _old_program(build: Build) -> str | None:
    files = build.project.files
    for path, kind in candidates(files):
        if kind in ("make", "script", "workflow") and _OLD.search(files.text(path) or ""):
            return f"{path} installs a docker-compose that needs it"
    return None
