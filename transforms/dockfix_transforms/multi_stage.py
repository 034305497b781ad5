"""The transform multi-stage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from dockfix.build.expand import split_words
from dockfix.build.installs import Install
from dockfix.build.layout import blank_above, block_start, may_be_cut, removals
from dockfix.build.model import Build, Stage, Step
from dockfix.records import record
from dockfix.syntax.edit import Edit, apply_edits, delete, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms import _stage_roles
from dockfix_transforms._compose_runs import check_services
from dockfix_transforms._environments import ACTIVE, Environment, counts, environment_of, leads_to
from dockfix_transforms._lost_tools import check_uses, libraries_of_compilers, lost_packages
from dockfix_transforms._manifest_copies import check_editable
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._runners import without_runners
from dockfix_transforms._split_obstacles import check_base, check_calls, check_start
from dockfix_transforms._stage_roles import Role
from dockfix_transforms._tools import brings_tools, only_installers, python_image

_ACTIVATED = frozenset({"poetry", "pipenv", "uv-pip"})
"""Managers that install into the environment that VIRTUAL_ENV names."""
# The pip inside of these knows no manylinux2014 (PEP 599); the images have a newer one.
_OLD = pattern(r"3\.(?:[0-6](?:\.\d+)?|[78]\.[0-7])(?:-|\Z)")
_SAME_PIP = 'pip install --no-cache-dir "pip${PYTHON_PIP_VERSION:+==$PYTHON_PIP_VERSION}"'


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


@transform(
    safety=Safety.REVIEW,
    phase=Phase.STAGES,
    production=True,
    options={"style": tuple(_STYLES), "when": ("always", "needed")},
)
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

    With the option ``when = "needed"`` a slim base on which nothing is there for the build only (no compiler, no
    header, no poetry) stays one stage: the environment's own pip would make the image some 10 MB larger.

    Poetry, pipenv and uv stay in the builder. What they would install into the system's Python goes to ``/opt/venv``;
    an environment that they, or the Dockerfile, make keeps its place (``/app/.venv``). The final stage starts the
    programs themselves: ``poetry run gunicorn ...`` becomes ``gunicorn ...``. Behind an image of uv the final stage is
    the Python image that it is built on.

    When it holds back: a base that is not an official Python 3 image; ONBUILD; installs as another user than root, with
    ``--user``, ``--target`` or editable; pdm and conda; installs into two environments; an environment beside the
    manifest that .dockerignore lets in; a project whose build may write into its source; a Python that uv would bring;
    a script, compose file or later step that uses poetry, pipenv or uv; Python packages installed by apt; a RUN that
    it cannot place; a command or script that names a path below /usr/local; login shells and cron, which reset PATH;
    compose services that do so, set PATH, or mount something over the packages; a step, start command, script or code
    that uses a compiler, make or what else came with the build tools.

    Source: Docker's documentation, "Multi-stage builds" (https://docs.docker.com/build/building/multi-stage/), and
    Python's, "venv" (https://docs.python.org/3/library/venv.html).
    """
    if len(build.stages) != 1:
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
    if build.options.get("when", "always") not in ("always", "needed"):
        yield Skip(f"unknown value {build.options['when']!r} of the option when: it is always or needed")
        return
    try:
        yield _fix(build, stage, installs, style)
    except Obstacle as obstacle:
        yield obstacle.skip


def _fix(build: Build, stage: Stage, installs: list[Step], style: _Style) -> Fix:
    dockerfile = build.dockerfile
    newline = dockerfile.newline
    check_base(build, stage)
    environment = environment_of(build, stage, installs)
    roles = _stage_roles.roles(build, stage, installs, environment)
    plan = _plan(build, stage, installs, style, environment)
    lost = lost_packages(stage, installs[-1].line)
    if style.final_path != "/usr/local":
        check_start(build, stage)
        if not environment.own:
            check_services(build, plan.target)
    moved = [step for step in stage.steps if (role := roles.get(step.line)) and role.builder and not role.final]
    check_editable(build, stage, installs)
    check_uses(build, stage, lost, moved)
    check_calls(build, stage, lost)
    lean = _lean(stage, roles, moved)
    if lean and build.options.get("when") == "needed":
        raise Obstacle("the base is slim and nothing is there that only the build needs", stage.steps[0].line)
    lines = {step.line for step in moved}
    runners = without_runners(build, stage, [step for step in stage.steps if step.line not in lines])
    first = stage.steps[0].instruction
    raw_from = dockerfile.text[first.keyword_start : first.text_end]
    head = _builder_from(raw_from, stage, "as" if first.keyword_text.islower() else "AS", "builder")
    builder = [head, newline, *_builder(build, stage, roles, plan)]
    base = list(_final_base(stage))
    edits: list[Edit] = [insert(first.start, "".join(builder) + newline), *base, *runners]
    removed = removals(dockerfile, [step.instruction for step in moved if step is not plan.where])
    edits += removed
    packages: list[str] = []
    for role in roles.values():
        edits += role.edits
        packages += [package for package in role.runtime if package not in packages]
    packages += [name for name in libraries_of_compilers(build, stage, lost, installs) if name not in packages]
    variables = plan.final
    if runners and not variables and not leads_to(stage, environment):
        variables = f'PATH="{environment.path}/bin:$PATH"'
    copy = f"{plan.word('COPY')} --from=builder {plan.source} {plan.target}{newline}"
    if variables:
        copy += f"{plan.word('ENV')} {variables}{newline}"
    if packages:
        copy = _apt_run(packages, plan.word("RUN"), newline) + copy
    where = plan.where.instruction
    end = where.end
    if removed and where.start < removed[-1].start < end:  # it took the line ending: the file ends here
        end = removed[-1].start
    if not dockerfile.text[:end].endswith("\n"):
        copy = copy.removesuffix(newline)
    edits.append(Edit(block_start(dockerfile, where), end, copy))
    return Fix(
        "install the dependencies in a builder stage and copy them to the final one",
        {build.path: tuple(sorted(edits))},
        first.line,
        notes=(
            *_notes(packages, roles, runners, lean and style.create is not None and not environment.own),
            *(f"the final stage starts from {edit.replacement}, on which {stage.image} is built" for edit in base),
        ),
    )


