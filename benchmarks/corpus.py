"""Run dockfix over a folder of Dockerfiles and check what must hold for every one of them.

Each file, whatever its name, is taken for a Dockerfile that stands alone. Checked: the syntax tree tiles the text and
names the instructions, lines and flags that BuildKit's parser names; the chain does not fail; BuildKit's parser still
takes the result; a second run changes nothing; a file without a fix is byte-identical. Exits with 1 on any violation.
"""

from __future__ import annotations

import argparse
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


def main() -> int:
    """Check the folder named on the command line and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder; every file below it is a Dockerfile")
    folder: Path = parser.parse_args().folder
    settings = Settings(load_transforms())
    counts: Counter[str] = Counter()
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
        if not found:
            started = time.process_time()
            try:
                result = run(MemoryFiles({NAME: text}), [NAME], settings)
            except Exception as error:
                violations.append(f"{path}: the chain raised {error!r}")
                continue
            finally:
                seconds += time.process_time() - started
            after = result.after.get(NAME, text)
            counts["changed"] += after != text
            counts["fixes"] += len(result.fixes)
            counts["refusals"] += len(result.skips)
            endless = [failure for failure in result.failures if failure.transform or "rounds" in failure.message]
            counts["refused by the chain"] += len(result.failures) > len(endless)
            found += [f"failure: {failure}" for failure in endless]
            if after != text:
                found += check_result(tree, after, bool(result.fixes))
                again = run(MemoryFiles({**result.after, NAME: after}), [NAME], settings)
                if again.fixes:
                    found.append(f"a second run still changes it: {', '.join(fix.transform for fix in again.fixes)}")
        violations += [f"{path}: {message}" for message in found]
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print(f"CPU: {seconds * 1000 / max(len(paths), 1):.2f} ms per file")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    for violation in violations:
        print(violation, file=sys.stderr)
    print(f"violations: {len(violations)}")
    return 1 if violations else 0


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
    if before.text.endswith("\n") != text.endswith("\n"):
        yield "the final newline changed"
    if ("\r\n" in before.text) != ("\r\n" in text):
        yield "the line endings changed"


if __name__ == "__main__":
    sys.exit(main())
