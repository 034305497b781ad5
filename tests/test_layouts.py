"""Whatever the layout of a Dockerfile: the result is one, a second run is quiet, and what is to be left alone is."""

from __future__ import annotations

import dockerfile as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from dockfix.chain import Settings, run
from dockfix.project.files import MemoryFiles
from dockfix.registry import load_transforms
from dockfix.syntax.dockerfile import parse

TRANSFORMS = load_transforms()
NAMES = tuple(transform.name for transform in TRANSFORMS)
FILES = {
    "app.py": "from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == '__main__':\n    app.run()\n",
    "requirements.txt": "flask==3.1.0\n",
}
COMMANDS = (
    *("pip install flask", "pip install -r requirements.txt", "apt-get update", "apt-get install -y gcc", "cd /srv"),
    *("sudo make", "chown -R app /app", "echo 'pip install x'", "(cd /x; make)", "if [ -f x ]; then pip install y; fi"),
)
INSTRUCTIONS = (
    *("WORKDIR app", "COPY . .", "ADD . /app", "ENV A b c", "ENV A=b C=d", "MAINTAINER me", "EXPOSE 5000", "USER app"),
    *("ENV FLASK_ENV=development", "HEALTHCHECK NONE", "ONBUILD RUN pip install x", "FROM python:3.12 as next"),
    *('ENTRYPOINT ["python"]', "CMD python app.py", 'CMD ["python", "app.py"]', "CMD flask run", "ARG TOKEN=abc"),
)
HEREDOCS = (
    ("RUN <<EOF", "pip install flask", "EOF"),
    ("RUN cat <<A > /x && pip install flask", "FROM no", "A"),
    ("COPY <<'E' /app/x", "# dockfix", "E"),
)
INSIDE = ("", "  ", "# note", "    # it's \\", "\t# a `b`")
RUNS = st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3).map(lambda some: f"RUN {' && '.join(some)}")


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Return a Dockerfile whose instructions go on over lines, with comments and empty lines between, in any case."""
    escape = draw(st.sampled_from("\\\\\\`"))
    lines = ["# escape=`", "# note"] if escape == "`" else ["# note"]  # one line that tells the line ending stays
    body = st.one_of(RUNS, st.sampled_from(INSTRUCTIONS), st.sampled_from(HEREDOCS))
    for one in ["FROM python:3.12", *draw(st.lists(body, max_size=6))]:
        lines += draw(st.lists(st.sampled_from(("", "# note", "  ", "\t# RUN x \\")), max_size=1))
        if isinstance(one, tuple):
            lines += one
            continue
        keyword, *words = one.split(" ")
        line = draw(st.sampled_from((keyword, keyword.lower())))
        quoted = False
        for word in words:
            if not quoted and draw(st.integers(0, 4)) == 0:
                lines.append(line + draw(st.sampled_from((" ", "\t"))) + escape + draw(st.sampled_from(("", " "))))
                lines += draw(st.lists(st.sampled_from(INSIDE), max_size=2))
                line = f"    {word}"
            else:
                line += f" {word}"
            quoted ^= (word.count("'") + word.count('"')) % 2 == 1
        lines.append(line)
    newline = draw(st.sampled_from(("\n", "\r\n")))
    text = newline.join(lines) + draw(st.sampled_from(("", newline, f" {escape}{newline}", f" {escape}{newline}# end")))
    return draw(st.sampled_from(("", "\ufeff"))) + text


def accepted(text: str) -> bool:
    try:
        oracle.parse_string(text)
    except oracle.GoParseError:
        return False
    return True


@settings(deadline=None, derandomize=True, max_examples=150)
@given(dockerfiles())
def test_the_chain_over_any_layout(text: str) -> None:
    if not accepted(text):
        return
    result = run(MemoryFiles({**FILES, "Dockerfile": text}), ["Dockerfile"], Settings(TRANSFORMS))
    after = result.after.get("Dockerfile", text)
    assert not [failure for failure in result.failures if failure.transform]
    assert accepted(after)
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    if "\r\n" in text:
        assert after.count("\n") == after.count("\r\n")
    again = run(MemoryFiles({**FILES, "Dockerfile": text, **result.after}), ["Dockerfile"], Settings(TRANSFORMS))
    assert not again.fixes


@settings(deadline=None, derandomize=True, max_examples=100)
@given(dockerfiles(), st.integers(0, 7))
def test_an_instruction_that_is_to_be_left_alone_keeps_its_bytes(text: str, number: int) -> None:
    if not accepted(text):
        return
    instructions = parse(text).instructions
    chosen = instructions[number % len(instructions)]
    newline = "\r\n" if "\r\n" in text else "\n"
    commented = f"{text[: chosen.start]}# dockfix: ignore={','.join(NAMES)}{newline}{text[chosen.start :]}"
    files = MemoryFiles({**FILES, "Dockerfile": commented})
    result = run(files, ["Dockerfile"], Settings(TRANSFORMS, known=NAMES))
    assert not result.failures
    assert text[chosen.start : chosen.text_end] in result.after.get("Dockerfile", commented)
