"""The command as people and programs run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_transforms import BOTH, TEXT, TRANSFORM


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Return the options that run only the two transforms above."""
    path = tmp_path / "own.py"
    path.write_text(TRANSFORM)
    return str(path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / "Dockerfile").write_text(TEXT)
    return root


def dockfix(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command; fail where it shows a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", "from dockfix.cli.main import main; main()", *args],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def both(own: str) -> list[str]:
    return ["--transform", own, "--select", "say-uno,say-due"]


def test_the_default_shows_the_diff_and_writes_nothing(repository: Path, own: str) -> None:
    done = dockfix(*both(own), cwd=repository)
    assert done.returncode == 1
    assert "-RUN one\n+RUN uno" not in done.stdout
    assert "-RUN one\n-RUN two\n+RUN uno\n+RUN due\n" in done.stdout
    assert "Dockerfile:2: Say uno" in done.stdout
    assert "Dockerfile:3: Say due  [review]" in done.stdout
    assert "look twice" in done.stdout
    assert "Dockerfile:1: the last line is holy" in done.stdout
    assert "\x1b" not in done.stdout
    assert (repository / "Dockerfile").read_text() == TEXT


def test_write_writes_and_a_second_run_is_quiet(repository: Path, own: str) -> None:
    assert dockfix("--write", *both(own), cwd=repository).returncode == 0
    assert (repository / "Dockerfile").read_text() == BOTH
    done = dockfix("--diff", *both(own), cwd=repository)
    assert done.returncode == 0
    assert "Nothing to change." in done.stdout


def test_check_is_one_line_a_file(repository: Path, own: str) -> None:
    (repository / "Dockerfile.done").write_text(BOTH)
    done = dockfix("--check", *both(own), cwd=repository)
    assert done.stdout == "Dockerfile: would change: say-due, say-uno\nDockerfile.done: nothing to change\n"
    assert done.returncode == 1


def test_safe_only(repository: Path, own: str) -> None:
    dockfix("--write", "--safe-only", *both(own), cwd=repository)
    assert (repository / "Dockerfile").read_text() == TEXT.replace("one", "uno")


def test_the_patch_is_what_git_applies(repository: Path, own: str) -> None:
    patch = dockfix("--format", "patch", *both(own), cwd=repository).stdout
    subprocess.run(["git", "apply"], input=patch, text=True, cwd=repository, check=True)
    assert (repository / "Dockerfile").read_text() == BOTH


def test_json_tells_everything(repository: Path, own: str) -> None:
    done = dockfix("--format", "json", *both(own), "Dockerfile", "missing", cwd=repository)
    result = json.loads(done.stdout)
    assert done.returncode == 2
    assert result["version"] == 1
    assert [(file["path"], file["changed"]) for file in result["files"]] == [("Dockerfile", True)]
    assert [(fix["transform"], fix["line"], fix["safety"]) for fix in result["fixes"]] == [
        ("say-due", 3, "review"),
        ("say-uno", 2, "safe"),
    ]
    assert [(skip["path"], skip["line"]) for skip in result["skips"]] == [("Dockerfile", 1)]
    assert [error["path"] for error in result["errors"]] == ["missing"]


def test_a_folder_for_the_output_that_is_not_there_is_said_before_anything_is_written(
    repository: Path, own: str
) -> None:
    for output, reason in (("missing/result.json", "there is no folder missing"), (".", "it is a folder")):
        done = dockfix("--write", "--output", output, *both(own), cwd=repository)
        assert done.returncode == 2
        assert done.stderr == f"dockfix: {output}: cannot be written: {reason}\n"
    assert (repository / "Dockerfile").read_text() == TEXT


def test_a_dash_is_the_screen(repository: Path, own: str) -> None:
    done = dockfix("--format", "json", "--output", "-", *both(own), cwd=repository)
    assert json.loads(done.stdout)["version"] == 1
    assert sorted(os.listdir(repository)) == [".git", "Dockerfile"]


def test_paths_are_as_seen_from_here(repository: Path, own: str) -> None:
    (repository / "deep/er").mkdir(parents=True)
    (repository / "deep/er/Dockerfile").write_text(TEXT)
    (repository / "deep/Dockerfile.bad").write_text("FROM a\nBOGUS b\n")
    done = dockfix("--check", *both(own), cwd=repository / "deep")
    assert done.stdout == "er/Dockerfile: would change: say-due, say-uno\n"
    assert done.stderr.startswith("dockfix: Dockerfile.bad:2: unknown instruction: BOGUS")
    shown = dockfix("--diff", *both(own), "er", cwd=repository / "deep").stdout
    assert "er/Dockerfile:2: Say uno" in shown
    notes = dockfix("--format", "github", *both(own), "er", cwd=repository / "deep").stdout
    assert "file=deep/er/Dockerfile,line=2" in notes


def test_a_mistake_in_the_configuration_gives_no_verdict_on_files(repository: Path, own: str) -> None:
    done = dockfix("--check", "--transform", own, "--select", "say-one", cwd=repository)
    assert done.stdout == ""
    assert done.returncode == 2


def test_output_goes_to_a_file(repository: Path, own: str) -> None:
    done = dockfix("--format", "json", "--output", "result.json", *both(own), cwd=repository)
    assert not done.stdout
    assert json.loads((repository / "result.json").read_text())["version"] == 1


def test_configuration_chooses_and_sets_options(repository: Path, own: str) -> None:
    (repository / "pyproject.toml").write_text(
        '[tool.dockfix]\nselect = ["say-uno"]\n[tool.dockfix.say-uno]\nword = "1"\n'
    )
    dockfix("--write", "--transform", own, cwd=repository)
    assert (repository / "Dockerfile").read_text() == TEXT.replace("one", "1")


def test_what_the_configuration_leaves_out_stays_out_and_is_named(repository: Path, own: str) -> None:
    (repository / "dockfix.toml").write_text('ignore = ["say-uno"]\n')
    done = dockfix("--write", "--transform", own, "--select", "say-uno", cwd=repository)
    assert "dockfix.toml: it is left out: the configuration's ignore names it" in done.stdout
    assert (repository / "Dockerfile").read_text() == TEXT


def test_json_does_not_call_written_what_was_not(repository: Path, own: str, tmp_path: Path) -> None:
    meddling = tmp_path / "meddling.py"
    meddling.write_text(
        TRANSFORM.replace(
            '    """Say uno."""', f'    """Say uno."""\n    open({str(repository / "Dockerfile")!r}, "a").write("#")'
        )
    )
    options = ["--write", "--format", "json", "--transform", str(meddling), "--select", "say-uno"]
    done = dockfix(*options, cwd=repository)
    result = json.loads(done.stdout)
    assert done.returncode == 2
    assert (result["written"], result["files"]) == (False, [])
    assert "someone else" in result["errors"][0]["message"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("selct = []", "dockfix.toml:1: unknown key: selct (did you mean select?)"),
        ("safe_only = true", "did you mean safe-only?"),
        ('select = ["nope"]', "nope"),
        (
            'safe-only = true\nignore = ["Say_Uno"]',
            "dockfix.toml:2: unknown transform: Say_Uno (did you mean say-uno?)",
        ),
        ("[sayuno]\nword = 'x'", "dockfix.toml:1: unknown transform: sayuno (did you mean say-uno?)"),
        ("select = 1", "list"),
        ("safe-only = 1", "true or false"),
        ("[say-uno]\nwrod = 'x'", "dockfix.toml:2: unknown option: say-uno.wrod (did you mean word?)"),
        ("[pip-no-cache-dir]\nstyle = 'mount'", "dockfix.toml:2: pip-no-cache-dir.style must be one of 'option', "),
        ("[say-uno]\nword = 1", "say-uno.word must be a str"),
        ("[nope]", "nope"),
        ("[tool.dockfix]\nselect = 1", "dockfix.toml:2: select must be a list"),
        ("[", "is no TOML"),
        ("a = 1\nb =\n", "dockfix.toml:2: is no TOML"),
        ("a = 1\n# \udcff", "dockfix.toml:2: is not UTF-8"),
    ],
)
def test_what_is_unknown_in_the_configuration_is_an_error(
    repository: Path, own: str, config: str, message: str
) -> None:
    (repository / "dockfix.toml").write_text(config, encoding="utf-8", errors="surrogateescape")
    done = dockfix("--write", "--transform", own, cwd=repository)
    assert done.returncode == 2
    assert "dockfix.toml" in done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (repository / "Dockerfile").read_text() == TEXT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no instruction"),
        (b"RUN one\n", "FROM"),
        (b"FROM a\nBOGUS b\n", "Bad:2: unknown instruction: BOGUS"),
        (b"FROM a\nRUN <<EOF\n", "Bad:2: unterminated heredoc EOF"),
        (b"\x7fELF\0\0\1\xff", "binary"),
        (b"FROM a\n" + b"# comment\n" * 500_000, "Bad: cannot be read: larger than 2 MB"),
        (
            b"FROM a\n# dockfix: ignore=say-unno\nRUN one\n",
            "Bad:2: unknown transform: say-unno (did you mean say-uno?)",
        ),
    ],
    ids=["empty", "no FROM", "unknown instruction", "heredoc", "binary", "5 MB", "misspelt ignore"],
)
def test_a_bad_file_is_one_line_on_stderr_and_the_others_are_done(
    repository: Path, own: str, data: bytes, message: str
) -> None:
    (repository / "Dockerfile.Bad").write_bytes(data)
    done = dockfix("--write", *both(own), cwd=repository)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (repository / "Dockerfile").read_text() == BOTH
    assert (repository / "Dockerfile.Bad").read_bytes() == data


