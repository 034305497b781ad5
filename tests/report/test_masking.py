"""Planted secrets, and every output in which they could show: only the local diff of the file that holds one may."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest

from dockfix.fleet.body import Marker, body_of
from dockfix.fleet.campaign import load_campaign
from dockfix.fleet.chain_process import run_chain
from dockfix.fleet.journal import Journal
from dockfix.fleet.page import write_page
from dockfix.fleet.worker import Planned
from dockfix.report import verify_json, verify_markdown, verify_text
from dockfix.report.mask import masked
from dockfix.session import Repository, Request, run_one
from dockfix.verify.build import Built
from dockfix.verify.buildlog import LogStep
from dockfix.verify.image import Configuration, Image
from dockfix.verify.plan import make_plan
from dockfix.verify.result import LeftOut, Outcome, Row, Side, Verdict
from dockfix.verify.run import Observation
from dockfix.verify.session import Verified

IN_DOCKERFILE = ("zR4_kq*8 \"v<&>'w|#x", "ghp_Zy98xW76vU54tS32rQ10pO98nM76lK54jI32", "npg%40Xq7~tail")
IN_COMPOSE = ("Cmp0se-pa55", "amqpRabb1t")
IN_CODE = ("cod3-k3y-1947", "db-Pa55-in-code", "fallBack-8812", "byt3s-K3y-55")
IN_DOTENV = ("d0tEnv-Tok3n-3",)
IN_BROKEN = ("br0ken-Instruct1on",)
PLANTED = (*IN_DOCKERFILE, *IN_COMPOSE, *IN_CODE, *IN_DOTENV, *IN_BROKEN)

FILES = {
    "Dockerfile": f"""FROM python:3.12-slim
ARG GITHUB_TOKEN={IN_DOCKERFILE[1]}
ENV SECRET_KEY="{IN_DOCKERFILE[0].replace('"', chr(92) + '"')}" LOG_LEVEL=info
ENV DATABASE_URL=postgresql://shop:{IN_DOCKERFILE[2]}@db/shop
WORKDIR /app
COPY requirements.txt .
RUN pip install git+https://$GITHUB_TOKEN@github.com/example/private.git -r requirements.txt
COPY .env .
COPY . .
CMD flask run --host 0.0.0.0
""",
    "admin.Dockerfile": f"""FROM python:3.12-slim
ENV ADMIN_PASSWORD={IN_COMPOSE[0]}
ENV ADMIN_OPTIONS="--password $ADMIN_PASSWORD"
COPY . /app
CMD ["python", "/app/app.py"]
""",
    "broken.Dockerfile": f"FROM python:3.12-slim\nAPI_TOKEN={IN_BROKEN[0]}\n",
    "compose.yaml": f"""services:
  web:
    build: .
    environment:
      CELERY_BROKER_URL: amqp://shop:{IN_COMPOSE[1]}@queue
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: {IN_COMPOSE[0]}
""",
    "requirements.txt": "flask==3.1.0\ngunicorn==23.0.0\n",
    ".env": f"API_TOKEN={IN_DOTENV[0]}\n",
    "app.py": f"""import os

from flask import Flask

