"""The command that a container runs in the end, and the shell texts on the way to it."""

from __future__ import annotations

import pytest

from dockfix.build.stages import build_of, copied_sources, stages_of
from dockfix.build.start import Start, Unclear, start_of
from dockfix.project.files import MemoryFiles
from dockfix.project.model import Project
from dockfix.syntax.dockerfile import parse

ENTRYPOINT = '#!/bin/sh\nset -e\n./wait.sh\nexec "$@"\n'
START = "#!/bin/sh\ncd src\nflask db upgrade\nexec gunicorn shop:app\n"


def start(text: str) -> Start | Unclear | None:
    dockerfile = parse(f"FROM python:3.12\nWORKDIR /app\nCOPY . .\n{text}")
    files = MemoryFiles({"Dockerfile": dockerfile.text, "entrypoint.sh": ENTRYPOINT, "start.sh": START})
    project = Project(files, "Dockerfile", copied_sources(stages_of(dockerfile)))
    return start_of(build_of("Dockerfile", dockerfile, project))


@pytest.mark.parametrize(
    ("text", "words", "shells"),
    [
        ('CMD ["gunicorn", "shop:app"]', ["gunicorn", "shop:app"], []),
        ("CMD flask db upgrade && gunicorn shop:app", ["gunicorn", "shop:app"], [("Dockerfile", False)]),
        ('CMD ["sh", "-c", "a && gunicorn shop:app"]', ["gunicorn", "shop:app"], [("Dockerfile", False)]),
        ('CMD ["./start.sh"]', ["exec", "gunicorn", "shop:app"], [("start.sh", False)]),
        (
            'ENTRYPOINT ["./entrypoint.sh"]\nCMD ["gunicorn", "shop:app"]',
            ["gunicorn", "shop:app"],
            [("entrypoint.sh", True)],
        ),
        (
            'ENTRYPOINT ["./entrypoint.sh"]\nCMD ["./start.sh"]',
            ["exec", "gunicorn", "shop:app"],
            [("entrypoint.sh", True), ("start.sh", False)],
        ),
        (
            'ENTRYPOINT ["./entrypoint.sh"]\nCMD a; gunicorn shop:app',
            ["gunicorn", "shop:app"],
            [("entrypoint.sh", True), ("Dockerfile", False)],
        ),
    ],
)
def test_shells_on_the_way(text: str, words: list[str], shells: list[tuple[str, bool]]) -> None:
    found = start(text)
    assert isinstance(found, Start)
    assert list(found.words) == words
    assert [(shell.path, shell.passes) for shell in found.shells] == shells


def test_the_string_of_sh_c() -> None:
    found = start('CMD ["sh", "-c", "a && gunicorn shop:app"]')
    assert isinstance(found, Start)
    assert [shell.within for shell in found.shells] == ["a && gunicorn shop:app"]


def test_offsets_lead_into_the_file() -> None:
    found = start('ENTRYPOINT ["./entrypoint.sh"]\nCMD ["./start.sh"]')
    assert isinstance(found, Start)
    first, last = found.shells
    assert ENTRYPOINT[slice(*first.script.span(first.script.commands[1]))] == "./wait.sh"
    assert START[slice(*last.script.span(last.script.commands[1]))] == "flask db upgrade"


def test_a_script_that_is_not_there_is_unclear() -> None:
    assert isinstance(start('CMD ["./other.sh"]'), Unclear)
