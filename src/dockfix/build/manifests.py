"""Which files of the build context an install reads, and why that cannot always be told."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from dockfix.build.copies import Copy
from dockfix.build.installs import Install
from dockfix.project.context import Context
from dockfix.records import record
from dockfix.syntax.patterns import pattern

# Managers whose installs need nothing but their manifests, and the files that they read where they exist.
_CONVENTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "poetry": (("pyproject.toml",), ("poetry.lock", "poetry.toml")),
    "uv-sync": (("pyproject.toml",), ("uv.lock", "uv.toml", ".python-version")),
    "pdm": (("pyproject.toml",), ("pdm.lock",)),
    "pipenv": (("Pipfile",), ("Pipfile.lock",)),
    "npm": (("package.json",), ("package-lock.json", "npm-shrinkwrap.json", ".npmrc")),
    "yarn": (("package.json",), ("yarn.lock", ".npmrc", ".yarnrc")),
    "pnpm": (("package.json",), ("pnpm-lock.yaml", ".npmrc")),
    "go": (("go.mod",), ("go.sum",)),
    "bundle": (("Gemfile",), ("Gemfile.lock", ".ruby-version")),
    "composer": (("composer.json",), ("composer.lock", "auth.json")),
}
_PYPROJECT: Final = r"\bpath\s*=|\bworkspace\b|\bfile:|\bdevelop\s*=\s*true"
_NODE: Final = r"\bfile:|\bworkspace:|\"workspaces\"|\"(?:pre|post)?(?:install|prepare)\"\s*:|\blink:|\bportal:"
# What in a manifest names other files of the source, or runs scripts of it.
_LOCAL: Final = {
    "pyproject.toml": pattern(_PYPROJECT),
    "Pipfile": pattern(r"\b(?:path|file)\s*=|\bworkspace\b|\bfile:"),
    "package.json": pattern(_NODE),
    "go.mod": pattern(r"^\s*replace\b.*=>\s*\.|^\s*\S+\s*=>\s*\.{1,2}/|=>\s*/", re.MULTILINE),
    "Gemfile": pattern(
        r"\bpath\b|\bgemspec\b|\beval_gemfile\b|\b(?:require|load)(?:_relative)?\b\s*\(?['\"]|\bFile\b|\bDir\b|\bfile:|`"
    ),
    "composer.json": pattern(r"\"scripts\"|\"classmap\"|\"path\"\s*[,}]|\"artifact\"\s*[,}]|\"files\"\s*:"),
}
_SETTINGS: Final = (
    *("PIP_CONFIG_FILE", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_REQUIREMENT", "PIP_FIND_LINKS", "NETRC"),
    *("UV_CONFIG_FILE", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE", "UV_FIND_LINKS", "PIPENV_PIPFILE"),
    *("NPM_CONFIG_USERCONFIG", "BUNDLE_GEMFILE", "COMPOSER", "GOFLAGS"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT", "PIP_CLIENT_CERT", "NODE_EXTRA_CA_CERTS"),
    *("GIT_SSL_CAINFO", "UV_CERT", "SSL_CERT_DIR", "GIT_SSH"),
)
_USER_SETTINGS: Final = (
    *("/etc/pip.conf", "/root/.pip/pip.conf", "/root/.config/pip/pip.conf", "/root/.netrc", "/root/.condarc"),
    *("/root/.npmrc", "/root/.config/uv/uv.toml", "/etc/uv/uv.toml", "/root/.config/pypoetry/config.toml"),
)
_CONDA_LOCAL: Final = pattern(
    r"^\s*-\s*[\"']?(?:-r\b|--requirement\b|-c\b|-e\b|--editable\b|--find-links\b|-f\b|\.|/|file:|\S+\.whl\b).*|file://\S+",
    re.MULTILINE,
)
_CONDA_PIN: Final = pattern(r"^\s*-\s*[^#\s]+=", re.MULTILINE)
# Options with which composer reads the source for its class map.
_COMPOSER_SCANS: Final = frozenset({"-o", "--optimize-autoloader", "-a", "--classmap-authoritative"})
_LOCKS: Final = {
    "pyproject.toml": ("poetry.lock", "uv.lock", "pdm.lock"),
    "Pipfile": ("Pipfile.lock",),
    "package.json": ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"),
    "Gemfile": ("Gemfile.lock",),
    "composer.json": ("composer.lock",),
}


class Unknown(Exception):
    """Why the files that an install reads cannot be told; the message is for the user."""


@record
class Manifest:
    """A file of the build context, relative to its root, and the path of the image where an install reads it."""

    source: str
    target: str


def manifests_of(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    """Return the files of the context that *install* reads, in order.

    *origin* tells which file of the context is found at a path of the image, None where none is. Raises ``Unknown``.
    """
    if install.local:
        raise Unknown(f"it installs {install.local[0]} from the source")
    if install.editable:
        raise Unknown("it installs from the source")
    names = {word.raw.partition("=")[0] for word in install.command.words}
    if install.manager in ("pip", "uv-pip") and names & {"-f", "--find-links"}:
        raise Unknown("it looks for packages in a folder")
    if install.manager in ("pip", "uv-pip"):
        return _of_requirements(install, context, origin)
    if install.manager not in _CONVENTIONS:
        if install.manager in ("apt", "apk", "yum", "gem"):
            return ()
        if install.manager == "conda":
            return _of_conda(install, context, origin)
        raise Unknown(f"what {install.manager} reads is not known")
    return _by_convention(install, context, origin)


def _of_requirements(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    from dockfix.syntax.requirements import reachable_manifests

    found: dict[str, str] = {}
    for name in (*install.requirements, *install.constraints):
        if "://" in name:
            continue
        target = _absolute(install, name)
        source = origin(target)
        if source is None:
            raise Unknown(f"{name} is not in the build context" if "$" not in name else f"{name} is not known")
        if install.manager == "uv-pip" and posixpath.basename(name) == "pyproject.toml":
            _check_dependencies(source, context.text(source) or "")
            found.setdefault(source, target)
            continue
        paths, reasons = reachable_manifests(context.text, source)
        if reasons:
            raise Unknown(reasons[0])
        for path in paths:
            below = posixpath.relpath(path, posixpath.dirname(source) or ".")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(target), below))
            if origin(place) != path:
                raise Unknown(f"{path} is read at {place}, where it does not come")
            found.setdefault(path, place)
    if install.unsure:
        raise Unknown(install.unsure[0])
    return tuple(Manifest(source, target) for source, target in found.items())


def _check_dependencies(source: str, text: str) -> None:
    """Raise ``Unknown`` unless the pyproject.toml *text* itself says what the project depends on."""
    if local := _local_in("pyproject.toml", text):
        raise Unknown(f"{source} names files of the source ({local})")
    project = (toml_of(text) or {}).get("project")
    if project is None or {"dependencies", "optional-dependencies"} & set(project.get("dynamic") or ()):
        raise Unknown(f"{source} does not say what the project depends on")


def _by_convention(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    required, optional = _CONVENTIONS[install.manager]
    if install.manager in ("npm", "yarn", "pnpm") and any(package for package in install.packages):
        return ()
    if "--only-root" in install.options:
        raise Unknown("it installs the project itself")
    if install.manager == "composer" and install.options & _COMPOSER_SCANS and "--no-autoloader" not in install.options:
        raise Unknown("composer looks through the source for its class map")
    found = []
    for name in (*required, *optional):
        target = _absolute(install, name)
        source = origin(target)
        if source is None:
            if name in required:
                raise Unknown(f"{name} is not in the build context")
            continue
        if name in required and (local := _local_in(name, context.text(source) or "")):
            raise Unknown(f"{source} names files of the source ({local})")
        found.append(Manifest(source, target))
    if install.manager == "bundle" and origin(_absolute(install, ".bundle/config")):
        raise Unknown(".bundle/config says more than the Gemfile")
    if install.manager == "yarn" and origin(_absolute(install, ".yarnrc.yml")):
        raise Unknown(".yarnrc.yml may name files of the source")
    return tuple(found)


def _local_in(name: str, text: str) -> str | None:
    """Return what in the manifest *name* names other files of the source, or runs scripts of it; None for nothing."""
    found = _LOCAL[name].search(text)
    if found is None or name != "pyproject.toml":
        return found.group().strip() if found else None
    table = toml_of(text)
    if table is None:
        return found.group().strip()
    # settings of other tools may have a path too: only dependencies count
    tool = table.get("tool") or {}
    poetry, uv, pdm = (tool.get(key) or {} for key in ("poetry", "uv", "pdm"))
    uv = {key: value for key, value in uv.items() if key in ("sources", "workspace", "dev-dependencies", "find-links")}
    poetry = {key: poetry.get(key) for key in ("dependencies", "dev-dependencies", "group")}
    groups = (table.get("dependency-groups"), pdm.get("dev-dependencies"), pdm.get("source"))
    return next(_paths_in((table.get("project"), poetry, uv, *groups)), None)


def _paths_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("path", "workspace", "find-links", "develop"):
                yield str(key)
            yield from _paths_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths_in(item)
    elif isinstance(value, str) and ("file:" in value or value.startswith("-e")):
        yield value


def toml_of(text: str) -> dict[str, Any] | None:
    """Return what the TOML file *text* says, None where it is none."""
    import tomllib

    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (ValueError, RecursionError):
        return None


def _of_conda(install: Install, context: Context, origin: Callable[[str], str | None]) -> tuple[Manifest, ...]:
    """Return the environment files of a conda command; one that names packages only reads none."""
    names = install.requirements
    if not names and any(word.value == "env" for word in install.command.words):
        names = ("environment.yml",)
    found = []
    for name in names:
        if "://" in name:
            continue
        target = _absolute(install, name)
        source = origin(target)
        text = context.text(source) if source is not None else None
        if source is None or text is None:
            raise Unknown(f"{name} is not in the build context" if "$" not in name else f"{name} is not known")
        if local := _CONDA_LOCAL.search(text):
            raise Unknown(f"{source} names files of the source ({local.group().strip()})")
        found.append(Manifest(source, target))
    if install.unsure:
        raise Unknown(install.unsure[0])
    return tuple(found)


def settings_of(
    env: Mapping[str, str | None], workdir: str | None, origin: Callable[[str], str | bool | None]
) -> str | None:
    """Return the variable or the path by which package managers read settings in a file of the source, None for none.

    *env* and *workdir* are those of the RUN that installs; *origin* is as for ``manifests_of``.
    """
    for name in _SETTINGS:
        value = env.get(name)
        if value and "://" not in value and origin(posixpath.normpath(posixpath.join(workdir or "/", value))):
            return name
    return next((path for path in _USER_SETTINGS if origin(path)), None)


def unlocked(manifests: Iterable[Manifest], context: Context) -> tuple[str, ...]:
    """Return the manifests that pin nothing: no version in the file itself and no lock file beside it."""
    from dockfix.syntax.requirements import as_read, parse_requirements

    paths = [manifest.source for manifest in manifests]
    found = []
    for path in paths:
        folder, name = posixpath.split(path)
        if name in _LOCKS:
            if not any(posixpath.join(folder, lock) in paths for lock in _LOCKS[name]):
                found.append(path)
        elif name.endswith((".txt", ".in")):
            lines = parse_requirements(as_read(context.text(path) or "")) or ()
            requirements = [line for line in lines if line.kind == "requirement"]
            if requirements and not any(line.pinned for line in requirements):
                found.append(path)
        elif name.endswith((".yml", ".yaml")) and not re.search(
            r"^\s*-\s*[^#\s]+=", context.text(path) or "", re.MULTILINE
        ):
            found.append(path)
    return tuple(found)


def origin_of(copy: Copy, context: Context, target: str) -> str | None:
    """Return the file of the context that *copy* brings to the path *target* of the image, None where it does not."""
    if copy.from_ is not None or copy.destination is None:
        return None
    below = posixpath.relpath(target, copy.destination)
    for source in copy.sources:
        if source.value is None:
            continue
        value = posixpath.normpath("/" + source.value).lstrip("/")
        for path in dict.fromkeys((posixpath.normpath(posixpath.join(value, below)), value)):
            if not path.startswith("..") and copy.image_path(path) == target and _is_file(context, path):
                return path
    if any("*" in (source.value or "") for source in copy.sources):
        for path in context.paths:
            if copy.image_path(path) == target and not context.ignored(path):
                return path
    return None


def _is_file(context: Context, path: str) -> bool:
    return context.repository_path(path) in context.files.paths and context.has(path)


def _absolute(install: Install, name: str) -> str:
    if install.workdir is None:
        raise Unknown("the directory that it runs in is not known")
    return posixpath.normpath(posixpath.join(install.workdir, name))
