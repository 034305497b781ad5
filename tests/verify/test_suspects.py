"""Which transform is tried first when something breaks."""

from __future__ import annotations

from collections.abc import Mapping

from dockfix.project.files import MemoryFiles
from dockfix.records import replace
from dockfix.result import Done, Result
from dockfix.transform import Safety
from dockfix.verify.build import Built
from dockfix.verify.buildlog import LogStep
from dockfix.verify.mend import likeliest_first
from dockfix.verify.plan import make_plan
from dockfix.verify.result import Row, Side, Verdict

BEFORE = "FROM python\nCOPY . .\nRUN pip install flask\nCMD python app.py\n"
PARTS: Mapping[str, tuple[str, str]] = {
    "an-ignore-file": ("", ""),
    "a-cache-option": ("pip install flask", "pip install --no-cache-dir flask"),
    "a-server": ("CMD python app.py", 'CMD ["gunicorn", "app:app"]'),
    "a-user": ("CMD", "USER app\nCMD"),
}


def result(names: tuple[str, ...]) -> Result:
    """Return what the transforms of these names make."""
    text = BEFORE
    for name in names:
        text = text.replace(*PARTS[name], 1) if PARTS[name][0] else text
    after = {"Dockerfile": text} if text != BEFORE else {}
    files = {name: (".dockerignore",) if name == "an-ignore-file" else ("Dockerfile",) for name in names}
    if "an-ignore-file" in names:
        after[".dockerignore"] = "data\n"
    fixes = tuple(Done(name, "Dockerfile", 1, name, Safety.SAFE, (), files[name]) for name in names)
    return replace(Result(), before=dict.fromkeys(after, BEFORE), after=after, fixes=fixes)


def suspects(row: Row, failed: str | None = None) -> list[str]:
    names = tuple(PARTS)
    plan = make_plan(MemoryFiles({"Dockerfile": BEFORE}), "Dockerfile", {})
    step = LogStep("", failed, False, None) if failed else None
    side = Side(plan, Built(None if failed else "sha256:1", 1.0, (), step), None, (), None)

    def without(left_out: tuple[str, ...]) -> Result:
        return result(tuple(name for name in names if name not in left_out))

    return likeliest_first("Dockerfile", result(names), (row,), side, without)


def worse(what: str, *details: str) -> Row:
    return Row(what, "", "", Verdict.WORSE, details)


def test_the_step_that_fails() -> None:
    assert suspects(worse("builds"), "RUN pip install --no-cache-dir flask")[0] == "a-cache-option"
    assert suspects(worse("builds"), "USER app")[0] == "a-user"


def test_a_file_that_is_not_there() -> None:
    row = worse("builds", '"/data": not found')
    assert suspects(row, "COPY data /data")[0] == "an-ignore-file"


def test_the_row_that_is_worse() -> None:
    assert suspects(worse("starts"))[0] == "a-server"
    assert suspects(worse("user"))[0] == "a-user"
    assert suspects(worse("files"))[0] == "an-ignore-file"


def test_everyone_is_a_suspect() -> None:
    assert sorted(suspects(worse("starts"))) == sorted(PARTS)
