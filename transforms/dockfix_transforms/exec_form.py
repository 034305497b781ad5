"""The transform exec-form."""

from __future__ import annotations

import re
from posixpath import basename, join, normpath
from typing import TYPE_CHECKING, Final

from dockfix.build.lineage import image_path, lineage, start_steps
from dockfix.build.scripts import argv_of
from dockfix.build.start import Start, Unclear, looks_at_arguments, start_of
from dockfix.records import replace
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._base_images import runs_what_it_gets, takes_all_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockfix.build.model import Build, Step

_BUILTIN: Final = pattern(
    r"(?:[.:[]|alias|bg|break|cd|command|continue|declare|eval|exit|export|fg|getopts|hash|help|jobs|let|local|read"
    r"|readonly|return|set|shift|shopt|source|test|times?|trap|type|typeset|ulimit|umask|unalias|unset|wait)\Z"
)
_BROKEN_ARRAY: Final = pattern(r"\[\s*(?:(?:'[^'\"\\$`]*'|\"[^'\"\\$`]*\")\s*(?:,\s*)?)+\]\Z")
_INTERPRETER: Final = pattern(r"python|pypy|node\Z|java\Z|ruby\Z|perl\Z|php\Z")
_QUOTED: Final = pattern(r"'[^']*'|\"[^\"]*\"")
_SYSTEM: Final = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/lib/", "/opt/venv/bin/")
_NOTE: Final = "the program is the container's first process now: it gets the signal of `docker stop` itself"
_MENDED: Final = "it is no JSON, so a shell looked for a program whose name begins with a bracket"


@transform(safety=Safety.REVIEW, phase=Phase.START)
def exec_form(build: Build) -> Iterator[Fix | Skip]:
    """Start the program itself, in place of a shell that starts it.

    Why: ``CMD python app.py`` runs ``/bin/sh -c "python app.py"``. The shell may be the process that gets the signal
    of ``docker stop`` and does not pass it on, so that the container is killed ten seconds later; and an ENTRYPOINT in
    that form ignores CMD and every argument.

    Example:
         FROM python:3.12-slim
        -CMD gunicorn --bind 0.0.0.0:8000 app:app
        +CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:app"]

    An array that is not quite JSON, such as ``CMD ['python', 'app.py']``, is a command that no shell finds; it becomes
    the array that it was meant to be.

    When it holds back: the shell has something to do (variables, ``&&``, pipes, redirections, globs, ``~``, a builtin);
    ``exec`` takes the shell's place already; the shell is a login shell; a script without ``#!``; an ENTRYPOINT that
    does something of its own with its arguments, in this file or in a base image that is not known; an ENTRYPOINT to
    which CMD, or a service's ``command``, would become arguments that it did not get so far.

    Source: Docker's reference, "Shell and exec form"
    (https://docs.docker.com/reference/dockerfile/#shell-and-exec-form), BuildKit's check JSONArgsRecommended.
    """
    for stage in build.stages:
        for step in (stage.last("ENTRYPOINT"), stage.last("CMD")):
            if step is not None and step.instruction.json_form is None and step.instruction.value:
                part = build if stage is build.final else replace(build, stages=build.stages[: stage.index + 1])
                yield from _step(build, part, step)


def _step(build: Build, part: Build, step: Step) -> Iterator[Fix | Skip]:
    """Rewrite CMD or ENTRYPOINT of the last stage of *part*, the build up to that stage."""
    mended = _mended(step)
    title = "start the program without a shell" if mended is None else "write the JSON array that it is meant to be"
    edits = _array(build, step) if mended is None else mended
    if edits is None:
        return
    reason = edits if isinstance(edits, str) else _obstacle(build, part, step)
    if isinstance(edits, str) or reason is not None:
        yield Skip(f"{step.keyword} stays in shell form: {reason}", step.line)
    else:
        yield Fix(title, {build.path: edits}, step.line, notes=(_NOTE if mended is None else _MENDED,))


def _mended(step: Step) -> list[Edit] | None:
    """Return the edits that make JSON of an array with the wrong quotes or commas; None for anything else."""
    value = step.instruction.value
    if not _BROKEN_ARRAY.match(value):
        return None
    words = [match.group()[1:-1] for match in _QUOTED.finditer(value)]
    return [Edit(*step.instruction.arguments.raw_span(0, len(value)), _json(words))]


def _array(build: Build, step: Step) -> list[Edit] | str | None:
    """Return the edits that make JSON of a plain command, each word in its place; a reason, or None where it is none.

    A command that the shell itself replaces by ``exec`` is none.
    """
    if re.match(r"\[(?:\s*['\"]|\w)", step.instruction.value):
        return "it is meant to be an array, but no JSON, and what it should be is not clear"
    script = step.script
    words = argv_of(step)
    if script is None or not script.commands:
        return None
    first = script.commands[0]
    if words is None:
        return None if any(command.name == "exec" for command in script.commands) else _needs_shell(step)
    if words[0] == "exec":
        return None
    if _BUILTIN.match(words[0]) or (words[0] == "echo" and any("\\" in word for word in words)):
        return f"{words[0]} is a command of the shell itself"
    if not words[0] or re.search(r"\s", words[0]):
        return f"there is no program of the name {words[0]!r}"
    if any("\ud800" <= char <= "\udfff" for word in words for char in word):
        return "its text is not UTF-8"
    source = script.source
    rest = source.text[first.words[-1].end :]
    if rest.strip(" \t;\n"):
        return "a comment stands behind the command"
    text = build.dockerfile.text
    edits = [insert(script.span(first.words[0])[0], "[")]
    for number, (word, value) in enumerate(zip(first.words, words, strict=True)):
        start, end = script.span(word)
        if "\n" in text[start:end]:
            return "a word goes on on the next line"
        last = number == len(words) - 1
        if last:
            end = max(end, source.raw_span(word.start, len(source.text))[1])
        edits.append(Edit(start, end, _json(value) + ("]" if last else ",")))
    return edits


