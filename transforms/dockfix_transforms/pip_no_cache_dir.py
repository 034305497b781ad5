"""The transform pip-no-cache-dir."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from itertools import pairwise
from posixpath import basename, normpath
from typing import Any, Final

from dockfix.build.installs import Install
from dockfix.build.model import Build, Step
from dockfix.syntax.edit import Edit, delete, insert
from dockfix.syntax.patterns import pattern
from dockfix.transform import Fix, Phase, Safety, Skip, transform
from dockfix_transforms._knowledge import table
from dockfix_transforms._tools import old_poetry

_OFF: Final = frozenset({"", "0", "false", "no", "off", "f", "n"})
_REMOVES: Final = pattern(
    r"(?:/root|~|\$\{?HOME\}?)/\.(?:cache|npm)(?:/[\w*.-]+)*/?|/var/cache/(?:apk|yum|dnf)(?:/\S*)?"
    r"|\$\{?(?:PIP|UV|POETRY|PIPENV|XDG)_CACHE_(?:DIR|HOME)\}?"
)
_CACHE_VARIABLES: Final = {
    "pip": "PIP_CACHE_DIR",
    "uv-pip": "UV_CACHE_DIR",
    "uv-sync": "UV_CACHE_DIR",
    "poetry": "POETRY_CACHE_DIR",
}
_OFFLINE: Final = {
    "uv-pip": pattern(r"\buvx?\b[^\n;&|]*--offline|\bUV_OFFLINE\b"),
    "uv-sync": pattern(r"\buvx?\b[^\n;&|]*--offline|\bUV_OFFLINE\b"),
    "npm": pattern(r"\bnpm\b[^\n;&|]*--(?:prefer-)?offline|\bnpm_config_(?:prefer_)?offline\b", re.IGNORECASE),
    "conda": pattern(r"\b(?:conda|mamba)\b[^\n;&|]*--offline|\bCONDA_OFFLINE\b"),
    "yum": pattern(r"\b(?:yum|dnf)\b[^\n;&|]*\s(?:-C|--cacheonly)\b"),
}
_CLEANS: Final = pattern(
    r"\bpip3? cache purge|\bpoetry cache clear|\b(?:uv|yarn|npm) cache (?:clean|purge)"
    r"|\b(?:conda|mamba|micromamba) clean|\b(?:yum|dnf|microdnf|tdnf) clean",
    words=(" cache ", " clean"),
)


@transform(safety=Safety.SAFE, phase=Phase.CONTENT, options={"style": ("option", "cache-mount")})
def pip_no_cache_dir(build: Build) -> Iterator[Fix | Skip]:
    """Keep the download cache of package managers out of the image.

    Why: pip keeps every file that it downloads for the next install, which a layer never sees: tens to hundreds of
    megabytes that ship with the image.

    Example:
         FROM python:3.12-slim
        -RUN pip install flask==3.1.0
        +RUN pip install --no-cache-dir flask==3.1.0
         CMD ["flask", "run"]

    The same for uv, poetry, apk, gem (an option of their own) and conda, npm, yum, dnf (a command behind the install).
    With the option ``style = "cache-mount"`` pip, uv and poetry get ``RUN --mount=type=cache`` instead: the cache is
    then kept outside of the image and serves the next build.

    When it holds back: the cache is switched off by a variable or removed in the same RUN; a cache mount on it (a
    ``--no-cache-dir`` makes the mount useless, and goes); ``pip download``, ``pip wheel``, ``pip config``; ``apk``
    ``update`` in the same RUN, which fills what ``--no-cache`` would not read; a command that takes packages from the
    cache alone (``--offline``); Poetry before 1.2; shell that is not plain.

    Source: pip's documentation, "Caching" (https://pip.pypa.io/en/stable/topics/caching/); each manager's in the table
    ``knowledge/package_managers.toml``.
    """
    mount = build.options.get("style") == "cache-mount"
    shipped = _shipped(build)
    found = [step for step in build.steps if step.keyword == "RUN" and step.installs]
    offline = _offline(build)
    poetry = any(install.manager == "poetry" for step in found for install in step.installs)
    old = frozenset({"poetry"}) if poetry and old_poetry(build.steps) else frozenset()
    for step in found:
        yield from _step(build, step, mount, step.stage in shipped, old, offline)


def _caches(step: Step, install: Install, rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the folders where *install* keeps what it downloads, none where they cannot be mounted or are not known.

    Poetry's own folder has its virtual environments, too, which have to stay in the image.
    """
    variable = _CACHE_VARIABLES.get(install.manager)
    if variable is None or step.user not in (None, "root", "0"):
        return ()
    folder = step.env[variable] if variable in step.env else str(rule["cache"][0])
    if not folder or not folder.startswith("/"):
        return ()
    if install.manager != "poetry":
        return (folder,)
    return (f"{folder}/artifacts", f"{folder}/cache") if install.action in ("install", "sync") else ()


def _shipped(build: Build) -> frozenset[int]:
    """Return the stages whose layers the image has: the final one and those that it is built on."""
    found = {build.final.index}
    base = build.final.base_stage
    while base is not None and base not in found:
        found.add(base)
        base = build.stages[base].base_stage
    return frozenset(found)


