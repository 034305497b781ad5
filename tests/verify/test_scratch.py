"""The copy from which both images are built."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockfix.verify.process import Interrupts
from dockfix.verify.scratch import Scratch


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "app").mkdir(parents=True)
    (folder / "Dockerfile").write_bytes(b"FROM python\r\n# \xff\r\n")
    (folder / "app" / "main.py").write_text("print(1)\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "data").mkdir()
    (folder / "data" / "shop.db").write_text("rows")
    return folder


@pytest.fixture
def scratch(source: Path) -> Iterator[Scratch]:
    made = Scratch(str(source), Interrupts())
    yield made
    made.remove()
    assert not os.path.exists(made.folder)


def listed(scratch: Scratch) -> list[str]:
    root = Path(scratch.root)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_everything_is_copied(scratch: Scratch) -> None:
    scratch.fill(())
    assert listed(scratch) == ["Dockerfile", "app/main.py", "data/shop.db", "link", "run.sh"]
    assert Path(scratch.full("Dockerfile")).read_bytes() == b"FROM python\r\n# \xff\r\n"
    assert os.access(scratch.full("run.sh"), os.X_OK)
    assert os.readlink(scratch.full("link")) == "/etc/passwd", "links are not followed"


def test_what_git_ignores_comes_only_where_it_is_copied(source: Path, scratch: Scratch) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=source, check=True)
    (source / ".gitignore").write_text("data\napp/*.log\n")
    (source / "app" / "noise.log").write_text("x")
    scratch.fill(("data",))
    copied = [path for path in listed(scratch) if not path.startswith(".git/")]
    assert copied == [".gitignore", "Dockerfile", "app/main.py", "data/shop.db", "link", "run.sh"]


def test_texts_are_laid_over_and_taken_back(scratch: Scratch) -> None:
    scratch.fill(())
    scratch.show({"Dockerfile": "FROM other\n", ".dockerignore": "data\n"})
    assert Path(scratch.full("Dockerfile")).read_text() == "FROM other\n"
    assert Path(scratch.full(".dockerignore")).read_text() == "data\n"
    scratch.show({"run.sh": "#!/bin/sh\nexec true\n"})
    assert Path(scratch.full("Dockerfile")).read_bytes() == b"FROM python\r\n# \xff\r\n"
    assert not os.path.exists(scratch.full(".dockerignore"))
    assert os.access(scratch.full("run.sh"), os.X_OK), "the mode stays"


def test_a_touched_file_is_restored(scratch: Scratch) -> None:
    scratch.fill(())
    before = scratch.touch("app/main.py", "# changed\n")
    assert Path(scratch.full("app/main.py")).read_text() == "print(1)\n# changed\n"
    scratch.restore("app/main.py", before)
    assert Path(scratch.full("app/main.py")).read_text() == "print(1)\n"


def test_the_source_is_never_written(source: Path, scratch: Scratch) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file() and not path.is_symlink()}
    scratch.fill(())
    scratch.show({"Dockerfile": "FROM other\n"})
    scratch.touch("app/main.py", "# changed\n")
    assert before == {path: path.read_bytes() for path in source.rglob("*") if path.is_file() and not path.is_symlink()}


def test_removing_touches_nothing_outside(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    parent = tmp_path / "parent"
    parent.mkdir(mode=0o755)
    (source / "away").symlink_to(outside)
    monkeypatch.setattr("tempfile.tempdir", str(parent))
    made = Scratch(str(source), Interrupts())
    made.fill(())
    with monkeypatch.context() as patched:  # the first try fails, as in a folder without the right to write
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        made.remove()
    made.remove()
    made.remove()
    assert not os.path.exists(made.folder)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (outside, parent)] == [0o755, 0o755]


def test_what_cannot_be_written_is_removed_all_the_same(source: Path) -> None:
    (source / "app").chmod(0o555)
    made = Scratch(str(source), Interrupts())
    made.fill(())
    Path(made.full("app")).chmod(0o500)
    made.remove()
    assert not os.path.exists(made.folder)