def test_paths_that_cannot_be_used(repository: Path, own: str) -> None:
    (repository / "empty").mkdir()
    (repository / "loop").symlink_to("loop")
    (repository / "dangling").symlink_to("missing")
    (repository / "outside").symlink_to("/etc/hostname")
    os.mkfifo(repository / "pipe")
    reasons = {
        "missing": "no such file or folder",
        "empty": "no Dockerfile in this folder",
        "loop": "a symbolic link that leads nowhere",
        "dangling": "a symbolic link that leads nowhere",
        "outside": "a symbolic link that leads out of the repository",
        "pipe": "no regular file",
        "/dev/null": "no regular file",
    }
    for path, reason in reasons.items():
        done = dockfix("--diff", *both(own), path, cwd=repository)
        assert done.returncode == 2
        assert re.fullmatch(rf"dockfix: {path}: (cannot be read: )?{reason}.*\n", done.stderr)


def test_a_path_that_is_not_utf_8(repository: Path, own: str) -> None:
    folder = os.fsencode(repository) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/Dockerfile", "wb") as file:
        file.write(TEXT.encode())
    for form in ("text", "patch", "json"):
        assert dockfix("--format", form, *both(own), cwd=repository).returncode == 1
    assert dockfix("--write", *both(own), cwd=repository).returncode == 0
    with open(folder + b"/Dockerfile", encoding="utf-8") as written:
        assert written.read() == BOTH


