"""What compose files say about the services that a Dockerfile is built for."""

from __future__ import annotations

import pytest

from dockfix.project.compose import Mount, services_for, services_of_image
from dockfix.project.compose_files import overlays, used_with
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


def test_circles_and_missing_files_are_not_followed() -> None:
    text = "services: {a: {extends: b, build: .}, b: {extends: a}, c: {extends: {file: x.yml, service: y}}}"
    found = services_for(MemoryFiles({"Dockerfile": "", "compose.yml": text}), "Dockerfile")
    assert [service.name for service in found] == ["a", "b"]


def test_a_service_of_another_file_is_extended() -> None:
    files = MemoryFiles(
        {
            "api/Dockerfile": "",
            "shared/common.yaml": "services: {app: {build: ../api, volumes: [./data:/data, named:/n], env_file: app.env"
            ", environment: [A=1], depends_on: [db]}}",
            "compose.yaml": "services: {web: {extends: {file: shared/common.yaml, service: app}, command: serve,"
            " environment: {B: 2}, volumes: ['./x:/x'], depends_on: {cache: {condition: service_healthy}}}}",
        }
    )
    (web,) = services_for(files, "api/Dockerfile")
    assert (web.path, web.name, web.context, web.command) == ("compose.yaml", "web", "api", "serve")
    assert web.environment == {"A": "1", "B": "2"}
    assert web.env_files == ("shared/app.env",)
    assert [(mount.source, mount.target) for mount in web.mounts] == [
        ("./shared/data", "/data"),
        ("named", "/n"),
        ("./x", "/x"),
    ]
    assert web.depends_on == ("db", "cache")
    assert overlays(files, "compose.yaml") == ()
    assert used_with(files, "compose.yaml") == ("shared/common.yaml",)


def test_an_override_file_is_laid_over() -> None:
    files = MemoryFiles(
        {
            "Dockerfile": "",
            "compose.yaml": "services: {web: {build: ., command: serve, ports: ['80'], user: app}, db: {image: x}}",
            "compose.override.yml": "x: 1\nservices: {web: {volumes: ['.:/app'], ports: ['81'], user: null,"
            " build: {target: dev}}, mail: {image: mail}}",
        }
    )
    assert overlays(files, "compose.yaml") == ("compose.override.yml",)
    assert overlays(files, "compose.override.yml") == ()
    assert used_with(files, "compose.override.yml") == ("compose.yaml",)
    base, whole, own = services_of_image(files, "Dockerfile")
    assert (base.kind, base.mounts, base.ports, base.target) == ("built", (), (80,), None)
    assert (own.kind, own.path, own.command) == ("built", "compose.override.yml", None)  # it builds by itself, too
    assert (whole.kind, whole.path, whole.line, whole.ports) == ("laid over", "compose.override.yml", 2, (80, 81))
    assert (whole.command, whole.user, whole.target, whole.mounts[0].target) == ("serve", "app", "dev", "/app")
    assert services_for(files, "Dockerfile") == (base, own)


def test_an_override_file_builds_what_the_first_file_runs() -> None:
    files = MemoryFiles(
        {
            "Dockerfile": "",
            "compose.yaml": "services: {web: {image: shop, command: serve}}",
            "compose.override.yaml": "services: {web: {build: .}}",
        }
    )
    found = [(one.kind, one.path, one.command) for one in services_of_image(files, "Dockerfile")]
    assert found == [
        ("laid over", "compose.override.yaml", "serve"),
        ("built", "compose.override.yaml", None),
    ]


