"""Which Python packages an install gets, from every kind of manifest."""

from __future__ import annotations

import pytest

from dockfix.build.stages import build_of, copied_sources, stages_of
from dockfix.project.files import MemoryFiles
from dockfix.project.model import Project
from dockfix.syntax.dockerfile import parse
from dockfix_transforms._distributions import Distribution, distributions
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._wheelhouse import wheel_builds


def read(run: str, python: str = "3.12", **files: str) -> tuple[Distribution, ...]:
    """Return what the one install of *run* gets, in a context with *files* (``_`` in a name stands for a dot)."""
    contents = {name.replace("_", "."): text for name, text in files.items()}
    text = f"FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN {run}\n"
    dockerfile = parse(text)
    project = Project(
        MemoryFiles({"Dockerfile": text, **contents}), "Dockerfile", copied_sources(stages_of(dockerfile))
    )
    build = build_of("Dockerfile", dockerfile, project)
    step = build.final.steps[-1]
    (install,) = (*step.installs, *wheel_builds(step))
    return distributions(build, step, install, python)


def names(found: tuple[Distribution, ...]) -> dict[str, str]:
    return {item.name: item.version for item in found}


def test_command_line() -> None:
    found = read("pip install Flask==3.1.0 'psycopg[binary]>=3.1' \"redis<6; python_version >= '3.8'\"")
    assert names(found) == {"flask": "==3.1.0", "psycopg": ">=3.1", "redis": "<6", "psycopg-binary": ""}


def test_requirements_with_markers_and_includes() -> None:
    found = read(
        "pip install -r requirements.txt",
        requirements_txt='-r base.txt\npywin32; sys_platform == "win32"\ndataclasses; python_version < "3.7"\n',
        base_txt="django==5.1\n",
    )
    assert names(found) == {"django": "==5.1"}


def test_wheels_are_built_from_the_same_manifests() -> None:
    found = read("pip wheel --no-cache-dir -w /wheels -r requirements.txt lxml", requirements_txt="flask\n")
    assert names(found) == {"lxml": "", "flask": ""}


def test_poetry_without_a_lock_file() -> None:
    pyproject = """[tool.poetry.dependencies]
python = "^3.11"
django = "^5.0.3"
celery = { version = "~5.3", extras = ["redis"] }
requests = "2.32.3"
click = "*"
zero = "^0.4.1"
"""
    found = names(read("poetry install --no-root", pyproject_toml=pyproject))
    assert found == {
        "django": ">=5.0.3,<6",
        "celery": "==5.3.*",
        "redis": "",
        "requests": "==2.32.3",
        "click": "",
        "zero": ">=0.4.1,<0.5",
    }


def test_pipfile_lock() -> None:
    lock = '{"default": {"Flask": {"version": "==3.1.0"}}, "develop": {"pytest": {"version": "==8.0"}}}'
    pipfile = '[packages]\nflask = "*"\n'
    assert names(read("pipenv sync --system", Pipfile=pipfile, Pipfile_lock=lock)) == {"flask": "==3.1.0"}
    assert "pytest" in names(read("pipenv sync --system --dev", Pipfile=pipfile, Pipfile_lock=lock))


def test_project_itself() -> None:
    pyproject = '[project]\nname = "demo"\ndependencies = ["httpx>=0.27"]\n[build-system]\nrequires = ["hatchling"]\n'
    assert names(read("pip install .", pyproject_toml=pyproject)) == {"httpx": ">=0.27"}


def test_version_control_keeps_no_password() -> None:
    (found,) = read("pip install git+https://user:secret@example.com/acme/tools.git")
    assert found.from_source
    assert "secret" not in found.name


@pytest.mark.parametrize(
    ("run", "files", "reason"),
    [
        ("pip install $PACKAGES", {}, "in a variable"),
        ("pip install --no-binary :all: lxml", {}, "build packages from source"),
        ("pip install -r requirements.txt", {}, "not in the build context"),
        ("pip install -r requirements.txt", {"requirements_txt": "./vendor/tools\n"}, "requirements.txt:1 installs"),
        ("pip install -r requirements.txt", {"requirements_txt": "--no-binary lxml\n"}, "--no-binary"),
        ("pip install .", {"setup_py": "from setuptools import setup\n"}, "no pyproject.toml"),
        ("pip install .", {"pyproject_toml": '[project]\ndynamic = ["dependencies"]\n'}, "computes the dependencies"),
        (
            "poetry install",
            {"pyproject_toml": "[project]\n", "poetry_lock": "not TOML"},
            "poetry.lock is not understood",
        ),
        ("poetry install", {"pyproject_toml": "[tool.poetry]\ndependencies = 3\n"}, "its manifest is not understood"),
        ("conda install flask", {}, "what conda installs"),
    ],
)
def test_what_cannot_be_told(run: str, files: dict[str, str], reason: str) -> None:
    with pytest.raises(Obstacle) as caught:
        read(run, **files)
    assert reason in caught.value.skip.reason
