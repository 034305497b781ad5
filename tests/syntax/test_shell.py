"""The shell reader, compared with shfmt's parser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockfix.syntax.dockerfile import parse
from dockfix.syntax.logical import Logical
from dockfix.syntax.shell import Script, ShellError, read_shell

SHFMT = shutil.which("shfmt", path=str(Path(sys.executable).parent)) or shutil.which("shfmt")
Spans = tuple[tuple[int, int], ...]


def read(text: str) -> Script:
    return read_shell(Logical(text, ((0, 0, len(text)),)))


def our_commands(text: str) -> list[Spans] | None:
    """The spans of assignments and words of every command, None where the reader refuses."""
    try:
        commands = read(text).commands
    except ShellError:
        return None
    spans = (tuple((word.start, word.end) for word in (*command.assignments, *command.words)) for command in commands)
    return sorted(span for span in spans if span)


def shfmt_commands(text: str) -> list[Spans] | None:
    assert SHFMT
    data = text.encode("utf-8", "surrogateescape")
    result = subprocess.run([SHFMT, "--to-json"], input=data, capture_output=True, check=False)
    if result.returncode:
        return None
    offsets = {len(text[:at].encode("utf-8", "surrogateescape")): at for at in range(len(text) + 1)}
    if text.isascii():
        offsets = {at: at for at in range(len(text) + 1)}

    def span(node: Any) -> tuple[int, int]:
        return offsets[node["Pos"].get("Offset", 0)], offsets[node["End"].get("Offset", 0)]

    def walk(node: Any) -> Iterator[Spans]:
        if isinstance(node, list):
            for item in node:
                yield from walk(item)
        elif isinstance(node, dict):
            if node.get("Type") in ("CallExpr", "DeclClause"):
                variant = [span(node["Variant"])] if "Variant" in node else []
                assigns = [span(item) for item in node.get("Assigns", [])]
                yield (*variant, *assigns, *(span(item) for item in node.get("Args", [])))
            for value in node.values():
                yield from walk(value)

    return sorted(found for found in walk(json.loads(result.stdout)) if found)


EXAMPLES = [
    "apt-get update && apt-get install -y curl git || exit 1; rm -rf /var/lib/apt/lists/*",
    "echo 'a b' \"c $d ${e:-f} $(g h | i)\" $'x\\'y' z\\ z a\"b\"'c'",
    'FOO=1 BAR="$(date)" make -j$(nproc) > log 2>&1 < in',
    "if [ -f x ]; then a; elif b; then c; else d; fi && e",
    'for f in *.txt a $(ls); do cat "$f"; done | sort',
    "while read -r line; do echo $line; done < file",
    "until a; do b; done; (cd x && make) && { c; d; } > out",
    "case $x in a|b) one ;; (c) two;; *) three; esac; four",
    "f() { a; b; }; function g { c; }; f; g",
    'cat <<EOF > f\nhi $(ls) "quoted\n`pwd`\nEOF\nnext\n',
    "cat <<'EOF' | tee f && next\n$(not a command) `neither\nEOF\nlast",
    "cat <<-EOF\n\tx\n\tEOF\nlast <<A; cat <<B\na\nA\nb\nB\n",
    "a &\nb # comment && c\n# d\n\n e",
    "echo a#b $((1 + (2 * 3))) ${x%%.*} ${#x} ${x//a/b} $? $# $$",
    "[[ $x == y && -f z ]] && b; ! c; time d",
    "x=`echo a | tr a b` && echo `pwd`/`ls`",
    "a |& b &> c; d <<< word; diff <(e) <(f g)",
    'x=(1 2 $(three)) && export A=1 B="$(c)"',
    "a && \\\n  b \\\n  c",
    "pip install 'a>=1' \"b[c]\" d[e]",
    "find . -name '*.pyc' -exec rm {} \\; -o -type d",
    "sed -i \"s/^#//\" x && awk '{print $1}' y",
    'set -eux; \\\n\tdpkg="$(dpkg --print-architecture)"; \\\n\tcase "${dpkg##*-}" in amd64) a=\'x\';; *) b;; esac; c',
    'echo "$(echo "$(echo "deep")")"',
    "echo ünï 'é' && ß",
]
REFUSED = [
    "a &&", "&& a", "a ;; b", "(a", "a)", "echo 'a", 'echo "a', "if a; then b", "fi", "a | | b", "case x in", "${",
    "{> f",
    "echo $(a", "f() {", "cat <<EOF\nx\n", "{ a }", "for x in a; b; done", "a ( b )", "then", "echo `a", "; a",
    "a\r\nb", "if ; then a; fi", "a > ", "echo ${x",
]  # fmt: skip


@pytest.mark.parametrize("text", EXAMPLES)
def test_reads_the_same_words_as_shfmt(text: str) -> None:
    ours = our_commands(text)
    assert ours is not None
    assert ours == shfmt_commands(text)


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_what_is_no_shell(text: str) -> None:
    with pytest.raises(ShellError):
        read(text)


def test_commands_know_their_operators_and_their_depth() -> None:
    script = read("a && (b | c); d $(e)")
    assert [(c.name, c.before, c.after, c.depth, c.substitution) for c in script.commands] == [
        ("a", "", "&&", 0, False),
        ("b", "", "|", 1, False),
        ("c", "|", "", 1, False),
        ("d", ";", "", 0, False),
        ("e", "", "", 1, True),
    ]
    assert not script.simple
    assert read("a && b | c; d $(e) &").simple


def test_values_are_known_only_without_expansions() -> None:
    command = read("""a 'b c' "d\\"e" f\\ g $h "i$j" *.k ~/l m{1,2} n""").commands[0]
    assert command.argv == ("a", "b c", 'd"e', "f g", None, None, None, None, None, "n")


def test_spans_lead_to_the_file_across_continuations() -> None:
    text = "FROM a\nRUN one && \\\n  # why\n  two three\n"
    script = read_shell(parse(text).instructions[1].arguments)
    start, end = script.span(script.commands[1])
    assert text[start:end] == "two three"


def test_deep_nesting_and_long_texts_are_no_trouble() -> None:
    with pytest.raises(ShellError):
        read("$(" * 5000)
    assert len(read("a b 'c' \"$d\";" * 20000).commands) == 20000


PIECES = st.sampled_from(
    ["a", "b", " ", " ", "'", '"', "$", "(", ")", "{", "}", "`", "&&", "||", ";", "|", "\n", "if ", "then ", "fi",
     "<<E\n", "E\n", "> f", "#", "\\a", "$(", "${x", "x=", "do ", "done", "for x in ", "case x in ", "esac", "a)", ";;"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_never_disagrees_with_shfmt_where_it_is_sure(text: str) -> None:
    ours = our_commands(text)
    if ours is not None:
        theirs = shfmt_commands(text)
        assert theirs is not None, "shfmt refuses"
        assert ours == theirs


@given(st.text(max_size=60))
def test_raises_nothing_but_shell_errors(text: str) -> None:
    our_commands(text)
