"""Applications as people write them: they build, start and answer the same after everything that dockfix changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from verifying import copied, verify, verify_and_write, verify_command

pytestmark = pytest.mark.engine

PLACES = {"web": "Dockerfile", "worker": "docker/Dockerfile"}
"""The Dockerfiles of two services."""


def test_flask_on_the_full_base(tmp_path: Path) -> None:
    done = verify_and_write(copied("flask-naive", tmp_path))
    assert "gunicorn" in done.row("command")["after"]
    assert done.row("user")["after"] != "root"
    assert done.row("health")["after"] == "healthy"
    assert any("gunicorn" in detail for detail in done.row("packages")["details"])
    answers = done.one["after"]["runs"][0]["answers"][0]
    assert {route: answer["status"] for route, answer in answers.items()} == {
        "/": 200,
        "/items": 200,
        "/static/shop.css": 200,
    }
    steps = {side: done.one[side]["rebuild"] for side in ("before", "after")}
    assert steps["after"]["steps"] - steps["after"]["cached"] < steps["before"]["steps"] - steps["before"]["cached"]


def test_fastapi_on_the_full_base(tmp_path: Path) -> None:
    done = verify_and_write(copied("fastapi", tmp_path))
    assert "--reload" not in done.row("command")["after"]
    assert {"/", "/books", "/openapi.json", "/docs"} <= set(done.one["after"]["runs"][0]["answers"][0])


def test_django_on_the_full_base(tmp_path: Path) -> None:
    done = verify_and_write(copied("django", tmp_path))
    assert "board.wsgi" in done.row("command")["after"]
    answers = done.one["after"]["runs"][0]["answers"][0]
    assert answers["/"]["status"] == 200


def test_a_package_with_c_code_built_from_source(tmp_path: Path) -> None:
    folder = copied("psycopg2", tmp_path)
    done = verify_and_write(folder)
    packages = done.one["after"]["packages"]
    assert packages["psycopg2"] == done.one["before"]["packages"]["psycopg2"] == "2.9.10"
    builder, final = (folder / "Dockerfile").read_text().split("\nFROM ")
    assert "libpq-dev" in builder
    assert "libpq-dev" not in final
    assert "libpq5" in final


def test_a_database_in_the_working_directory(tmp_path: Path) -> None:
    done = verify_and_write(copied("sqlite", tmp_path))
    assert done.row("user")["after"] != "root"
    assert done.one["after"]["runs"][0]["answers"][0]["/"]["status"] == 200


def test_uploads_in_a_volume(tmp_path: Path) -> None:
    done = verify_and_write(copied("uploads", tmp_path))
    assert done.row("user")["after"] != "root"
    assert done.row("volumes")["after"] == "/app/uploads"
    assert done.one["after"]["runs"][0]["answers"][0]["/"]["status"] == 200


def test_poetry(tmp_path: Path) -> None:
    index = subprocess.run(
        [sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"],
        capture_output=True,
        text=True,
        check=True,
    )
    mirror = f"POETRY_PYPI_MIRROR_URL={index.stdout.strip()}"
    done = verify_and_write(copied("poetry", tmp_path), "--build-arg", mirror)
    assert done.one["after"]["packages"]["flask"] == "3.0.3"


def test_a_start_script_that_migrates_the_database(tmp_path: Path) -> None:
    done = verify_and_write(copied("django-migrations", tmp_path))
    assert done.row("user")["after"] != "root"
    log = "\n".join(done.one["after"]["runs"][0]["log"])
    assert "Applying notices.0001_initial... OK" in log


def test_several_dockerfiles(tmp_path: Path) -> None:
    """One of them has another folder than its own for its context; what the first changed is there for the second."""
    folder = copied("plain", tmp_path)
    (folder / "docker").mkdir()
    text = (folder / "Dockerfile").read_text()
    (folder / "docker" / "Dockerfile").write_text(text.replace("server.py", "./server.py"))
    services = "".join(f"  {name}:\n    build: {{context: ., dockerfile: {path}}}\n" for name, path in PLACES.items())
    (folder / "compose.yaml").write_text(f"services:\n{services}")
    done = verify(folder, "--write")
    assert done.status == 0, done.table
    found = done.document["dockerfiles"]
    assert [(one["path"], one["outcome"], one["written"]) for one in found] == [
        (path, "holds", True) for path in PLACES.values()
    ]
    for one in found:
        assert one["path"] in one["changed_files"]
        assert (folder / one["path"]).read_text() != text
    check = subprocess.run([sys.executable, "-m", "dockfix", "--check", "."], cwd=folder, check=False)
    assert check.returncode == 0, "a second run changes something"
    again = subprocess.run(verify_command(), cwd=folder, capture_output=True, text=True, check=False)
    assert again.stdout.splitlines() == [
        "Dockerfile",
        "  nothing to change, so nothing was built",
        "docker/Dockerfile",
        "  nothing to change, so nothing was built",
        "2 Dockerfiles: 2 unchanged",
    ]


def test_nothing_is_built_where_nothing_changes(tmp_path: Path) -> None:
    folder = copied("unchanged", tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = verify(folder, "--write")
    assert done.status == 0
    assert done.one["outcome"] == "unchanged"
    assert done.one["before"] is None
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_secret_that_comes_from_outside_afterwards(tmp_path: Path) -> None:
    folder = copied("plain", tmp_path)
    dockerfile, server = folder / "Dockerfile", folder / "server.py"
    dockerfile.write_text(dockerfile.read_text().replace("WORKDIR", "ENV API_TOKEN=9f2c81b7a4d05e6612\nWORKDIR"))
    answer = "str(len(os.environ['API_TOKEN'])).encode()"
    server.write_text("import os\n" + server.read_text().replace('Path("greeting.txt").read_bytes()', answer))
    done = verify_and_write(folder)
    assert "9f2c81b7a4d05e6612" not in dockerfile.read_text()
    assert "taken out of the image: API_TOKEN" in done.row("environment")["details"]
    assert "9f2c81b7a4d05e6612" not in str(done.document)
