"""Keep .env out of an image, and what it holds in the container."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from dockfix.build.lineage import start_steps
from dockfix.build.model import Build
from dockfix.project.compose import Service
from dockfix.project.context import Context
from dockfix.syntax.compose import read_yaml
from dockfix.syntax.dockerignore import compile_pattern
from dockfix.syntax.edit import Edit, insert
from dockfix.syntax.patterns import pattern as compiled
from dockfix.transform import Fix, Safety, Skip
from dockfix_transforms._context_needs import TEMPLATES, Code, Needs, commands_of, named_by
from dockfix_transforms._ignore_lines import added
from dockfix_transforms._server_obstacles import env_of_flask

_READERS: Final = compiled(r"\b(?:honcho|foreman)\s+(?:start|run)\b|\bpipenv\s+run\b|\bdotenv\s+run\b|--env-file\b")
_NODE_BUILD: Final = compiled(r"\b(?:npm|yarn|pnpm|bun)\b[^\n;&|]*\bbuild\b", words=("npm", "yarn", "bun"))


def hide_secrets(build: Build, patterns: list[str], needs: Needs, code: Code, line: int) -> Iterator[Fix | Skip]:
    """Keep what matches *patterns* out of the image; where the code loads .env, let compose pass it."""
    context = build.project.context
    files = [path for path in context.paths if posixpath.basename(path).startswith(".env")]
    files = [path for path in files if posixpath.basename(path) not in TEMPLATES and ".env" in path.split("/")[-1][:5]]
    commands = commands_of(build)
    reason = None
    for pattern in patterns:
        exceptions, place = named_by(needs, build, compile_pattern(pattern))
        if place or exceptions:
            reason = f"{place or 'a COPY'} copies it"
    shells = (path for path in context.paths if _is_script(path, commands, context))
    loads = code.loads_env or _loaded_by_flask(build)
    mention = re.compile(r"(?<![\w.-])\.env(?![\w-])")
    if code.opens_env:
        reason = reason or f"{code.opens_env} opens the file itself"
    elif mention.search(commands):
        reason = reason or "a command of the Dockerfile names it"
    elif found := _READERS.search(re.sub(r"[\"'],\s*[\"']", " ", commands)):
        reason = reason or f"{found.group()} reads it"
    elif _NODE_BUILD.search(commands):
        reason = reason or "the front-end build may read it"
    elif code.too_much:
        reason = reason or "there is more code than is searched for it"
    else:
        script = next((path for path in shells if mention.search(context.text(path) or "")), None)
        reason = reason or (f"{script} names it" if script else None)
    edits: dict[str, list[Edit]] = {}
    notes = []
    if files or loads or "package.json" in {posixpath.basename(path) for path in context.paths}:
        notes.append(
            "The image no longer holds .env: give its values when the container starts (--env-file or env_file)."
        )
    hidden = context.ignored(".env")
    if reason is None and loads and not hidden:
        services = [service for service in build.project.services if service.context == context.root]
        if not services and files:
            reason = f"{loads} loads it, and no compose service would pass it to the container"
        elif any("/" in path for path in files):
            reason = f"{loads} loads one that is not at the root of the build context"
        passed = {service.name for service in services if service.env_files or _is_mounted(build, service)}
        other = next((one for one in services if one.kind == "image" and one.name not in passed), None)
        if other is not None:
            reason = reason or f"{other.name} runs the image by its name, and gets no env_file"
        for path in dict.fromkeys(service.path for service in services):
            mine = [one for one in services if one.path == path and one.kind == "built" and one.name not in passed]
            changed = _env_files(build, context, path, mine)
            if changed is None:
                reason = reason or f"env_file cannot be added to {path} as it is written"
            elif changed:
                edits[path] = changed
    if reason is not None:
        yield Skip(f".env stays in the build context: {reason}", line)
        return
    lines = [("Secrets", pattern) for pattern in patterns]
    prefix = "**/" if patterns[0].startswith("**/") else ""
    kept = [name for name in TEMPLATES if name == ".env.example" or name in context.paths]
    lines += [("Secrets", f"!{prefix}{name}") for name in kept if any(".env.*" in text for _, text in lines)]
    edits[context.ignore_path] = [added(context.ignore_file, lines)]
    shown = ".env" if any(pattern.endswith(".env") for pattern in patterns) else ".env.*"
    yield Fix(f"keep {shown} out of the image", edits, line, Safety.REVIEW, tuple(notes))


def _is_script(path: str, commands: str, context: Context) -> bool:
    """Whether *path* is a script, or a makefile that a command uses."""
    name = posixpath.basename(path)
    if name in ("Makefile", "makefile", "GNUmakefile", "justfile", "Taskfile.yml"):
        return re.search(r"\b(?:make|just|task)\b", commands) is not None
    return path.endswith((".sh", ".bash")) or ("." not in name and (context.text(path) or "").startswith("#!"))


def _loaded_by_flask(build: Build) -> str | None:
    """Return what loads .env where Flask's own command, or ``app.run``, does."""
    entry, cmd = start_steps(build)
    text = " ".join(step.instruction.value for step in (entry, cmd) if step is not None)
    if not re.search(r"flask\b.*\brun\b|\.py\b", text) or not any(
        item.framework in ("flask", "quart") for item in build.project.applications
    ):
        return None
    found = env_of_flask(build)
    return "Flask" if found is not None and found[2].endswith(".env") and "flaskenv" not in found[2] else None


def _is_mounted(build: Build, service: Service) -> bool:
    """Whether the host's files lie over the working directory: the program finds .env there."""
    workdir = build.final.workdir or "/"
    return any(mount.bind and f"{workdir}/".startswith(f"{mount.target.rstrip('/')}/") for mount in service.mounts)


def _env_files(build: Build, context: Context, path: str, services: list[Service]) -> list[Edit] | None:
    """Return the edits that give the services their ``env_file``; None where the file's shape does not allow it."""
    files = build.project.files
    text = files.text(path) or ""
    document = read_yaml(text)
    if document is None or "\t" in text:
        return None
    target = context.repository_path(".env")
    name = posixpath.relpath(target, posixpath.dirname(path) or ".")
    newline = "\r\n" if "\r\n" in text else "\n"
    edits = []
    for service in services:
        entry = document.positions.get(("services", service.name, "build"))
        if entry is None or entry.flow:
            return None
        indent = " " * entry.column
        added = f"{indent}env_file: {name}{newline}"
        if target not in files.paths:  # not in the repository: compose must start without it
            added = f"{indent}env_file:{newline}{indent}  - path: {name}{newline}{indent}    required: false{newline}"
        start = text.rfind("\n", 0, entry.key_start) + 1
        if text[start : entry.key_start].strip():
            return None
        lines = text[entry.start : entry.end].split("\n")  # a block ends where the next key begins
        while len(lines) > 1 and lines[-1].lstrip()[:1] in ("", "#"):
            lines.pop()
        stop = text.find("\n", entry.start + len("\n".join(lines)))
        edits.append(insert(stop + 1, added) if stop >= 0 else insert(len(text), newline + added.removesuffix(newline)))
    return edits
