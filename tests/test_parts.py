"""A repository done in parts gives what it gives as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from dockfix.chain import Settings, run
from dockfix.parts import run_part, run_parts
from dockfix.project.files import MemoryFiles
from dockfix.registry import load_transforms
from dockfix.result import Result

OWN = """\
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
CMD ["python", "bot.py"]
"""
FLASK = OWN.replace("CMD", "COPY . .\nCMD").replace("bot", "app")
APP = 'from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == "__main__":\n    app.run()\n'


def apart(count: int) -> dict[str, str]:
    """Services with a folder each."""
    files = {}
    for number in range(count):
        files[f"s{number:03}/Dockerfile"] = FLASK
        files[f"s{number:03}/requirements.txt"] = "flask==3.1.0\n"
        files[f"s{number:03}/app.py"] = APP
    return files


def together(count: int) -> dict[str, str]:
    """Many Dockerfiles of one application."""
    files = {"requirements.txt": "flask==3.1.0\n", "app.py": APP, "bot.py": "print()\n"}
    return {**files, **{f"{number:03}.Dockerfile": FLASK if number % 7 == 3 else OWN for number in range(count)}}


def both(files: Mapping[str, str]) -> tuple[Result, Result, list[int]]:
    """Return the results of the whole and of parts, and what was said of the progress."""
    settings = Settings(load_transforms(()))
    dockerfiles = sorted(path for path in files if path.endswith("Dockerfile"))
    done: list[int] = []
    memory = MemoryFiles(files)
    with ThreadPoolExecutor(2) as pool:
        parts = run_parts(dockerfiles, lambda some: run_part(memory, settings, some), pool, 2, done.append)
    return run(memory, dockerfiles, settings), parts, done


@pytest.mark.parametrize("files", [apart(50), together(50)], ids=["apart", "together"])
def test_parts_give_what_the_whole_gives(files: dict[str, str]) -> None:
    whole, parts, done = both(files)
    assert len(whole.after) > 7
    assert parts.after == whole.after
    assert parts.before == whole.before
    assert set(parts.fixes) == set(whole.fixes)
    assert set(parts.skips) == set(whole.skips)
    assert not parts.failures
    assert sum(done) == 50
