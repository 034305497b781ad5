"""Repositories on disk: what is seen of them, and what is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.project.disk import (
    DiskFiles,
    OverlayFiles,
    find_dockerfiles,
    git_ignored,
    is_dockerfile_name,
    repository_root,
)
from dockfix.project.files import MemoryFiles


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_pruned_folders(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "src/b.py", ".git/HEAD", "node_modules/x/y.js", "my/pyvenv.cfg", "my/lib/z.py")
    write(tmp_path, "src/__pycache__/b.pyc", ".venv/pyvenv.cfg", "venv/readme")
    files = DiskFiles(tmp_path)
    assert files.paths == {"a.py", "src/b.py", "venv/readme"}
    assert files.below("src") == ("src/b.py",)
    assert files.below("") == ("a.py", "src/b.py", "venv/readme")
    assert files.is_directory("src")
    assert files.is_directory("")
    assert not files.is_directory("a.py")


def test_below_takes_whole_names(tmp_path: Path) -> None:
    write(tmp_path, "a/x", "a-b/x", "a.b", "a0/x", "ab/x")
    assert DiskFiles(tmp_path).below("a") == ("a/x",)


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, "root/real.txt", "root/folder/x", "outside.txt")
    (root / "loop").symlink_to(root)
    (root / "link.txt").symlink_to("real.txt")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "dangling").symlink_to("nowhere")
    files = DiskFiles(root)
    assert files.paths == {"real.txt", "folder/x", "link.txt"}
    assert files.text("link.txt") == "root/real.txt"
    assert files.text("out.txt") is None
    assert files.text("../outside.txt") is None


def test_names_and_contents_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / name).write_bytes(b"\xff\xfe")
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    files = DiskFiles(tmp_path)
    assert files.paths == {name}
    assert files.text(name) == "\udcff\udcfe"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 2_000_001)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    files = DiskFiles(tmp_path)
    assert files.paths == {"large"}
    assert [files.text(path) for path in ("large", "folder", "pipe", "absent", "", "/etc/passwd", "a\0b")] == [None] * 7


def test_one_text_needs_no_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "Dockerfile")
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("walked"))
    assert DiskFiles(tmp_path).text("Dockerfile") == "Dockerfile"


def test_overlay() -> None:
    files = OverlayFiles(MemoryFiles({"a": "1", "b/c": "2"}), {"a": "new", "d/e": "3"})
    assert files.paths == {"a", "b/c", "d/e"}
    assert (files.text("a"), files.text("b/c"), files.text("d/e"), files.text("x")) == ("new", "2", "3", None)
    assert files.is_directory("d")
    assert not files.is_directory("x")
    assert files.below("") == ("a", "b/c", "d/e")


def test_repository_root(tmp_path: Path) -> None:
    write(tmp_path, "r/.git/HEAD", "r/a/b/Dockerfile")
    assert repository_root(tmp_path / "r/a/b/Dockerfile") == str(tmp_path / "r")
    assert repository_root(tmp_path / "r") == str(tmp_path / "r")


@pytest.mark.parametrize(
    "name", ["Dockerfile", "dockerfile", "Containerfile", "Dockerfile.dev", "web.Dockerfile", "Dockerfile-web_3.12"]
)
def test_dockerfile_names(name: str) -> None:
    assert is_dockerfile_name(name)


@pytest.mark.parametrize(
    "name", ["Dockerfile.dockerignore", "Dockerfile.md", "dockerfile.py", "Dockerfiles", "x", "Dockerfile_test.go"]
)
def test_other_names(name: str) -> None:
    assert not is_dockerfile_name(name)


def test_ignored_dockerfiles_are_not_found(tmp_path: Path) -> None:
    write(tmp_path, "Dockerfile", "build/Dockerfile", "node_modules/a/Dockerfile", "a/web.Dockerfile")
    assert git_ignored(tmp_path, ["Dockerfile"]) == set()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("build/\n")
    assert git_ignored(tmp_path, ["Dockerfile", "build/Dockerfile"]) == {"build/Dockerfile"}
    assert find_dockerfiles(tmp_path) == [str(tmp_path / "Dockerfile"), str(tmp_path / "a/web.Dockerfile")]


def test_what_git_ignores_is_known_in_a_repository_of_someone_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Dockerfile", "build/Dockerfile")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("build/\n")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert git_ignored(tmp_path, ["Dockerfile", "build/Dockerfile"]) == {"build/Dockerfile"}


def test_changes_that_do_not_matter_give_the_same_files() -> None:
    base = MemoryFiles({"Dockerfile": "", "compose.yaml": "a"})
    changes = [{"Dockerfile": "2", "compose.yaml": "b"}, {"Dockerfile": "3"}, {"compose.yaml": "c"}]
    files = OverlayFiles(base, {"Dockerfile": "1"})
    stated = [files.stated(str.islower)]
    for change in changes:
        files = files.changed(change, str.islower)
        stated.append(files.stated(str.islower))
    assert stated[0] is base
    assert stated[1] is stated[2]
    assert [one.text("compose.yaml") for one in stated] == ["a", "b", "b", "c"]
    assert [one.text("Dockerfile") for one in stated] == ["", "", "", ""]


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "b.x", "e/f/g", "h"]), st.text(max_size=2))))
def test_changes_one_after_another_are_all_of_them_at_once(changes: list[dict[str, str]]) -> None:
    base = MemoryFiles({"a": "1", "b/c": "2"})
    files = OverlayFiles(base, {})
    together: dict[str, str] = {}
    for change in changes:
        files = files.changed(change, bool)
        together.update(change)
        expected = MemoryFiles({"a": "1", "b/c": "2", **together})
        assert files.paths == expected.paths
        for path in ("", "a", "b", "b/c", "b/d", "e", "e/f", "h"):
            assert files.text(path) == expected.text(path)
            assert files.below(path) == expected.below(path)
            assert files.is_directory(path) == expected.is_directory(path)
