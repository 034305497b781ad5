"""Run dockfix over a folder of Dockerfiles and check what must hold for every one of them.

Each file, whatever its name, is taken for a Dockerfile that stands alone, and once more with a made-up context in which
the files are that its instructions name, so that more of the transforms find what they ask for. Checked: the syntax
tree tiles the text and names the instructions, lines and flags that BuildKit's parser names; the chain does not fail;
BuildKit's parser still takes the result; a second run changes nothing; a file without a fix is byte-identical; no
instruction differs in its white space alone. Exits with 1 on any violation.
"""

from __future__ import annotations

import argparse
import posixpath
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dockerfile as oracle

from dockfix.chain import Settings, run
from dockfix.project.files import MemoryFiles
from dockfix.registry import load_transforms
from dockfix.syntax.dockerfile import Dockerfile, DockerfileSyntaxError, parse
from dockfix.syntax.edit import decode

NAME = "Dockerfile"
CONTENTS = {
    ".txt": "flask==3.1.0\npsycopg2==2.9.10\nrequests>=2\n",
    ".py": "from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == '__main__':\n    app.run('0.0.0.0')\n",
    ".sh": "#!/bin/sh\nset -e\npython app.py\n",
    ".toml": "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['flask']\n",
    "poetry.lock": "[[package]]\nname = 'flask'\nversion = '3.1.0'\n",
    "uv.lock": "version = 1\n\n[[package]]\nname = 'flask'\nversion = '3.1.0'\n",
    "Pipfile": "[packages]\nflask = '*'\n",
    "Pipfile.lock": '{"default": {"flask": {"version": "==3.1.0"}}, "develop": {}}\n',
    ".json": "{}\n",
    ".yml": "name: shop\n",
}
"""What a file of a made-up context holds, by its name or ending."""


def main() -> int:
    """Check the folder named on the command line and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder; every file below it is a Dockerfile")
    folder: Path = parser.parse_args().folder
    settings = Settings(load_transforms())
    counts: Counter[str] = Counter()
    transforms: Counter[str] = Counter()
    violations: list[str] = []
    seconds = 0.0
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        text = decode(path.read_bytes())
        started = time.process_time()
        try:
            tree = parse(text)
        except DockerfileSyntaxError:
            counts["refused by the parser"] += 1
            continue
        except Exception as error:
            violations.append(f"{path}: the parser raised {error!r}")
            continue
        finally:
            seconds += time.process_time() - started
        counts["parsed"] += 1
        found = list(check_tree(tree))
        for kind, context in () if found else (("alone", {}), ("in context", made_up(tree))):
            files = {**context, NAME: text}
            started = time.process_time()
            try:
                result = run(MemoryFiles(files), [NAME], settings)
            except Exception as error:
                found.append(f"the chain raised {error!r}")
                continue
            finally:
                seconds += (time.process_time() - started) / 2
            after = result.after.get(NAME, text)
            counts[f"changed {kind}"] += after != text
            for name in {fix.transform for fix in result.fixes}:
                transforms[name] += 1
            counts[f"fixes {kind}"] += len(result.fixes)
            counts[f"refusals {kind}"] += len(result.skips)
            endless = [failure for failure in result.failures if failure.transform or "rounds" in failure.message]
            counts[f"refused by the chain {kind}"] += len(result.failures) > len(endless)
            found += [f"{kind}: failure: {failure}" for failure in endless]
            if after != text:
                found += [f"{kind}: {problem}" for problem in check_result(tree, after, bool(result.fixes))]
            if result.after:
                again = run(MemoryFiles({**files, **result.after}), [NAME], settings)
                if again.fixes:
                    names = ", ".join(fix.transform for fix in again.fixes)
                    found.append(f"{kind}: a second run still changes it: {names}")
        violations += [f"{path}: {message}" for message in found]
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print(f"files by transform: {', '.join(f'{name} {count}' for name, count in sorted(transforms.items()))}")
    print(f"CPU: {seconds * 1000 / max(len(paths), 1):.2f} ms per file")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    for violation in violations:
        print(violation, file=sys.stderr)
    print(f"violations: {len(violations)}")
    return 1 if violations else 0


def made_up(tree: Dockerfile) -> dict[str, str]:
    """Return files for a build context in which the Dockerfile finds what it names."""
    words = {word.strip("\"'[],") for node in tree.instructions for word in node.value.split()}
    files = {"app.py": CONTENTS[".py"], "requirements.txt": CONTENTS[".txt"]}
    for word in sorted(words):
        path = posixpath.normpath(word.lstrip("/")) if word else ""
        content = CONTENTS.get(posixpath.basename(path)) or CONTENTS.get(posixpath.splitext(path)[1])
        if content and re.fullmatch(r"[\w./-]+", path) and ".." not in path and path != NAME:
            files[path] = content
    folders = {folder for path in files for folder in _above(path)}
    return {path: text for path, text in files.items() if path not in folders}


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def check_tree(tree: Dockerfile) -> Iterator[str]:
    """Yield what is wrong with the syntax tree."""
    if "".join(tree.raw(node) for node in tree.nodes) != tree.text.removeprefix("\ufeff"):
        yield "the nodes do not tile the text"
    try:
        commands = [command for command in oracle.parse_string(tree.text) if command.cmd]
    except (oracle.GoParseError, UnicodeEncodeError) as error:
        if isinstance(error, oracle.GoParseError):
            yield f"BuildKit's parser refuses it: {error}"
        return
    ours = [(node.keyword, node.line, node.end_line) for node in tree.instructions]
    if ours != [(command.cmd.upper(), command.start_line, command.end_line) for command in commands]:
        yield "BuildKit's parser sees other instructions"
        return
    for node, command in zip(tree.instructions, commands, strict=True):
        shown = [f"--{flag.name}" if flag.value is None else f"--{flag.name}={flag.value}" for flag in node.flags]
        if node.trigger is None and shown != list(command.flags):
            yield f"line {node.line}: BuildKit's parser sees the flags {list(command.flags)}, not {shown}"


def check_result(before: Dockerfile, text: str, fixed: bool) -> Iterator[str]:
    """Yield what is wrong with the Dockerfile *text* that the chain made."""
    if not fixed:
        yield "it changed, but no fix says so"
    try:
        after = parse(text)
    except DockerfileSyntaxError as error:
        yield f"line {error.line}: the result no longer parses: {error.message}"
        return
    for problem in check_tree(after):
        yield f"in the result: {problem}"
    kept = {_without_blank_lines(after.raw(node)) for node in after.instructions}
    squeezed = {" ".join(raw.split()) for raw in kept}
    for node in before.instructions:
        raw = _without_blank_lines(before.raw(node))
        if raw not in kept and " ".join(raw.split()) in squeezed:
            yield f"line {node.line}: only the white space of the instruction changed"
    if before.text.endswith("\n") != text.endswith("\n"):
        yield "the final newline changed"
    if ("\r\n" in before.text) != ("\r\n" in text):
        yield "the line endings changed"


def _without_blank_lines(text: str) -> str:
    """Return *text* as it is but for blank lines: BuildKit warns of those in a continued instruction."""
    return "\n".join(line for line in text.splitlines() if line.strip())


if __name__ == "__main__":
    sys.exit(main())