app = Flask(__name__)
app.config["SECRET_KEY"] = "{IN_CODE[0]}"
app.config["SQLALCHEMY_DATABASE_URI"] = "mysql://shop:{IN_CODE[1]}@db/shop"
app.config["MAIL_PASSWORD"] = os.environ.get("MAIL_PASSWORD", "{IN_CODE[2]}")
app.config["JWT_SECRET_KEY"] = b"{IN_CODE[3]}"
""",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    return root


def dockfix(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Run the command; return its status and all that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from dockfix.cli.main import main; main()", *arguments],
        cwd=cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def readings(text: str) -> Iterator[str]:
    """Yield the text as it is, and as those read it who take its quoting back."""
    plain = re.sub("[\\N{ZERO WIDTH SPACE}]", "", text)
    yield from (text, plain, html.unescape(plain), unquote(plain), re.sub(r"\\(.)", r"\1", plain))
    yield re.sub(r"\\(.)", r"\1", html.unescape(plain))
    yield re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), plain)


def leaks(text: str) -> list[str]:
    """Return the planted values that stand in *text*, in whatever quoting."""
    found = list(readings(text))
    values = {spelling for value in PLANTED for spelling in (value, unquote(value))}
    return sorted(value for value in values if any(value in reading for reading in found))


FORMS = {
    "text": [],
    "diff": ["--diff"],
    "check": ["--check"],
    "safe": ["--diff", "--safe-only"],
    "json": ["--format", "json"],
    "github": ["--format", "github"],
    "markdown": ["--format", "markdown"],
    "sarif": ["--format", "sarif"],
    "one": ["--format", "json", "--select", "dockerignore"],
}


@pytest.mark.parametrize("arguments", FORMS.values(), ids=FORMS)
def test_no_output_shows_a_secret(repository: Path, arguments: list[str]) -> None:
    status, shown = dockfix(*arguments, cwd=repository)
    assert status == 2  # one of the files is broken, and its error is shown as well
    assert "broken.Dockerfile:2" in shown
    assert "SECRET_KEY" in shown or "--check" in arguments or "--safe-only" in arguments or "--select" in arguments
    assert leaks(shown) == []


def test_an_output_file_shows_none(repository: Path, tmp_path: Path) -> None:
    dockfix("--output", str(tmp_path / "out.txt"), cwd=repository)
    text = (tmp_path / "out.txt").read_text()
    assert "-ARG GITHUB_TOKEN=***" in text
    assert leaks(text) == []


def test_what_was_written_is_told_without_them(repository: Path) -> None:
    _, shown = dockfix("--write", cwd=repository)
    assert "take GITHUB_TOKEN, SECRET_KEY and DATABASE_URL out of the image" in shown
    assert leaks(shown) == []
    assert 'os.environ["SECRET_KEY"]' in (repository / "app.py").read_text()


def test_a_patch_shows_each_in_the_diff_of_its_own_file(repository: Path) -> None:
    """It is what ``git apply`` takes, so it has to; it shows too that the planted values are at stake."""
    (repository / "broken.Dockerfile").unlink()
    _, patch = dockfix("--format", "patch", cwd=repository)
    for value in (*IN_DOCKERFILE[1:], *IN_CODE[:2]):
        assert value in patch
    for part in patch.split("diff --git ")[1:]:
        path = part.partition(" ")[0].removeprefix("a/")
        assert set(leaks(part)) <= set(leaks(FILES.get(path, "")))


def test_pull_requests_and_the_page_of_a_campaign_show_none(repository: Path, tmp_path: Path) -> None:
    answer = run_chain(
        str(repository),
        ["Dockerfile", "admin.Dockerfile", "broken.Dockerfile"],
        {"select": [], "ignore": [], "safe_only": False, "options": {}},
        [],
    )
    document = json.dumps({"result": answer["result"], "about": answer["about"]})
    assert leaks(document) == []
    path = tmp_path / "campaign.toml"
    path.write_text(
        'name = "tidy"\ntitle = "Tidy"\n[forge]\nkind = "github"\nurl = "http://localhost/api/v3"\n'
        '[repositories]\nlist = ["acme/shop"]\n'
    )
    campaign = load_campaign(str(path))
    body = body_of(campaign, json.loads(document), Marker("tidy", "a" * 40, "b" * 64, "c" * 40))
    assert "GITHUB\\_TOKEN" in body
    assert leaks(body) == []
    folder = str(tmp_path / "plan")
    with closing(Journal(folder, create=True)) as journal:
        journal.set_repositories(iter([("acme/shop", "https://example.com/acme/shop.git")]))
        journal.remember("chain", "key")
        planned = Planned("acme/shop", "changed", "", "c" * 40, "main", answer["patch"].encode("latin-1"), document)
        journal.add_result(planned, "key", 1, ("no-baked-secrets",))
    page = Path(write_page(campaign, folder)).read_text()
    assert "GITHUB_TOKEN" in page
    assert leaks(page) == []


@pytest.fixture
def verified(repository: Path) -> Verified:
    """Return a verification whose logs, layers, tables and errors are full of what the image held."""
    found = Repository(str(repository), "", ("Dockerfile",))
    outcome = run_one(found, Request())
    from dockfix.project.disk import DiskFiles

    plan = make_plan(DiskFiles(str(repository)), "Dockerfile", {"EXTRA_TOKEN": IN_DOTENV[0]})
    said = tuple(f"fatal: could not read from {value} again" for value in PLANTED if value not in IN_BROKEN)
    step = LogStep("", f"RUN pip install git+https://{IN_DOCKERFILE[1]}@github.com/example/private.git", False, 1.0)
    nothing: frozenset[str] = frozenset()
    configuration = Configuration("", nothing, (), (), {"SECRET_KEY": IN_DOCKERFILE[0]}, {}, nothing, "/app", "", ())
    layers = ((f"ENV SECRET_KEY={IN_DOCKERFILE[0]} LOG_LEVEL=info", 0), (f"ARG GITHUB_TOKEN={IN_DOCKERFILE[1]}", 0))
    image = Image("sha256:1", 5, layers, configuration, None, None, None)
    run = Observation(None, False, 1, False, (), None, None, (), None, said)
    before = Side(plan, Built("sha256:1", 1.0, (step,)), image, (run,), None)
    after = Side(plan, Built(None, 1.0, (step,), step, said), image, (run,), Built(None, 1.0, (step,), step, said))
    row = Row("starts", f"yes, with {IN_DOCKERFILE[1]}", f"no: {IN_CODE[0]}", Verdict.WORSE, said)
    left = LeftOut("no-baked-secrets", said)
    return Verified(
        found,
        "Dockerfile",
        Outcome.WORSE,
        (row,),
        before,
        after,
        outcome.result,
        outcome.changes,
        (left,),
        said,
        f"exec failed with {IN_DOCKERFILE[2]} and {IN_COMPOSE[1]}",
    )


def test_verifications_show_none(verified: Verified) -> None:
    one = masked([verified])
    shown = (
        "".join(verify_text.render(one[0])),
        "".join(verify_markdown.render(one)),
        verify_json.render(one),
    )
    for text in shown:
        assert "left" in text
        assert leaks(text) == []
    assert leaks(verify_json.render([verified])) != []  # there was something to hide
