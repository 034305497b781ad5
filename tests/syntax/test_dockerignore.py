"""What .dockerignore patterns match, by the rules of moby's patternmatcher."""

from __future__ import annotations

import time

import pytest

from dockfix.syntax.dockerignore import read_dockerignore

CASES = [
    # pattern lines, path, ignored
    ("notes", "notes", True),
    ("notes", "notes/a.txt", True),
    ("notes", "deep/notes", False),
    ("notes", "notes2", False),
    ("notes/", "notes", True),
    ("notes/", "notes/a", True),
    ("/notes", "notes", True),
    ("/notes/", "notes/x/y", True),
    ("./notes", "notes", True),
    ("a/./b", "a/b", True),
    ("a/../b", "b", True),
    ("a//b", "a/b", True),
    ("/../b", "b", True),
    ("../b", "b", False),
    ("  notes  ", "notes", True),
    ("*", "a", True),
    ("*", "a/b", True),
    ("*", ".hidden", True),
    ("*.log", "x.log", True),
    ("*.log", "dir/x.log", False),
    ("*.log", "x.log.txt", False),
    ("*/x.log", "dir/x.log", True),
    ("*/x.log", "a/b/x.log", False),
    ("dir/*", "dir/a", True),
    ("dir/*", "dir", False),
    ("dir/*", "dir/a/b", True),
    ("di*r", "dir", True),
    ("di*r", "di/r", False),
    ("**", "a", True),
    ("**", "a/b/c", True),
    ("**/", "a/b", True),
    ("**/x", "x", True),
    ("**/x", "a/x", True),
    ("**/x", "a/b/x", True),
    ("**/x", "a/bx", False),
    ("**/x", "a/x/y", True),
    ("**x", "ax", True),
    ("**x", "a/bx", True),
    ("a/**", "a/b/c", True),
    ("a/**", "a", False),
    ("a**", "abc/d", True),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("a/**/z", "a/b/zz", False),
    ("**/*.py[cod]", "m.pyc", True),
    ("**/*.py[cod]", "a/b/m.pyo", True),
    ("**/*.py[cod]", "a/m.py", False),
    ("**/**/x", "a/x", True),
    ("?.txt", "a.txt", True),
    ("?.txt", "ab.txt", False),
    ("a?b", "a/b", False),
    ("[a-c].txt", "b.txt", True),
    ("[a-c].txt", "d.txt", False),
    ("[^a-c].txt", "d.txt", True),
    ("[^a-c].txt", "a.txt", False),
    (r"\*.txt", "*.txt", True),
    (r"\*.txt", "a.txt", False),
    (r"\!a", "!a", True),
    (r"a\?b", "a?b", True),
    ("a.b", "axb", False),
    ("a+(b)|{c}$", "a+(b)|{c}$", True),
    ("# notes", "# notes", False),
    (" # notes", "# notes", True),
    ("", "a", False),
    (".", "a", False),
    ("é", "é", True),
    ("\ufeffnotes", "notes", True),
    ("notes\r\nx\r\n", "notes", True),
    ("notes\r\nx\r\n", "x", True),
    ("a\n!a", "a", False),
    ("!a\na", "a", True),
    ("dir\n!dir/keep", "dir/keep", False),
    ("dir\n!dir/keep", "dir/other", True),
    ("dir\n!dir/keep\ndir/keep/x", "dir/keep/x", True),
    ("*\n!src\nsrc/*.log", "src/a.log", True),
    ("*\n!src\nsrc/*.log", "src/a.py", False),
    ("**\n!**/*.py", "a/b.py", False),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("! a\n", "a", False),
    ("x\n! x", "x", False),
    ("a^b", "a^b", True),
]


@pytest.mark.parametrize(("text", "path", "expected"), CASES)
def test_ignored(text: str, path: str, expected: bool) -> None:
    assert read_dockerignore(text).ignored(path) is expected


@pytest.mark.parametrize("line", ["!", "[", "[]", "a[", "[a-", "[-]", "[-x]", "[a--b]", "[a-b-c]", "x\\"])
def test_malformed_lines_are_told_and_match_nothing(line: str) -> None:
    file = read_dockerignore(f"a\n{line}\n")
    assert file.malformed is not None
    assert file.malformed.text == line
    assert file.ignored("a")
    assert not file.ignored("x")


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\n\r\n# b\r\n!c", "\ufeffa\n", "\n\n", "a\rb\n", "\udcff\n"])
def test_lines_tile_the_text(text: str) -> None:
    lines = read_dockerignore(text).lines
    position = 0
    for line in lines:
        assert line.text == text[line.start : line.end]
        assert set(text[position : line.start]) <= {"\r", "\n"}
        position = line.end
    assert set(text[position:]) <= {"\r", "\n"}


def test_many_stars_do_not_take_for_ever() -> None:
    file = read_dockerignore("**/**/**/**/**/**/**/**/a\n" + "*" * 40 + "b\n")
    start = time.process_time()
    assert not file.ignored("/".join("x" * 60))
    assert time.process_time() - start < 1
