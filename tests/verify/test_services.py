"""The services that compose declares beside the application are run where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from verifying import copied, verify

from dockfix.project.files import MemoryFiles
from dockfix.verify.plan import make_plan
from dockfix.verify.services import Companion

COMPOSE = """
services:
  web:
    build: .
  database:
    image: postgres:${POSTGRES:-17}
    env_file: db.env
    environment:
      - POSTGRES_USER=shop
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"]
  cache:
    image: redis
    command: redis-server --save ''
  mail:
    build: ./mail
  admin:
    image: adminer
    profiles: [tools]
"""


def test_what_compose_declares() -> None:
    files = {"Dockerfile": "FROM python\nCOPY . .\n", "compose.yaml": COMPOSE, "db.env": "POSTGRES_PASSWORD='a b'\n"}
    plan = make_plan(MemoryFiles(files), "Dockerfile", {})
    assert plan.companions == (
        Companion(
            "database",
            "postgres:17",
            {"POSTGRES_PASSWORD": "a b", "POSTGRES_USER": "shop"},
            None,
            (),
            ("/bin/sh", "-c", "pg_isready -U $POSTGRES_USER"),
        ),
        Companion("cache", "redis", {}, None, ("redis-server", "--save", ""), ()),
    )
    assert plan.not_run == ("mail",)


@pytest.mark.engine
def test_an_application_that_needs_its_store(tmp_path: Path) -> None:
    folder = copied("with-database", tmp_path)
    alone = verify(folder)
    assert alone.status == 3
    assert alone.row("starts")["before"] == "ends with status 1"

    done = verify(folder, "--with-services")
    assert done.status == 0, done.table
    assert done.row("answers")["before"] == "200"
    assert done.row("answers")["verdict"] == "same"


@pytest.mark.engine
def test_a_service_that_cannot_be_started(tmp_path: Path) -> None:
    folder = copied("with-database", tmp_path)
    compose = folder / "compose.yaml"
    compose.write_text(compose.read_text().replace('"http.server"', '"no.such.module"'))
    done = verify(folder, "--with-services")
    assert done.status == 2
    assert done.one["error"].startswith("the service store ended with status 1: ")
