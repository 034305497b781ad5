"""The rows of the table, from what was seen of two images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dockfix.project.files import MemoryFiles
from dockfix.verify.build import Built
from dockfix.verify.buildlog import LogStep
from dockfix.verify.compare import compare, megabytes
from dockfix.verify.image import Configuration, Image, Package
from dockfix.verify.plan import Plan, make_plan
from dockfix.verify.result import Outcome, Row, Side, Verdict, outcome_of
from dockfix.verify.run import Answer, Observation

CONFIGURATION = Configuration(
    "",
    frozenset({"80/tcp"}),
    (),
    ("python", "app.py"),
    {"PATH": "/bin", "A": "1"},
    {"a": "1"},
    frozenset(),
    "/app",
    "",
    (),
)
UP = Observation(None, True, None, False, ((80, False),), 80, 0.5, (), None, ("listening",))
TRACEBACK = ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'flask'")
TRACEBACK_END = ('  File "base.py", line 281, in connect', "OperationalError: is the server running locally?")
ENDED = UP._replace(running=False, code=1, ports=(), log=TRACEBACK)


def plan(text: str = "FROM python\nENV A=1\nCOPY . /app\nEXPOSE 80\n") -> Plan:
    return make_plan(MemoryFiles({"Dockerfile": text}), "Dockerfile", {})


def side(
    run: Observation = UP,
    size: int = 500_000_000,
    packages: Mapping[str, Package] | None = None,
    files: Mapping[str, str] | None = None,
    rebuilt: Built | None = None,
    plan: Plan = plan(),  # noqa: B008
    **changes: Any,
) -> Side:
    configuration = CONFIGURATION._replace(**changes)
    image = Image("sha256:1", size, (), configuration, "python3", packages or {}, files or {"/app/app.py": "1"})
    return Side(plan, Built("sha256:1", 2.0, ()), image, (run, run), rebuilt)


def row(what: str, before: Side, after: Side, hidden: tuple[str, ...] = (), secrets: bool = False) -> Row:
    return next(one for one in compare(before, after, hidden, frozenset(), secrets) if one.what == what)


def test_the_same_twice() -> None:
    rows = compare(side(), side(), (), frozenset(), False)
    assert {one.verdict for one in rows if one.what != "rebuild"} == {Verdict.SAME}
    assert outcome_of(rows) is Outcome.HOLDS


def test_an_image_that_does_not_build() -> None:
    failed = Side(plan(), Built(None, 1.0, (), LogStep("", "RUN x", False, None), ("no x",)), None, (), None)
    (only,) = compare(side(), failed, (), frozenset(), False)
    assert (only.verdict, only.after, only.details) == (Verdict.WORSE, "no: RUN x", ("no x",))
    assert compare(failed, side(), (), frozenset(), False)[0].verdict is Verdict.BETTER
    assert outcome_of(compare(failed, failed, (), frozenset(), False)) is Outcome.UNPROVED


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (UP, ENDED, Verdict.WORSE),
        (UP, UP._replace(ports=()), Verdict.WORSE),
        (UP, UP._replace(ports=((80, True),)), Verdict.WORSE),
        (UP._replace(ports=((80, True),)), UP, Verdict.SAME),
        (UP, UP._replace(ports=((80, False), (81, False))), Verdict.INTENDED),
        (UP, UP._replace(out_of_memory=True, running=False, code=137), Verdict.WORSE),
        (UP, UP._replace(refused="exec: gunicorn: not found", running=False), Verdict.WORSE),
        (UP._replace(ports=()), UP, Verdict.INTENDED),
        (UP._replace(ports=(), running=False, code=0), UP, Verdict.WORSE),
        (ENDED, UP, Verdict.BETTER),
        (ENDED, ENDED, Verdict.UNPROVED),
        (ENDED, ENDED._replace(log=("PermissionError: [Errno 13]",)), Verdict.WORSE),
        (UP._replace(ports=(), log=TRACEBACK), ENDED, Verdict.UNPROVED),  # a reloader waits, a server does not
        (UP._replace(ports=(), log=TRACEBACK_END), UP._replace(ports=(), log=TRACEBACK_END), Verdict.UNPROVED),
        (UP._replace(ports=(), running=False, code=0), UP._replace(ports=(), running=False, code=0), Verdict.SAME),
    ],
)
def test_starts(before: Observation, after: Observation, verdict: Verdict) -> None:
    assert row("starts", side(before), side(after)).verdict is verdict


def test_a_port_that_the_system_gives() -> None:
    runs = [UP._replace(ports=((80, False), (port, True))) for port in (42791, 35655, 40185, 35287)]
    found = row("starts", side()._replace(runs=tuple(runs[:2])), side()._replace(runs=tuple(runs[2:])))
    assert (found.verdict, found.details) == (Verdict.SAME, ())


def answering(**statuses: int) -> Side:
    answers = {f"/{route}": Answer(status, "text/plain", "x", "", "") for route, status in statuses.items()}
    return side(UP._replace(rounds=(answers, answers)))


def test_an_application_that_only_fails_proves_nothing() -> None:
    broken = answering(a=500, b=503, c=400)
    found = row("answers", broken, broken)
    assert found.verdict is Verdict.UNPROVED
    assert "--with-services" in found.details[0]
    assert outcome_of(compare(broken, broken, (), frozenset(), False)) is Outcome.HOLDS
    half = answering(a=500, b=200)
    assert row("answers", half, half) == Row("answers", "500, 200", "the same, 2 routes", Verdict.SAME)


def test_a_server_that_listens_first_and_fails_then_is_no_better() -> None:
    """A development server waits for the database, another one listens and answers with errors."""
    waiting = side(UP._replace(ports=()))
    assert row("starts", waiting, answering(a=500)).verdict is Verdict.UNPROVED
    assert row("starts", waiting, answering(a=500, b=200)).verdict is Verdict.INTENDED


def test_a_route_that_cannot_be_compared_is_counted() -> None:
    first, second = answering(a=200, b=200).runs[0], answering(a=200, b=404).runs[0]
    unsteady = side()._replace(runs=(first, second))
    assert row("answers", unsteady, unsteady).after == "the same, 1 of 2 routes"


def test_new_trouble_in_the_log() -> None:
    after = UP._replace(log=("sqlite3.OperationalError: attempt to write a readonly database",))
    found = row("log", side(), side(after))
    assert found.verdict is Verdict.WORSE
    assert found.details == after.log


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (None, True, Verdict.BETTER),
        (None, False, Verdict.WORSE),
        (True, False, Verdict.WORSE),
        (True, True, Verdict.SAME),
    ],
)
def test_health(before: bool | None, after: bool | None, verdict: Verdict) -> None:
    sides = (side(UP._replace(healthy=before)), side(UP._replace(healthy=after)))
    assert row("health", *sides).verdict is verdict


def test_no_health_is_asked_of_a_program_that_does_not_work() -> None:
    waiting = UP._replace(ports=(), log=TRACEBACK)
    found = row("health", side(waiting), side(waiting._replace(healthy=False)))
    assert found.verdict is Verdict.UNPROVED


def test_what_a_health_check_said() -> None:
    ailing = UP._replace(healthy=False, ailing=("curl: (22) 404",))
    assert row("health", side(UP._replace(healthy=True)), side(ailing)).details == ("curl: (22) 404",)
    assert row("health", side(ailing), side(UP._replace(healthy=True))).verdict is Verdict.BETTER


@pytest.mark.parametrize(
    ("what", "change", "verdict"),
    [
        ("user", {"user": "app"}, Verdict.INTENDED),
        ("ports", {"ports": frozenset()}, Verdict.WORSE),
        ("ports", {"ports": frozenset({"80/tcp", "81/tcp"})}, Verdict.INTENDED),
        ("command", {"command": ("gunicorn", "app:app")}, Verdict.INTENDED),
        ("command", {"command": ()}, Verdict.WORSE),
        ("environment", {"environment": {"PATH": "/bin"}}, Verdict.WORSE),
        ("environment", {"environment": {"PATH": "/bin", "A": "2"}}, Verdict.WORSE),
        ("environment", {"environment": {"PATH": "/opt/venv/bin:/bin", "A": "1"}}, Verdict.INTENDED),
        ("environment", {"environment": {"PATH": "/opt/venv/bin", "A": "1"}}, Verdict.WORSE),
        ("labels", {"labels": {}}, Verdict.WORSE),
        ("workdir", {"workdir": "/"}, Verdict.WORSE),
        ("stop signal", {"stop_signal": "SIGINT"}, Verdict.WORSE),
    ],
)
def test_configuration(what: str, change: dict[str, Any], verdict: Verdict) -> None:
    assert row(what, side(), side(**change)).verdict is verdict


def test_a_user_is_never_taken_away() -> None:
    assert row("user", side(user="app"), side(user="")).verdict is Verdict.WORSE


def test_values_of_variables_are_not_shown() -> None:
    before = side(environment={"PATH": "/bin", "A": "old-secret"})
    found = row("environment", before, side(environment={"PATH": "/bin", "A": "new-secret"}))
    assert "secret" not in str(found)


def test_a_secret_taken_out_on_purpose() -> None:
    assert row("environment", side(), side(environment={"PATH": "/bin"}), secrets=True).verdict is Verdict.INTENDED


def test_packages() -> None:
    flask, gunicorn = Package("3.0.3", ("click",)), Package("23.0.0", ())
    tools = {"poetry": Package("2.1.1", ("requests",)), "requests": Package("2.32", ()), "click": Package("8", ())}
    before = side(packages={"flask": flask, **tools})
    found = row("packages", before, side(packages={"flask": flask, "click": tools["click"], "gunicorn": gunicorn}))
    assert found.verdict is Verdict.INTENDED
    assert found.details == ("build tools left behind: poetry, requests", "added: gunicorn 23.0.0")
    assert row("packages", before, side(packages={"flask": flask, **tools})).verdict is Verdict.SAME
    assert "lost: click 8" in row("packages", before, side(packages={"flask": flask})).details
    older = {"flask": Package("2.0", ()), **tools}
    assert row("packages", before, side(packages=older)).details == ("flask 3.0.3 → 2.0",)


def test_files() -> None:
    files = {"/app": "", "/app/app.py": "1 executable", "/app/.git/HEAD": "2", "/app/requirements.txt": "3"}
    before = side(files=files)
    after = side(files={"/app": "", "/app/app.py": "1 executable"})
    found = row("files", before, after, hidden=("/app/.git/HEAD",))
    assert found.verdict is Verdict.INTENDED
    assert found.details == ("hidden by the ignore file: /app/.git/HEAD", "in the builder only: /app/requirements.txt")
    assert row("files", before, after).verdict is Verdict.WORSE, "lost, and not hidden"
    plain = row("files", before, side(files={**files, "/app/app.py": "1"}))
    assert plain.details == ("not executable any more: /app/app.py",)


def test_size_and_rebuild() -> None:
    assert row("size", side(), side(size=100_000_000)).verdict is Verdict.BETTER
    assert row("size", side(), side(size=100_000_000)).after == "100.0 MB (-80 %)"
    assert row("size", side(), side(size=700_000_000)).verdict is Verdict.WORSE
    assert megabytes(1_480_000_000) == "1.48 GB"
    ran, kept = LogStep("", "RUN pip install", False, None), LogStep("", "RUN pip install", True, None)
    slow, quick = Built("1", 30.0, (ran,)), Built("1", 0.4, (kept,))
    assert row("rebuild", side(rebuilt=slow), side(rebuilt=quick)).verdict is Verdict.BETTER
    assert row("rebuild", side(rebuilt=quick), side(rebuilt=slow)).verdict is Verdict.WORSE
    busy = quick._replace(seconds=30.0)
    assert row("rebuild", side(rebuilt=quick), side(rebuilt=busy)).verdict is Verdict.SAME, "the machine was busy"
