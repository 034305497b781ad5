"""What compose files say about the services that a Dockerfile is built for."""

from __future__ import annotations

from dockfix.project.compose import Mount, services_for
from dockfix.project.files import MemoryFiles

COMPOSE = """\
services:
  base:
    build: {context: ., target: runtime}
    environment: {A: "1", B: null}
    ports: ["80"]
  web:
    extends: base
    command: ["gunicorn", "app:app"]
    entrypoint: /start.sh
    user: "1000"
    working_dir: /srv
    environment: {C: "3"}
    env_file:
      - .env
      - path: more.env
        required: false
    ports:
      - "8000:8080"
      - 127.0.0.1:9000:9001/tcp
      - target: 7000
      - ${PORT}:5000-5010
    volumes:
      - .:/app:ro
      - data:/data
      - /anonymous
      - ${HOME:-/root}/x:/x
      - {type: bind, source: ./c, target: /c, read_only: true}
    depends_on:
      db: {condition: service_healthy}
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost"]
  other:
    build: other
  db:
    image: postgres:17
"""


def test_a_service() -> None:
    files = MemoryFiles({"Dockerfile": "", "other/Dockerfile": "", "compose.yaml": COMPOSE})
    base, web = services_for(files, "Dockerfile")
    assert (base.name, base.line, base.target, base.ports) == ("base", 2, "runtime", (80,))
    assert base.environment == {"A": "1", "B": None}
    assert (web.name, web.line, web.context, web.target) == ("web", 6, "", "runtime")
    assert web.command == ("gunicorn", "app:app")
    assert (web.entrypoint, web.user, web.working_dir) == ("/start.sh", "1000", "/srv")
    assert web.environment == {"A": "1", "B": None, "C": "3"}
    assert web.env_files == (".env", "more.env")
    assert web.ports == (80, 8080, 9001, 7000, None)
    assert web.mounts == (
        Mount(".", "/app", True, True),
        Mount("data", "/data", False, False),
        Mount(None, "/anonymous", False, False),
        Mount("${HOME:-/root}/x", "/x", True, False),
        Mount("./c", "/c", True, True),
    )
    assert web.depends_on == ("db",)
    assert web.healthcheck == "curl -f http://localhost"
    assert [service.name for service in services_for(files, "other/Dockerfile")] == ["other"]


def test_health_check_switched_off() -> None:
    text = "services: {a: {build: ., healthcheck: {disable: true}}, b: {build: ., healthcheck: {test: [NONE]}}}"
    found = services_for(MemoryFiles({"Dockerfile": "", "compose.yml": text}), "Dockerfile")
    assert [service.healthcheck for service in found] == ["", ""]


def test_circles_and_other_files_are_not_followed() -> None:
    text = "services: {a: {extends: b, build: .}, b: {extends: a}, c: {extends: {file: x.yml, service: y}}}"
    found = services_for(MemoryFiles({"Dockerfile": "", "compose.yml": text}), "Dockerfile")
    assert [service.name for service in found] == ["a", "b"]