def test_files_without_image_and_build_are_laid_over_and_whole_ones_are_not() -> None:
    base = "services: {web: {build: ., image: shop}, db: {image: postgres}}"
    files = MemoryFiles(
        {
            "Dockerfile": "",
            "docker-compose.yml": base,
            "docker-compose.dev.yml": "services: {web: {command: debug}}",
            "docker-compose.prod.yml": base,
            "docker-compose.extra.yml": "services: {other: {image: a}}",
            "docker-compose.empty.yml": "",
        }
    )
    assert overlays(files, "docker-compose.yml") == ("docker-compose.dev.yml",)
    assert overlays(files, "docker-compose.prod.yml") == ("docker-compose.dev.yml",)
    assert overlays(files, "docker-compose.dev.yml") == ()
    assert used_with(files, "docker-compose.dev.yml") == ("docker-compose.prod.yml", "docker-compose.yml")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Makefile", "up:\n\tdocker compose -p x -f compose.yaml -f deploy/live.yaml up\n"),
        ("bin/up.sh", "docker-compose --file=./compose.yaml \\\n  --file deploy/live.yaml up -d && curl -f x\n"),
        ("README.md", "Run `docker compose -f compose.yaml -f deploy/live.yaml up`.\n"),
        (".env", 'COMPOSE_FILE="compose.yaml:deploy/live.yaml"\n'),
    ],
)
def test_files_that_are_named_in_one_command_are_laid_over(path: str, text: str) -> None:
    files = MemoryFiles(
        {
            "Dockerfile": "",
            "compose.yaml": "services: {web: {build: .}}",
            "deploy/compose.yaml": "services: {}",
            "deploy/live.yaml": "services: {web: {image: registry/web, command: live}}",
            path: text,
        }
    )
    assert overlays(files, "compose.yaml") == ("deploy/live.yaml",)
    assert [(run.kind, run.command) for run in services_of_image(files, "Dockerfile")] == [
        ("built", None),
        ("laid over", "live"),
    ]


def test_included_files_are_read() -> None:
    files = MemoryFiles(
        {
            "api/Dockerfile": "",
            "api/services.yaml": "services: {api: {build: .}}",
            "more.yaml": "services: {more: {build: api}}",
            "compose.yaml": "include: [api/services.yaml, {path: [./more.yaml, none.yaml]}]\nservices: {b: {build: b}}",
        }
    )
    assert [(one.path, one.name) for one in services_for(files, "api/Dockerfile")] == [
        ("api/services.yaml", "api"),
        ("more.yaml", "more"),
    ]
    assert used_with(files, "more.yaml") == ("compose.yaml",)


def test_a_service_may_run_the_image_of_another_by_its_name() -> None:
    text = "services: {web: {build: ., image: shop}, job: {image: shop, command: work}, db: {image: postgres}}"
    files = MemoryFiles({"Dockerfile": "", "compose.yaml": text})
    assert [one.name for one in services_for(files, "Dockerfile")] == ["web"]
    assert [(one.name, one.kind) for one in services_of_image(files, "Dockerfile")] == [
        ("web", "built"),
        ("job", "image"),
    ]


def test_anchors_and_merges_are_resolved() -> None:
    text = """\
x-app: &app
  build: .
  environment: &env {A: a}
  volumes: &v [".:/app"]
services:
  web:
    <<: *app
  job:
    <<: [*app, {user: me}]
    environment:
      <<: *env
      B: b
    volumes: *v
"""
    web, job = services_for(MemoryFiles({"Dockerfile": "", "compose.yaml": text}), "Dockerfile")
    assert (web.environment, web.user, web.mounts) == ({"A": "a"}, None, (Mount(".", "/app", True, False),))
    assert (job.environment, job.user, job.mounts) == ({"A": "a", "B": "b"}, "me", web.mounts)


@pytest.mark.parametrize("build", ["build: .", "build: {context: .}", "build: {dockerfile: Dockerfile}"])
def test_a_dockerfile_in_lower_case_is_found_as_buildkit_finds_it(build: str) -> None:
    compose = f"services:\n  web:\n    {build}\n"
    assert len(services_for(MemoryFiles({"dockerfile": "", "compose.yaml": compose}), "dockerfile")) == 1
    both = MemoryFiles({"Dockerfile": "", "dockerfile": "", "compose.yaml": compose})
    assert [len(services_for(both, name)) for name in ("Dockerfile", "dockerfile")] == [1, 0]


def test_a_build_with_arguments_alone_adds_to_that_of_another_file() -> None:
    whole = "services:\n  web:\n    build: {context: .., dockerfile: docker/Dockerfile}\n"
    files = MemoryFiles(
        {
            "docker/Dockerfile": "",
            "docker/docker-compose.yml": whole,
            "docker/docker-compose.dev.yml": "services:\n  web:\n    build: {args: [DEV=true]}\n",
        }
    )
    found = services_for(files, "docker/Dockerfile")
    assert {(service.path, service.context) for service in found} == {("docker/docker-compose.yml", "")}
    alone = MemoryFiles({"Dockerfile": "", "compose.yaml": "services:\n  web:\n    build: {args: [DEV=true]}\n"})
    assert [service.context for service in services_for(alone, "Dockerfile")] == [""]
