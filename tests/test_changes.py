"""A change set is shown as git would show it, and is written as a whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.changes import Change, WriteError, apply_hunks, diff, hunks, write
from dockfix.syntax.edit import decode, encode

TEXTS = st.text(alphabet="ab\n\r\f\u2028é\udcff ", max_size=60)


def lay_out(root: Path, texts: dict[str, str | None]) -> None:
    for path, text in texts.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(encode(text))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("Dockerfile", "FROM a\nRUN b\n", "FROM a\nRUN c\n"),
        ("Dockerfile", "FROM a\nRUN b", "FROM a\nRUN c"),
        ("Dockerfile", "FROM a\nRUN b", "FROM a\nRUN b\n"),
        ("Dockerfile", "FROM a\r\nRUN b\r\n", "FROM a\r\nRUN c\r\nRUN d\r\n"),
        ("Dockerfile", "FROM a\n# \udcff\udcfe\nRUN b\n", "FROM a\n# \udcff\udcfe\nRUN \udcff\n"),
        ("Dockerfile", "FROM a\n\f\nRUN b\x85\u2028\n", "FROM a\n\f\nRUN c\x85\u2028\n"),
        ("Dockerfile", "\ufeffFROM a\n", "\ufeffFROM b\n"),
        ("Dockerfile", "", "FROM a\n"),
        ("Dockerfile", "FROM a\n", ""),
        (".dockerignore", None, ".git\n"),
        ("deep/er/.dockerignore", None, ".git"),
        ("größe/my Dockerfile", "FROM a\n", "FROM b\n"),
        ('quo"te/back\\slash/Dockerfile', "FROM a\n", "FROM b\n"),
        ("new folder/näme", None, "x\n"),
        ("\udcff/Dockerfile", "FROM a\n", "FROM b\n"),
    ],
)
def test_git_apply_gives_what_writing_gives(tmp_path: Path, path: str, before: str | None, after: str) -> None:
    change = Change(path, before, after)
    for name in ("written", "patched"):
        (tmp_path / name).mkdir()
        lay_out(tmp_path / name, {path: before})
    write(str(tmp_path / "written"), [change])
    subprocess.run(["git", "init", "-q"], cwd=tmp_path / "patched", check=True)
    patch = encode(diff([change]))
    subprocess.run(["git", "apply", "--whitespace=nowarn"], input=patch, cwd=tmp_path / "patched", check=True)
    assert (tmp_path / "patched" / path).read_bytes() == (tmp_path / "written" / path).read_bytes() == encode(after)


@given(TEXTS, TEXTS)
def test_all_hunks_together_are_the_change(before: str, after: str) -> None:
    assert apply_hunks(before, hunks(before, after)) == after


@given(TEXTS, TEXTS)
def test_no_hunk_is_no_change(before: str, after: str) -> None:
    assert apply_hunks(before, []) == before


def test_one_hunk_of_two() -> None:
    before = "".join(f"RUN {number}\n" for number in range(30))
    after = before.replace("RUN 2\n", "RUN two\n").replace("RUN 25\n", "RUN twenty-five\n")
    first, second = hunks(before, after)
    assert apply_hunks(before, [first]) == before.replace("RUN 2\n", "RUN two\n")
    assert apply_hunks(before, [second]) == before.replace("RUN 25\n", "RUN twenty-five\n")


def test_mode_is_kept(tmp_path: Path) -> None:
    lay_out(tmp_path, {"entrypoint.sh": "a\n"})
    (tmp_path / "entrypoint.sh").chmod(0o754)
    write(str(tmp_path), [Change("entrypoint.sh", "a\n", "b\n")])
    assert stat.S_IMODE((tmp_path / "entrypoint.sh").stat().st_mode) == 0o754


def test_a_file_changed_by_someone_else_stops_the_whole_set(tmp_path: Path) -> None:
    lay_out(tmp_path, {"Dockerfile": "FROM a\n", "app.py": "someone else's\n"})
    with pytest.raises(WriteError, match=r"app\.py.*someone else"):
        write(str(tmp_path), [Change("Dockerfile", "FROM a\n", "FROM b\n"), Change("app.py", "mine\n", "new\n")])
    assert (tmp_path / "Dockerfile").read_text() == "FROM a\n"
    assert sorted(os.listdir(tmp_path)) == ["Dockerfile", "app.py"]


def test_a_new_file_that_exists_by_now_stops_the_whole_set(tmp_path: Path) -> None:
    lay_out(tmp_path, {".dockerignore": "theirs\n"})
    with pytest.raises(WriteError):
        write(str(tmp_path), [Change("deep/new", None, "x"), Change(".dockerignore", None, "mine\n")])
    assert sorted(os.listdir(tmp_path)) == [".dockerignore"]


def test_a_failure_halfway_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, {"a": "1\n", "c": "1\n"})
    replace, calls = os.replace, []

    def failing(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("dockfix.changes.os.replace", failing)
    with pytest.raises(WriteError, match=r"c: cannot be written: No space left on device"):
        write(str(tmp_path), [Change("a", "1\n", "2\n"), Change("b/new", None, "2\n"), Change("c", "1\n", "2\n")])
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]
    assert (tmp_path / "a").read_text() == "1\n"


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    lay_out(tmp_path, {"outside": "1\n", "repository/Dockerfile": "FROM a\n"})
    (tmp_path / "repository/link").symlink_to("../outside")
    with pytest.raises(WriteError, match="symbolic link"):
        write(str(tmp_path / "repository"), [Change("link", "1\n", "2\n")])
    assert (tmp_path / "outside").read_text() == "1\n"


def test_a_link_within_the_repository_stays_a_link(tmp_path: Path) -> None:
    lay_out(tmp_path, {"docker/Dockerfile": "FROM a\n"})
    (tmp_path / "Dockerfile").symlink_to("docker/Dockerfile")
    write(str(tmp_path), [Change("Dockerfile", "FROM a\n", "FROM b\n")])
    assert (tmp_path / "Dockerfile").is_symlink()
    assert (tmp_path / "docker/Dockerfile").read_text() == "FROM b\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, {"Dockerfile": "FROM a\n"})
    (tmp_path / "Dockerfile").chmod(0o444)
    with pytest.raises(WriteError, match="read-only"):
        write(str(tmp_path), [Change("Dockerfile", "FROM a\n", "FROM b\n")])


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    data = b"FROM a\n# \xff\xfe\x80\n"
    (tmp_path / "Dockerfile").write_bytes(data)
    write(str(tmp_path), [Change("Dockerfile", decode(data), decode(data) + "RUN b\n")])
    assert (tmp_path / "Dockerfile").read_bytes() == data + b"RUN b\n"
