"""The syntax tree: it loses nothing, and it reads what BuildKit's own parser reads."""

from __future__ import annotations

import re

import dockerfile as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.syntax.dockerfile import Dockerfile, DockerfileSyntaxError, json_strings, parse

ACCEPTED = {
    "comment in a continuation": "FROM a\nRUN b \\\n# note\n  && c\nUSER d\n",
    "blank line in a continuation": "FROM a\nRUN b \\\n\n  && c\nUSER d\n",
    "two backslashes end the line": "FROM a\nENV b=c\\\\\nUSER d\n",
    "white space behind a continuation": "FROM a\nRUN b \\  \n  c\n",
    "continuation into the end of the file": "FROM a\nRUN b \\\n",
    "directive behind a comment is a comment": "# note\n# escape=`\nFROM a\nRUN b \\\n c\n",
    "directive behind a blank line is a comment": "\n# escape=`\nFROM a\nRUN b \\\n c\n",
    "escape by a backtick": "# escape=`\nFROM a\nRUN b `\n c\\\nUSER d\n",
    "heredoc": "FROM a\nRUN <<EOF\nFROM b\nEOF\nUSER d\n",
    "two heredocs": "FROM a\nCOPY <<A <<B /d/\na\nA\nb\nB\nUSER d\n",
    "quoted heredoc": "FROM a\nRUN <<'EOF'\n$@\nEOF\n",
    "chomped heredoc": "FROM a\nRUN <<-EOF\n\tb\n\tEOF\nUSER d\n",
    "terminator with CRLF": "FROM a\r\nRUN <<EOF\r\nb\r\nEOF\r\nUSER d\r\n",
    "no heredoc in CMD": "FROM a\nCMD cat <<EOF\nUSER d\n",
    "no heredoc in JSON": 'FROM a\nRUN ["cat", "<<EOF"]\nUSER d\n',
    "no heredoc in quotes": 'FROM a\nRUN echo "<<EOF"\nUSER d\n',
    "no heredoc glued to a word": "FROM a\nRUN echo a<<EOF\nUSER d\n",
    "no heredoc in a here-string": "FROM a\nRUN cat <<<EOF\nUSER d\n",
    "no final newline": "FROM a\nUSER d",
    "byte order mark": "\ufeffFROM a\nUSER d\n",
    "trigger": "FROM a\nONBUILD RUN b \\\n  c\nUSER d\n",
    "flags": "FROM --platform=linux/amd64 a AS b\nCOPY --from=b --chown=c:d e f\n",
    "lower case": "from a\nrun b\n",
}


def same_as_oracle(text: str, tree: Dockerfile) -> None:
    # For a lone continuation character the oracle gives a command without a name.
    expected = [command for command in oracle.parse_string(text) if command.cmd]
    ours = [(node.keyword, node.line, node.end_line) for node in tree.instructions]
    assert ours == [(command.cmd.upper(), command.start_line, command.end_line) for command in expected]
    for node, command in zip(tree.instructions, expected, strict=True):
        if node.keyword != "ONBUILD":
            shown = [f"--{f.name}" if f.value is None else f"--{f.name}={f.value}" for f in node.flags]
            assert shown == list(command.flags)


def tiles(text: str, tree: Dockerfile) -> None:
    assert "".join(tree.raw(node) for node in tree.nodes) == text.removeprefix("\ufeff")


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_reads_what_buildkit_reads(text: str) -> None:
    tree = parse(text)
    tiles(text, tree)
    same_as_oracle(text, tree)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM a\nRNU b\n", 2),
        ("FROM a\n\nRUN <<EOF\nb\n", 3),
        ("FROM a\nENV b\n", 2),
        ("# escape=x\nFROM a\n", 1),
        ("# escape=`\n# escape=`\nFROM a\n", 2),
    ],
)
def test_refuses_with_the_line(text: str, line: int) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a\nCOPPY b c\n", "unknown instruction: COPPY (did you mean COPY?)"),
        ("FROM a\nfoo\n", "unknown instruction: foo"),
        ("FROM a\nRUN b\n  && c\n", "the line above"),
        ("<<<<<<< HEAD\nFROM a\n=======\nFROM b\n>>>>>>> c\n", "a merge conflict that is not resolved"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "`git lfs pull` fetches it"),
    ],
)
def test_says_what_may_be_meant(text: str, message: str) -> None:
    with pytest.raises(DockerfileSyntaxError, match=re.escape(message)):
        parse(text)


def test_empty_file_has_no_nodes() -> None:
    assert parse("").nodes == ()


LINES = st.lists(
    st.sampled_from(
        ["FROM a", "RUN b", "RUN b \\", "  c \\", "# n", "", "  ", "USER d", "COPY --from=a b c", "RUN <<E", "E",
         "ENV a=b \\", "CMD [\"a\"]", "ENV a=b\\\\", "\\", "ONBUILD RUN x \\", "# escape=`", "RUN b `"]
    ),
    max_size=12,
)  # fmt: skip


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_agrees_on_generated_files(lines: list[str], newline: str, final: bool) -> None:
    text = newline.join(["FROM a", *lines]) + (newline if final else "")
    try:
        tree = parse(text)
    except DockerfileSyntaxError:
        return
    tiles(text, tree)
    try:
        oracle.parse_string(text)
    except oracle.GoParseError:
        return
    same_as_oracle(text, tree)


@given(st.text(max_size=200))
def test_raises_nothing_else(text: str) -> None:
    try:
        tree = parse(text)
    except DockerfileSyntaxError:
        return
    tiles(text, tree)


@given(LINES)
def test_logical_text_leads_back_to_the_file(lines: list[str]) -> None:
    try:
        tree = parse("\n".join(lines))
    except DockerfileSyntaxError:
        return
    for node in tree.instructions:
        for offset, char in enumerate(node.value):
            start, end = node.arguments.raw_span(offset, offset + 1)
            assert tree.text[start:end] == char


def test_an_escaped_half_of_a_surrogate_pair_is_no_byte() -> None:
    assert json_strings('["\\ud800 \\udc80", "\\ud83d\\ude00"]') == (
        "\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}",
        "\U0001f600",
    )
