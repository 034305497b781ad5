"""How an image is built and run, as the repository's files tell."""

from __future__ import annotations

from dockfix.project.files import MemoryFiles
from dockfix.verify.plan import Plan, make_plan
from dockfix.verify.variables import read_variables, resolve

FLASK = """from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "x"


@app.route("/items", methods=["GET", "POST"])
def items():
    return "x"


@app.route("/items/<int:number>")
def item(number):
    return "x"


@app.route("/reset", methods=["POST"])
def reset():
    return "x"


if __name__ == "__main__":
    app.run(port=5001)
"""


def plan(files: dict[str, str], dockerfile: str = "Dockerfile", target: str | None = None, **given: str) -> Plan:
    return make_plan(MemoryFiles(files), dockerfile, given, target)


def test_ports_and_routes() -> None:
    found = plan(
        {
            "Dockerfile": 'FROM python\nWORKDIR /app\nCOPY . .\nEXPOSE 5000 9000/udp\nCMD ["python", "app.py"]\n',
            "app.py": FLASK,
        }
    )
    assert found.serves
    assert found.ports[0] == 5000
    assert 5001 in found.ports
    assert found.routes == ("/", "/items"), "no arguments, and nothing that changes something"
    assert found.touched == "app.py"
    assert found.folders == ("/app",)


def test_a_service_of_compose() -> None:
    compose = """
services:
  web:
    build:
      context: ./web
      args:
        VERSION: "3"
        EXTRA: ${EXTRA:-none}
    command: ["python", "-m", "http.server", "${PORT}"]
    ports: ["8080:8000"]
    environment:
      PORT: "8000"
      MODE: ${MODE:-production}
      TOKEN:
"""
    found = plan(
        {
            "compose.yaml": compose,
            ".env.example": "PORT=8000\nTOKEN=none  # ask somebody\n",
            "web/Dockerfile": "FROM python\nCOPY src /srv/src\n",
            "web/src/main.py": "print()\n",
        },
        "web/Dockerfile",
        MODE="test",
    )
    assert found.context == "web"
    assert found.arguments == (("VERSION", "3"), ("EXTRA", "none"))
    assert found.environment == {"PORT": "8000", "TOKEN": "none", "MODE": "test"}
    assert found.command == ("python", "-m", "http.server", "8000")
    assert found.ports == (8000,)
    assert found.touched == "web/src/main.py"
    assert found.needed == ("web/src",)


def test_the_image_has_its_own_command() -> None:
    compose = "services:\n  web:\n    build: .\n    command: python debug.py\n"
    found = plan({"Dockerfile": 'FROM python\nCOPY . .\nCMD ["python", "main.py"]\n', "compose.yaml": compose})
    assert found.command == ()


def test_a_target() -> None:
    text = "FROM python AS base\nENV A=1\nFROM base AS development\nENV B=2\nFROM base\nENV C=3\n"
    assert plan({"Dockerfile": text}).stated == {"A", "C"}
    found = plan({"Dockerfile": text}, target="development")
    assert found.stated == {"A", "B"}
    assert found.target == "development"


def test_ignored_files_are_not_touched() -> None:
    files = {"Dockerfile": "FROM python\nCOPY . /app\n", ".dockerignore": "main.py\n", "main.py": "", "other.py": ""}
    assert plan(files).touched == "other.py"


def test_system_folders_are_not_compared() -> None:
    found = plan({"Dockerfile": "FROM python\nCOPY run.sh /usr/local/bin/\nCOPY app /opt/shop/app\n", "run.sh": ""})
    assert found.folders == ("/opt/shop/app",) or found.folders == ("/opt/shop",)


def test_variables() -> None:
    text = "A=1\nexport B='two words'\n# C=3\nD = 4 # four\nE=\n\nnot a line\n"
    assert read_variables(text) == {"A": "1", "B": "two words", "D": "4", "E": ""}
    known = {"A": "1", "E": ""}
    assert resolve("$A ${A} $$A ${B:-b} ${B-b} ${E:-e} ${A:+yes}${B:+no} ${B}", known) == "1 1 $A b b e yes "


def test_compose_takes_what_is_given_in_place_of_its_variables() -> None:
    compose = """\
services:
  web:
    build: .
    environment:
      DATABASE_URL: postgresql://shop:${POSTGRES_PASSWORD:?}@db/shop
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
"""
    files = {"Dockerfile": "FROM python\nCMD python\n", "compose.yaml": compose, ".env.example": "POSTGRES_PASSWORD=\n"}
    found = plan(files, POSTGRES_PASSWORD="planted")
    assert found.environment["DATABASE_URL"] == "postgresql://shop:planted@db/shop"
    assert [one.environment for one in found.companions] == [{"POSTGRES_PASSWORD": "planted"}]


def test_the_hosts_that_django_knows() -> None:
    manage = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
    settings = (
        'ALLOWED_HOSTS = env.list(\n    "HOSTS",\n    default=["shop.example", ".shop.test", "localhost", "*"],\n)\n'
    )
    files = {
        "Dockerfile": 'FROM python\nWORKDIR /app\nCOPY . .\nCMD ["python", "manage.py", "runserver"]\n',
        "manage.py": manage,
        "shop/__init__.py": "",
        "shop/settings.py": settings,
        "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    }
    assert plan(files).hosts == ("shop.example", "shop.test")
    assert plan({**files, "shop/settings.py": "ALLOWED_HOSTS = []\n"}).hosts == ()