def _needs_shell(step: Step) -> str | None:
    script = step.script
    assert script is not None
    if len(script.commands) > 1 or not script.simple:
        return "it is more than one command"
    command = script.commands[0]
    if command.assignments:
        return "it sets a variable"
    if command.redirects:
        return "it redirects"
    word = next((word.raw for word in command.words if word.value is None), None)
    return None if word is None else f"the shell expands {word}"


def _obstacle(build: Build, part: Build, step: Step) -> str | None:
    """Return why the same program would start differently without the shell, None where it would not."""
    shell = step.shell
    if any(option.startswith("--") or re.match(r"-[a-z]*[il]", option) for option in shell[1:]):
        return f"SHELL starts {shell[0]} as a login or interactive shell, which reads its profile"
    if "bash" in shell[0] and "BASH_ENV" in step.env:
        return "BASH_ENV names a file that the shell reads first"
    entry, cmd = start_steps(part)
    if step.keyword == "ENTRYPOINT":
        return _new_arguments(build, part, cmd) or _not_a_program(build, part, step)
    if entry is None:
        first = lineage(part)[0]
        if not runs_what_it_gets(first.image):
            shown = first.base or "the base image"
            return f"whether {shown} has an ENTRYPOINT that looks at its arguments is not known"
        return _not_a_program(build, part, step)
    given = entry.instruction.json_form
    if given is None:
        return "ENTRYPOINT is in shell form as well, and ignores it"
    start = start_of(part)
    if isinstance(start, Start) and start.step is step and (place := looks_at_arguments(start)) is not None:
        return f"{place} looks at its arguments, which are others then"
    if (isinstance(start, Start) and start.step is step) or (
        isinstance(start, Unclear) and (start.path, start.line) == (build.path, step.line)
    ):
        return _not_a_program(build, part, step)
    words = argv_of(step)
    program = basename(given[0]) if given else ""
    if start is None and words and takes_all_arguments(program):
        if basename(words[0]) == program:
            return f"ENTRYPOINT names {program} already"
        if _INTERPRETER.match(program) and not re.match(r"-|.*\.\w+\Z", words[0]):
            return f"ENTRYPOINT would take {words[0]} for a file that {program} runs"
        return None
    return "ENTRYPOINT gets its words as arguments, and what it does with them is not known"


def _new_arguments(build: Build, part: Build, cmd: Step | None) -> str | None:
    """Return what an ENTRYPOINT that is no longer in shell form would get as arguments."""
    if cmd is not None:
        return f"CMD on line {cmd.line}, which the shell form ignores, would become its arguments"
    grown = {part.final.index}
    for stage in build.stages[part.final.index + 1 :]:
        if stage.base_stage in grown and stage.last("ENTRYPOINT") is None:
            grown.add(stage.index)
            other = stage.last("CMD")
            if other is not None:
                return f"CMD on line {other.line}, which the shell form ignores, would become its arguments"
    for service in build.project.services:
        if service.command is not None and service.entrypoint is None:
            return f"{service.path}:{service.line} gives it a command, which the shell form ignores"
    return None


def _not_a_program(build: Build, part: Build, step: Step) -> str | None:
    """Return why the kernel may not be able to start the first word, as a shell can: a script without ``#!``."""
    words = argv_of(step) or step.instruction.json_form
    if not words:  # an array with the wrong quotes
        words = tuple(match.group()[1:-1] for match in _QUOTED.finditer(step.instruction.value))
    program = words[0]
    workdir = part.final.workdir
    if "/" not in program and not program.endswith((".sh", ".py")):
        return None
    if workdir is None and not program.startswith("/"):
        return f"where {program} lies is not clear"
    target = normpath(join(workdir or "/", program))
    context = build.project.context
    name = basename(target)
    for path in context.paths:
        if basename(path) == name and image_path(part, path) == target:
            text = context.text(path)
            return None if text is None or text.startswith("#!") else f"{context.repository_path(path)} has no #! line"
    if program.endswith((".sh", ".bash", ".py")):
        return f"whether {program} has a #! line is not known"
    if target.startswith(_SYSTEM):
        return None
    written = re.compile(rf"(?:>|\btee\b|<<)[^\n]*{re.escape(name)}(?![\w.-])|{re.escape(name)}[ \t]*<<")
    if written.search(build.dockerfile.text):
        return f"whether {program} has a #! line is not known"
    return None


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