@pytest.mark.parametrize("form", ["text", "json", "github", "markdown", "sarif", "patch"])
def test_half_a_surrogate_pair_is_shown_as_what_it_is(repository: Path, form: str) -> None:
    escaped = '["\\ud800.sh", "\\udc80"]'
    (repository / "Dockerfile").write_text(f'FROM python:3.12\nCOPY {escaped[:-1]}, "/x/"]\nCMD {escaped}\n')
    assert dockfix("--format", form, cwd=repository).returncode == 1
    assert dockfix("--write", cwd=repository).returncode == 0
    assert escaped.encode() in (repository / "Dockerfile").read_bytes()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("args", [["--diff"], ["--diff", "--format", "json"], ["list"], ["--output", "/dev/full"]])
def test_a_screen_that_is_full(repository: Path, own: str, args: list[str]) -> None:
    command = [sys.executable, "-c", "from dockfix.cli.main import main; main()", *args, "--transform", own]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=repository, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"dockfix: .*No space left on device\n", done.stderr)


@pytest.mark.parametrize(("closed", "status"), [(">&-", 1), ("2>&-", 1), ("<&- >&- 2>&-", 1)])
def test_a_closed_screen(repository: Path, own: str, closed: str, status: int) -> None:
    command = f"{sys.executable} -c 'from dockfix.cli.main import main; main()' --diff --transform {own} {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr == ""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_many_repositories_with_several_processes(tmp_path: Path, own: str, jobs: str) -> None:
    for name in "abc":
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "Dockerfile").write_text(TEXT)
    done = dockfix("--jobs", jobs, "--write", *both(own), "a", "b", "c", cwd=tmp_path)
    assert done.returncode == 0
    assert [(tmp_path / name / "Dockerfile").read_text() for name in "abc"] == [BOTH] * 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--selekt", "x"], "--select"),
        (["--format", "yaml"], "yaml"),
        (["--select", "nope"], "unknown transform: nope"),
        (["--select", "say-unno"], "did you mean say-uno?"),
        (["--config", "nope.toml"], "nope.toml"),
        (["--transform", "nope.py"], "nope.py: no such file"),
        (["--transform", "broken.py"], "broken.py:1: cannot be loaded: SyntaxError"),
        (["--transform", "empty.py"], "empty.py: no transform in it"),
        (["--select", ""], "names no transform"),
        (["--ignore", " , "], "names no transform"),
        (["--check", "--write"], "--write and --check exclude each other"),
        (["--verify", "--write", "--diff"], "--diff and --write exclude each other"),
        (["lsit"], "lsit: no such file or folder (did you mean list?)"),
        ([""], "'': no such file or folder"),
        (["verify", "--select", "nope"], "unknown transform: nope"),
        (["verify", "--output", "missing/table"], "missing/table: cannot be written: there is no folder missing"),
        (["explain", "nope"], "unknown transform: nope"),
        (["explain"], "NAME"),
    ],
)
def test_bad_options_are_one_line_on_stderr(repository: Path, own: str, args: list[str], message: str) -> None:
    (repository / "broken.py").write_text("def\n")
    (repository / "empty.py").write_text("")
    options = [] if args[0] == "explain" else ["--transform", own]
    done = dockfix(*args, *options, cwd=repository)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_list_and_explain(repository: Path, own: str) -> None:
    assert re.search(r"^say-uno +safe +Say uno\.$", dockfix("list", "--transform", own, cwd=repository).stdout, re.M)
    explained = dockfix("explain", "say-uno", "--transform", own, cwd=repository).stdout
    assert "Say uno." in explained
    assert "word = 'uno'" in explained


@pytest.mark.parametrize(
    "args", [["-h"], ["--help"], ["--diff", "--help"], [".", "-h"], ["list", "-h"], ["explain", "-h"]]
)
def test_help(tmp_path: Path, args: list[str]) -> None:
    done = dockfix(*args, cwd=tmp_path)
    assert done.returncode == 0
    assert re.search(r"Usage: dockfix (\[|list|explain)", done.stdout)


def test_help_names_the_options_of_rewriting(tmp_path: Path) -> None:
    text = dockfix("-h", cwd=tmp_path).stdout
    assert all(option in text for option in ("--diff", "--write", "--check", "--safe-only", "--format", "--jobs"))


def test_version(tmp_path: Path) -> None:
    for args in (["--version"], ["--diff", "--version"]):
        assert re.fullmatch(r"dockfix \d+\.\d+\.\d+\n", dockfix(*args, cwd=tmp_path).stdout)
