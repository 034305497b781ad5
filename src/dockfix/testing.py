"""Try transforms on texts: for tests, golden cases and the examples in documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dockfix.chain import Settings, run
from dockfix.project.files import MemoryFiles
from dockfix.result import Result
from dockfix.transform import Transform


def try_transforms(
    transforms: Sequence[Transform],
    files: Mapping[str, str],
    *,
    options: Mapping[str, object] | None = None,
    safe_only: bool = False,
) -> tuple[dict[str, str], Result]:
    """Run *transforms* over the Dockerfiles among *files*; return all files as they are afterwards, and the result.

    *options* goes to every transform that has options of these names.
    """
    from dockfix.project.disk import is_dockerfile_name

    dockerfiles = sorted(
        (path for path in files if is_dockerfile_name(path.rpartition("/")[2])),
        key=lambda path: (path.count("/"), path),
    )
    given = {
        item.name: {key: value for key, value in (options or {}).items() if key in item.options} for item in transforms
    }
    result = run(MemoryFiles(files), dockerfiles, Settings(transforms, safe_only, given))
    return {**files, **result.after}, result


def parse_example(block: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files before and after that an example shows.

    The first character of a line tells where it stands: ``-`` before, ``+`` after, a space in both; ``@@ PATH`` begins
    another file than the Dockerfile. Raises ``ValueError`` for any other line.
    """
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    path = "Dockerfile"
    for line in block.rstrip().splitlines():
        if line.startswith("@@ "):
            path = line[3:].strip()
            continue
        if line[:1] not in ("", " ", "-", "+"):
            raise ValueError(f"an example's line begins with a space, - or +, not so: {line!r}")
        if not line.startswith("+"):
            before.setdefault(path, []).append(line[1:] + "\n")
        if not line.startswith("-"):
            after.setdefault(path, []).append(line[1:] + "\n")
    return {name: "".join(lines) for name, lines in before.items()}, {
        name: "".join(lines) for name, lines in after.items()
    }


def examples(documentation: str) -> list[str]:
    """Return the blocks under each ``Example:`` of a dedented docstring, without their own indentation."""
    blocks: list[str] = []
    lines = documentation.splitlines()
    for number, line in enumerate(lines):
        if line.rstrip().rstrip(":") != "Example":
            continue
        block = []
        for following in lines[number + 1 :]:
            if following.strip() and not following.startswith("    "):
                break
            block.append(following[4:])
        while block and not block[0].strip():
            del block[0]
        blocks.append("\n".join(block).rstrip())
    return blocks