def _final_base(stage: Stage) -> Iterator[Edit]:
    """Yield the edit that starts the final stage from Python's own image where the base is one of uv's."""
    image = stage.image
    python = python_image(image)
    if image is not None and python is not None and not image.official:
        source = stage.steps[0].instruction.arguments
        yield Edit(*source.raw_span(*split_words(source.text)[0]), python)


def _lean(stage: Stage, roles: Mapping[int, Role], moved: Iterable[Step]) -> bool:
    """Whether nothing is left behind in the builder but pip's own work: a slim base, no build tools, no manager."""
    tag = (stage.image.tag if stage.image else None) or ""
    if not {"slim", "alpine"} & set(tag.split("-")) or any(role.edits or role.runtime for role in roles.values()):
        return False
    return all(install.manager == "pip" and not _tool(step, install) for step in moved for install in step.installs)


def _notes(packages: list[str], roles: Mapping[int, Role], runners: list[Edit], lean: bool) -> Iterator[str]:
    if lean:
        yield "nothing here is for the build only: the environment's own pip makes the image some 10 MB larger"
    if packages or any(role.edits for role in roles.values()):
        yield "the final stage installs the run-time libraries only: the builder has compilers and headers"
    if runners:
        yield "the package manager stays in the builder: the final stage starts the programs themselves"


@record
class _Plan:
    """Where the packages go and how the installs get to know it.

    ``where`` is the first step that installs packages of the program: the final stage copies them in its place, and
    the builder makes its environment (``prepare``, lines of the Dockerfile) in front of it. ``edits`` change the steps
    of the builder, by line; ``final`` are variables of the final stage.
    """

    where: Step
    source: str
    target: str
    prepare: tuple[str, ...]
    edits: Mapping[int, Sequence[Edit]]
    final: str | None
    lower: bool

    def word(self, keyword: str) -> str:
        """Return *keyword* in the case of the file's own."""
        return keyword.lower() if self.lower else keyword


def _plan(build: Build, stage: Stage, installs: list[Step], style: _Style, environment: Environment) -> _Plan:
    """Return how the packages go to *environment*. Raises ``Obstacle``."""
    where = next(step for step in installs if any(counts(step, install) for install in step.installs))
    lower = stage.steps[0].instruction.keyword_text.islower()
    managers = {install.manager for step in installs for install in step.installs if not _tool(step, install)}
    if environment.own:
        return _Plan(where, environment.path, environment.path, (), {}, None, lower)
    if style is not _STYLES["venv"] and managers & {"poetry", "pipenv"}:
        first = min(managers & {"poetry", "pipenv"})
        raise Obstacle(f"{first} has no option for the style {build.options['style']}: it wants venv", where.line)
    prepare = []
    if style.create:
        create = style.create
        if stage.image is not None and _OLD.match(stage.image.tag or ""):
            create += f" && {ACTIVE}/bin/{_SAME_PIP}"
            prepare.append("# The image's own pip: the one that this Python brings is too old for many packages.")
        prepare.append(f"{'run' if lower else 'RUN'} {create}")
    if style.environment:
        active = f"VIRTUAL_ENV={ACTIVE} " if managers & _ACTIVATED and style is _STYLES["venv"] else ""
        prepare.append(f"{'env' if lower else 'ENV'} {active}{style.environment}")
    edits: dict[int, list[Edit]] = {}
    for step in installs:
        found = [edit for install in step.installs for edit in _to_place(step, install, style)]
        edits[step.line] = found
        tools = [install for install in step.installs if _tool(step, install)]
        if tools and step.line > where.line:
            raise Obstacle("a package manager is installed behind packages of the program", step.line)
    if cut := _cut(build, where, prepare):
        edits[where.line].append(cut)
        prepare = []
    return _Plan(where, style.builder_path, style.final_path, tuple(prepare), edits, style.environment, lower)


