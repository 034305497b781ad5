"""What a transform does for a line does not depend on how many lines there are.

Calls are counted, since they are the same on every machine. What the steps themselves read is read before.
"""

from __future__ import annotations

from collections.abc import Callable
from cProfile import Profile
from functools import cache
from typing import Final

import pytest

from dockfix.build.model import Build
from dockfix.build.stages import build_of, copied_sources, stages_of
from dockfix.chain import Settings, run
from dockfix.project.files import MemoryFiles
from dockfix.project.model import Project
from dockfix.records import replace
from dockfix.registry import load_transforms
from dockfix.syntax.dockerfile import parse
from dockfix.testing import try_transforms
from dockfix.transform import Transform

FEW: Final = 3
SHORT: Final = 60
LONG: Final = 600
TRANSFORMS: Final = load_transforms(())
FILES: Final = {
    "requirements.txt": "flask==3.1.0\n",
    "app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
    "compose.yaml": "services:\n  web:\n    build: .\n    depends_on: [db]\n  db:\n    image: postgres:16\n",
}
BODIES: Final[dict[str, Callable[[int], str]]] = {
    "installs": lambda k: f"RUN apt-get update && apt-get install -y tool{k} \\\n    && pip install lib{k}\n",
    "settings": lambda k: f"ENV NAME_{k}=$NAME_{k - 1}:{k}\nARG OTHER_{k}\nLABEL l{k}=${{OTHER_{k}}}\n",
    "copies": lambda k: f"COPY file{k}.txt /data/{k}/\nRUN chown -R app /data/{k}\n",
    "stages": lambda k: f"RUN pip install lib{k}\n\nFROM python:3.12 AS stage{k}\nWORKDIR /app\nCOPY . .\n",
    "commands": lambda k: f"RUN cd /tmp/{k} && echo {k} > file\nEXPOSE {8000 + k}\n",
}


def dockerfile(body: str, count: int) -> str:
    lines = "".join(BODIES[body](number) for number in range(count))
    return f'FROM python:3.12\nWORKDIR /app\nCOPY . .\n{lines}CMD ["python", "app.py"]\n'


@cache
def build(body: str, count: int, *, rewritten: bool) -> Build:
    """Return the build of a long Dockerfile, or of what all transforms together make of it."""
    files = {**FILES, "Dockerfile": dockerfile(body, count)}
    if rewritten:
        files, result = try_transforms(TRANSFORMS, files)
        assert not result.failures
    tree = parse(files["Dockerfile"])
    project = Project(MemoryFiles(files), "Dockerfile", copied_sources(stages_of(tree)))
    found = build_of("Dockerfile", tree, project)
    for step in found.steps:
        _ = step.script, step.installs, step.copy
    return found


def calls(transform: Transform, one: Build) -> int:
    profile = Profile()
    profile.enable()
    list(transform.function(replace(one, options=transform.options)))
    profile.disable()
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("rewritten", [False, True], ids=["before", "rewritten"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.name)
def test_linear(transform: Transform, body: str, rewritten: bool) -> None:
    calls(transform, build(body, FEW, rewritten=rewritten))  # what is imported, read and compiled once
    short = calls(transform, build(body, SHORT, rewritten=rewritten))
    long = calls(transform, build(body, LONG, rewritten=rewritten))
    assert long / LONG <= 1.5 * short / SHORT


def test_a_dockerfile_costs_no_more_in_a_large_repository() -> None:
    def calls_for(count: int) -> int:
        files: dict[str, str] = {}
        for number in range(count):
            files |= {f"s{number:03}/{name}": text for name, text in FILES.items() if name != "compose.yaml"}
            files[f"s{number:03}/Dockerfile"] = dockerfile("commands", 1)
        paths = [path for path in files if path.endswith("/Dockerfile")]
        profile = Profile()
        profile.enable()
        result = run(MemoryFiles(files), paths, Settings(TRANSFORMS))
        profile.disable()
        assert len(result.after) >= 2 * count
        return sum(entry.callcount for entry in profile.getstats())

    calls_for(FEW)
    assert calls_for(80) / 80 <= 1.3 * calls_for(20) / 20
