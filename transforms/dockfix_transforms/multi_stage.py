"""The transform multi-stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockfix.build.layout import blank_above, block_start, removals
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms import _stage_roles
from dockfix_transforms._stage_roles import Obstacle, Role

_INSTALLERS = frozenset({"pip", "setuptools", "wheel"})


@record
class _Style:
    """Where the packages go in the builder and in the final stage, and what it takes; ``flag`` is pip's."""

    builder_path: str
    final_path: str
    flag: str | None
    create: str | None
    environment: str | None


_STYLES = {
    "venv": _Style("/opt/venv", "/opt/venv", None, "python -m venv /opt/venv", 'PATH="/opt/venv/bin:$PATH"'),
    "prefix": _Style("/install", "/usr/local", "--prefix=/install", None, None),
    "user": _Style(
        "/opt/python", "/opt/python", "--user", None, 'PYTHONUSERBASE=/opt/python PATH="/opt/python/bin:$PATH"'
    ),
}


@transform(safety=Safety.REVIEW, phase=Phase.STAGES, options={"style": "venv"})
def multi_stage(build: Build) -> Iterator[Fix | Skip]:
    """Install the dependencies in a builder stage and ship a final stage without the build tools.

    Why: compilers, headers and installer caches stay in every image that is built in one stage. They make it large, and
    every one of them is something that a scanner finds and an intruder uses. Installed into a virtual environment, the
    packages move to a clean final stage in one COPY, and the install commands stay as their owner wrote them.

    Example:
        +FROM python:3.12-slim AS builder
        +RUN python -m venv /opt/venv
        +ENV PATH="/opt/venv/bin:$PATH"
        +WORKDIR /app
        +RUN pip install flask==3.1.0
        +
         FROM python:3.12-slim
         WORKDIR /app
        -RUN pip install flask==3.1.0
        +COPY --from=builder /opt/venv /opt/venv
        +ENV PATH="/opt/venv/bin:$PATH"
         COPY app.py .
         CMD ["python", "app.py"]

    Debian packages are sorted by a table: compilers stay in the builder, headers become the library that they belong
    to, and everything else, known or not, stays in the final stage too.

    The option ``style`` is ``venv``, ``prefix`` (``pip install --prefix=/install``, copied to ``/usr/local``) or
    ``user`` (``pip install --user`` below ``PYTHONUSERBASE=/opt/python``, which every user can read, not only root).

    When it holds back: a base that is not an official Python 3 image; ONBUILD; installs as another user than root, with
    ``--user``, ``--target`` or editable; package managers other than pip; Python packages installed by apt; a RUN that
    it cannot place; a command or script that names a path below /usr/local; login shells and cron, which reset PATH.

    Source: Docker's documentation, "Multi-stage builds" (https://docs.docker.com/build/building/multi-stage/), and
    Python's, "venv" (https://docs.python.org/3/library/venv.html).
    """
    if len(build.stages) != 1 or ".devcontainer" in build.path:
        return
    stage = build.final
    installs = [
        step for step in stage.steps if any(install.manager in _stage_roles.PYTHON for install in step.installs)
    ]
    if not installs:
        return
    style = _STYLES.get(str(build.options.get("style", "venv")))
    if style is None:
        yield Skip(f"unknown style {build.options['style']!r}: it is one of {', '.join(_STYLES)}")
        return
    try:
        yield _fix(build, stage, installs, style)
    except Obstacle as obstacle:
        yield Skip(obstacle.reason, obstacle.line)


def _fix(build: Build, stage: Stage, installs: list[Step], style: _Style) -> Fix:
    dockerfile = build.dockerfile
    _stage_roles.check_base(build, stage)
    roles = _stage_roles.roles(build, stage, installs)
    if style.final_path != "/usr/local":
        _stage_roles.check_start(build, stage)
    newline = dockerfile.newline
    first = stage.steps[0].instruction
    lower = first.keyword_text.islower()

    def word(keyword: str) -> str:
        return keyword.lower() if lower else keyword

    name = "builder"
    raw_from = dockerfile.text[first.keyword_start : first.text_end]
    lines = [_builder_from(raw_from, stage, word("AS"), name) + newline]
    environment = f"{word('ENV')} {style.environment}{newline}" if style.environment else ""
    if style.create:
        lines.append(f"{word('RUN')} {style.create}{newline}")
    lines.append(environment)
    for step in stage.steps[1:]:
        role = roles.get(step.line)
        if role is None or not role.builder:
            continue
        if blank_above(dockerfile, step.instruction):
            lines.append(newline)
        lines.append(_builder_text(build, step, role, style.flag))
    where = next(step for step in stage.steps if step.line == installs[0].line)
    moved = [step for step in stage.steps if (role := roles.get(step.line)) and role.builder and not role.final]
    edits: list[Edit] = [insert(first.start, "".join(lines) + newline)]
    removed = removals(dockerfile, [step.instruction for step in moved if step is not where])
    edits += removed
    packages: list[str] = []
    for role in roles.values():
        edits += role.edits
        packages += [package for package in role.runtime if package not in packages]
    copy = f"{word('COPY')} --from={name} {style.builder_path} {style.final_path}{newline}{environment}"
    if packages:
        copy = _apt_run(packages, word("RUN"), newline) + copy
    end = where.instruction.end
    if removed and where.instruction.start < removed[-1].start < end:  # it took the line ending: the file ends here
        end = removed[-1].start
    if not dockerfile.text[:end].endswith("\n"):
        copy = copy.removesuffix(newline)
    edits.append(Edit(block_start(dockerfile, where.instruction), end, copy))
    notes = []
    if packages or any(role.edits for role in roles.values()):
        notes.append("the final stage installs the run-time libraries only: the builder has compilers and headers")
    return Fix(
        "install the dependencies in a builder stage and copy them to the final one",
        {build.path: tuple(sorted(edits))},
        first.line,
        notes=tuple(notes),
    )


def _builder_from(raw: str, stage: Stage, keyword: str, name: str) -> str:
    if stage.name is None:
        return f"{raw} {keyword} {name}"
    words = raw.split()
    return raw[: raw.rindex(words[-1])] + name


def _builder_text(build: Build, step: Step, role: Role, flag: str | None) -> str:
    """Return the step as the builder has it; its comments come with it unless the step stays in the final stage too."""
    dockerfile = build.dockerfile
    start = step.instruction.start if role.final else block_start(dockerfile, step.instruction)
    text = dockerfile.text[start : step.instruction.end]
    text = text if text.endswith("\n") else text + dockerfile.newline
    if flag is None:
        return text
    verbs = [
        insert(install.script.span(install.verb)[1] - start, f" {flag}")
        for install in step.installs
        if install.manager == "pip" and not _INSTALLERS.issuperset(install.packages or ("",))
    ]
    return apply_edits(text, verbs)


def _apt_run(packages: Iterable[str], keyword: str, newline: str) -> str:
    return (
        f"{keyword} apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)} "
        f"&& rm -rf /var/lib/apt/lists/*{newline}"
    )