def _offline(build: Build) -> frozenset[str]:
    """Return the managers of which a command takes packages from the cache alone, so that an earlier one fills it."""
    texts = [
        step.instruction.value for step in build.steps if step.keyword in ("RUN", "CMD", "ENTRYPOINT", "ENV", "ARG")
    ]
    text = "\n".join(texts) if any("ffline" in text or "OFFLINE" in text or " -C " in text for text in texts) else ""
    return frozenset(manager for manager, expression in _OFFLINE.items() if text and expression.search(text))


def _step(
    build: Build, step: Step, mount: bool, shipped: bool, old: Set[str], offline: Set[str]
) -> Iterator[Fix | Skip]:
    """Yield what is done to the installs of a RUN; *old* are managers that do not know the option yet.

    *offline* are managers whose cache another command reads.
    """
    edits: list[Edit] = []
    names: list[str] = []
    mounts: dict[str, None] = {}
    for install in step.installs:
        rule = table("package_managers").get(install.manager)
        if rule is None or _off(step, rule):
            continue
        if _mounted(step, rule):
            useless = _useless(install, rule)
            if useless:
                yield Fix(
                    f"remove {rule['option']}, which makes the cache mount useless", {build.path: useless}, step.line
                )
            continue
        if _removed(install):
            continue
        if install.manager in offline:
            yield Skip(
                f"another command takes packages from the cache of {install.manager.partition('-')[0]}", step.line
            )
            continue
        if mount and (folders := _caches(step, install, rule)):
            mounts.update(dict.fromkeys(folders))
            continue
        if install.manager in old:
            yield Skip(f"this {install.manager} does not know {rule['option']}", step.line)
            continue
        if "clean" in rule and not shipped:  # a command of its own, for a layer that nobody gets
            continue
        change = _change(install, rule)
        if isinstance(change, Skip):
            yield Skip(change.reason, step.line)
        elif change is not None:
            edits.append(change)
            names.append(str(rule.get("option") or rule["clean"]))
    if mounts:
        at = step.instruction.keyword_start + len(step.instruction.keyword_text)
        edits.append(insert(at, "".join(f" --mount=type=cache,target={folder}" for folder in mounts)))
        names.append("a cache mount")
    if edits:
        title = f"add {', '.join(dict.fromkeys(names))}"
        yield Fix(title, {build.path: tuple(sorted(edits))}, step.line)


def _off(step: Step, rule: Mapping[str, Any]) -> bool:
    """Whether a variable switches the cache off. A value that is not known counts as on purpose."""
    return any(name in step.env and (step.env[name] or "1").lower() not in _OFF for name in rule["env"])


def _mounted(step: Step, rule: Mapping[str, Any]) -> bool:
    """Whether a cache mount covers the manager's cache."""
    places = [*rule["cache"], *(value for name in _CACHE_VARIABLES.values() if (value := step.env.get(name)))]
    for flag in step.instruction.flags:
        settings = dict(part.partition("=")[::2] for part in (flag.value or "").split(","))
        if flag.name != "mount" or settings.get("type") != "cache":
            continue
        target = normpath(settings.get("target") or settings.get("dst") or settings.get("destination") or "/")
        if any(place == target or place.startswith(f"{target}/") or target.startswith(f"{place}/") for place in places):
            return True
        if basename(target) in ("pip", "uv", "pypoetry", ".npm", ".cache"):
            return True
    return False


def _useless(install: Install, rule: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits that remove the option which makes a cache mount useless."""
    option = rule.get("option")
    if install.manager not in ("pip", "uv-pip", "uv-sync", "poetry"):
        return ()
    words = install.command.words
    edits = []
    for previous, word in pairwise(words):
        if word.raw == option:
            edits.append(delete(install.script.span(previous)[1], install.script.span(word)[1]))
    return tuple(edits)


def _removed(install: Install) -> bool:
    """Whether a command of the same script removes the cache, or asks the manager to."""
    for command in install.script.commands:
        text = " ".join(word.raw for word in command.words)
        if re.match(r"(?:\S*/)?rm\b", text) and _REMOVES.search(text):
            return True
        if _CLEANS.search(text):
            return True
    return False


def _change(install: Install, rule: Mapping[str, Any]) -> Edit | Skip | None:
    """Return the edit that keeps the cache of one install out of the layer."""
    words = install.command.words
    given = {word.raw.partition("=")[0] for word in words}
    if given & set(rule["present"]):
        return None
    script = install.script
    option = rule.get("option")
    if option is not None:
        if install.manager == "poetry" and install.action not in ("install", "sync"):
            return None
        if install.manager == "apk" and _updates_index(install):
            return Skip("apk update fills an index in the same RUN, which --no-cache would not read")
        return insert(script.span(install.verb)[1], f" {option}")
    if not script.simple or install.command.depth or install.command.after not in ("", "&&"):
        return None
    if install.manager == "npm" and install.action not in ("ci", "install"):
        return None
    clean = str(rule["clean"])
    if install.manager == "yum":
        clean = f"{install.command.words[0].raw} {clean}"
    if install.manager == "conda":
        clean = clean.replace("conda", install.command.words[0].raw, 1)
    return insert(script.span(install.command)[1], f" && {clean}")


def _updates_index(install: Install) -> bool:
    return any(
        command.name and basename(command.name) == "apk" and {"update", "upgrade"} & set(command.argv)
        for command in install.script.commands
    )