def _tool(step: Step, install: Install) -> bool:
    """Whether *install* brings something else than packages of the program: a package manager, Debian packages."""
    if install.manager in ("apt", "apk", "yum"):
        return True
    return step.script is not None and brings_tools(step.script, install.command, install)


def _to_place(step: Step, install: Install, style: _Style) -> Iterator[Edit]:
    """Yield the edits with which *install* finds its place."""
    verb = install.script.span(install.verb)[1]
    if install.manager == "pip" and style.flag and not only_installers(install) and not _tool(step, install):
        yield insert(verb, f" {style.flag}")
    if install.manager != "uv-pip" or _tool(step, install):
        return
    if style.flag == "--user":
        raise Obstacle("uv pip has no option for the style user: it wants venv or prefix", step.line)
    if style.flag:
        yield insert(verb, f" {style.flag}")
        return
    words = install.command.words
    for previous, word in pairwise(words):
        if word.value == "--system":
            yield delete(install.script.span(previous)[1], install.script.span(word)[1])
    if step.env.get("UV_SYSTEM_PYTHON"):
        yield insert(verb, f" --python {ACTIVE}")


def _cut(build: Build, step: Step, prepare: Sequence[str]) -> Edit | None:
    """Return the edit that makes the environment between a package manager's install and its own, None without one."""
    script = step.script
    if script is None or not prepare:
        return None
    installs = {id(install.command): install for install in step.installs}
    commands = [command for command in script.commands if command.words and not command.substitution]
    tools = [at for at, command in enumerate(commands) if brings_tools(script, command, installs.get(id(command)))]
    if not tools:
        return None
    after = commands[tools[-1] + 1]
    before = [installs[id(command)] for command in commands[: tools[-1]] if id(command) in installs]
    if any(counts(step, install) for install in before):
        raise Obstacle("a package manager is installed behind packages of the program", step.line)
    if not may_be_cut(step, after):
        raise Obstacle("the RUN that installs the package manager and the packages cannot be cut in two", step.line)
    newline = build.dockerfile.newline
    keyword = step.instruction.keyword_text
    text = "".join(f"{newline}{line}" for line in prepare) + f"{newline}{keyword} "
    return Edit(script.span(commands[tools[-1]])[1], script.span(after)[0], text)


def _builder(build: Build, stage: Stage, roles: Mapping[int, Role], plan: _Plan) -> Iterator[str]:
    """Yield the steps of the builder behind its FROM; its environment is made first, or behind the package managers."""
    newline = build.dockerfile.newline
    prepare = "".join(f"{line}{newline}" for line in plan.prepare)
    managed = any(_tool(step, install) for step in stage.steps for install in step.installs if install.manager != "apt")
    managed = managed or any(
        step.script is not None and brings_tools(step.script, command, None)
        for step in stage.of("RUN")
        if step.line < plan.where.line and step.script is not None
        for command in step.script.commands
        if command.words
    )
    if not managed:
        yield prepare
    for step in stage.steps[1:]:
        role = roles.get(step.line)
        if role is None or not role.builder:
            continue
        if blank_above(build.dockerfile, step.instruction):
            yield newline
        if managed and step is plan.where:
            yield prepare
        yield _builder_text(build, step, role, plan.edits.get(step.line, ()))


def _builder_from(raw: str, stage: Stage, keyword: str, name: str) -> str:
    if stage.name is None:
        return f"{raw} {keyword} {name}"
    words = raw.split()
    return raw[: raw.rindex(words[-1])] + name


def _builder_text(build: Build, step: Step, role: Role, edits: Sequence[Edit]) -> str:
    """Return the step as the builder has it; its comments come with it unless the step stays in the final stage too."""
    dockerfile = build.dockerfile
    start = step.instruction.start if role.final else block_start(dockerfile, step.instruction)
    text = dockerfile.text[start : step.instruction.end]
    text = text if text.endswith("\n") else text + dockerfile.newline
    moved = [Edit(edit.start - start, edit.end - start, edit.replacement) for edit in edits]
    owner = step.instruction.flag("chown")
    if owner is not None and not re.fullmatch(r"\d+(?::\d+)?", owner.value or ""):  # the builder has no such user
        moved.append(Edit(owner.start - start, owner.end - start + 1, ""))
    copy = step.copy
    if copy is not None and copy.destination != step.workdir and step.directories.get(copy.destination or "", 0):
        written = copy.destination_text  # a RUN made the directory, which the builder may not have
        if not written.endswith(("/", "/.")) and step.instruction.json_form is None and copy.directory:
            moved.append(insert(copy.destination_end - start, "/"))
    return apply_edits(text, sorted(moved))


def _apt_run(packages: Iterable[str], keyword: str, newline: str) -> str:
    return (
        f"{keyword} apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)} "
        f"&& rm -rf /var/lib/apt/lists/*{newline}"
    )
