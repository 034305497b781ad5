"""Which Python packages a stage gets: from the command line, from requirements files, from projects and lock files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dockfix.build.installs import Install
from dockfix.build.manifests import origin_of, toml_of
from dockfix.build.model import Build, Step
from dockfix.records import record
from dockfix.syntax.patterns import pattern
from dockfix.syntax.requirements import Line, normalised, parse_requirements, reachable_manifests
from dockfix_transforms._knowledge import table
from dockfix_transforms._obstacle import Obstacle

PYTHON: Final = frozenset({"pip", "uv-pip", "uv-sync", "poetry", "pipenv", "pdm"})
_LOCKS: Final = {"poetry": "poetry.lock", "uv-sync": "uv.lock", "pdm": "pdm.lock", "pipenv": "Pipfile.lock"}
_VCS: Final = pattern(r"(?:\w+\s*(?:\[.*?\])?\s*@\s*)?(?:git|hg|svn|bzr)\+|.*\.git(?:@|\Z)")
_BACKENDS: Final = frozenset(
    {"setuptools", "wheel", "hatchling", "flit-core", "poetry-core", "pdm-backend", "uv-build"}
)
_BUILT: Final = pattern(r"ext_modules|cythonize|setup_requires|cffi_modules|rust_extensions|package_dir\s*=.*os\.")
_DEPENDENCY: Final = pattern(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;\s*(.*))?\Z", re.DOTALL
)
_POETRY_CARET: Final = pattern(r"\^\s*(\d+)(\.\d+)?(\.\d+)?\Z")


@record
class Distribution:
    """A Python package that an install gets. ``name`` is normalised by PEP 503; ``line`` is that of the RUN.

    ``files`` are the names of the release's files, where a lock file has them; None where it does not say.
    ``version`` holds a version specifier.
    """

    name: str
    version: str
    extras: frozenset[str]
    line: int
    files: tuple[str, ...] | None = None
    from_source: bool = False
    """Whether it comes from version control, so that it is always built."""


def distributions(
    build: Build, step: Step, install: Install, python: str, *, prebuilt: bool = False
) -> tuple[Distribution, ...]:
    """Return the packages that *install* names, and those of a lock file with all that they depend on.

    *python* is the version, such as "3.12", for which requirements apply. With *prebuilt* it takes wheels that another
    stage built, which are not counted again. Raises ``Obstacle``.
    """
    reader = _Reader(build, step, install, python, prebuilt)
    try:
        found = list(reader.read())
    except (AttributeError, TypeError):  # values of another kind than the manifest's format has
        raise reader.obstacle("its manifest is not understood") from None
    for item in list(found):
        for extra in item.extras:
            key = f"{item.name}[{normalised(extra)}]"
            known = table("python_packages")["extras"].get(key)
            if known is None and item.files is None:
                found.append(Distribution(key, "", frozenset(), item.line))
            found += [Distribution(name, "", frozenset(), item.line) for name in known or ()]
    return tuple(found)


def file_of(build: Build, step: Step, install: Install, name: str) -> str | None:
    """Return the file of the context that *install* finds under *name*, None where it finds none that is known."""
    return _Reader(build, step, install, "3", False).origin(name)


class _Reader:
    """Reads what one install gets."""

    def __init__(self, build: Build, step: Step, install: Install, python: str, prebuilt: bool) -> None:
        self.build = build
        self.step = step
        self.install = install
        self.python = python
        self.prebuilt = prebuilt
        self.line = step.line

    def obstacle(self, reason: str) -> Obstacle:
        return Obstacle(reason, self.line)

    def read(self) -> Iterator[Distribution]:
        install = self.install
        if any("no-binary" in word.raw for word in install.command.words) or any(
            self.step.env.get(name) for name in ("PIP_NO_BINARY", "UV_NO_BINARY")
        ):
            raise self.obstacle("it is told to build packages from source")
        if install.manager in ("pip", "uv-pip"):
            yield from self._pip()
        elif install.manager in _LOCKS:
            yield from self._project(install.manager)
        else:
            raise self.obstacle(f"what {install.manager} installs is not known")

    def _pip(self) -> Iterator[Distribution]:
        for package in self.install.packages:
            if self.prebuilt and (package is None or package in self.install.local):
                continue
            if package is None:
                self._check_variables()
            elif re.match(r"\.(?:/|\[|\Z)", package):
                yield from self._own(package.partition("[")[2].rstrip("]"))
            elif package in self.install.local:
                raise self.obstacle(f"it installs {package}, whose needs are not known")
            else:
                yield from self._requirement(package)
        for name in self.install.requirements:
            source = self.origin(name)
            if source is None and self.prebuilt:
                continue
            if source is None:
                raise self.obstacle(f"{name} is not in the build context")
            text_of = self._text
            for path in reachable_manifests(text_of, source)[0]:
                lines = parse_requirements(text_of(path) or "")
                if lines is None:
                    raise self.obstacle(f"{path} is no text that pip reads")
                for item in lines:
                    yield from self._line(path, item)

    def _text(self, path: str) -> str | None:
        """Return the text of a requirements file of the context; pip reads UTF-16 too, by its byte order mark."""
        text = self.build.project.context.text(path)
        if text is None or not text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            return text
        return text.encode("utf-8", "surrogateescape").decode("utf-16", "replace")

    def _check_variables(self) -> None:
        """Raise ``Obstacle`` where a variable may hold more than the release of pip and its like."""
        words = [word.raw.strip("\"'") for word in self.install.command.words if word.value is None]
        if not all(re.match(r"(?:pip|setuptools|wheel|poetry|pipenv|uv)(?:[=<>~!]=?|\$)", word) for word in words):
            raise self.obstacle("the packages that it installs are in a variable")

    def _line(self, path: str, item: Line) -> Iterator[Distribution]:
        where = f"{path}:{item.number}"
        if item.kind == "requirement" and item.name is not None:
            if self._applies(item.marker):
                yield Distribution(item.name, item.specifier, item.extras, self.line)
        elif item.kind == "editable" and item.value in (".", "./"):
            yield from self._own("")
        elif item.kind == "url" or (item.kind == "editable" and _VCS.match(item.value)):
            yield self._from_source(item.name, item.value, where)
        elif item.kind in ("path", "editable", "unknown"):
            raise self.obstacle(f"{where} installs {item.value or 'something'}, whose needs are not known")
        elif item.option in ("no-binary", "find-links"):
            raise self.obstacle(f"{where} says --{item.option}")

    def _requirement(self, text: str) -> Iterator[Distribution]:
        if "://" in text or _VCS.match(text):
            yield self._from_source(None, text, f"line {self.line}")
            return
        match = _DEPENDENCY.match(text.strip())
        if not match:
            raise self.obstacle(f"{text} is not understood")
        if self._applies(match[4] or ""):
            extras = frozenset(part.strip() for part in (match[2] or "[]")[1:-1].split(",") if part.strip())
            yield Distribution(normalised(match[1]), match[3].strip(), extras, self.line)

    def _from_source(self, name: str | None, url: str, where: str) -> Distribution:
        if url.endswith(".whl") and name is not None:
            return Distribution(name, "", frozenset(), self.line, (posixpath.basename(url),))
        shown = re.sub(r"//[^/@]*@", "//", url)
        return Distribution(name or shown, "", frozenset(), self.line, from_source=True)

    def _applies(self, marker: str) -> bool:
        if not marker:
            return True
        from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

        environment = {
            "python_version": self.python,
            "python_full_version": f"{self.python}.99",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "implementation_name": "cpython",
            "extra": "",
        }
        try:
            return Marker(marker).evaluate(environment)
        except (InvalidMarker, UndefinedEnvironmentName):
            return True

    def _project(self, manager: str) -> Iterator[Distribution]:
        if self.install.action == "add" or any(self.install.packages):
            for package in self.install.packages:
                if package is not None and package not in self.install.local:
                    yield from self._requirement(package)
        lock = self.origin(_LOCKS[manager])
        skip = bool(self.install.options & {"--no-dev", "--only", "--without", "--only-main", "--prod", "--production"})
        if lock is not None and "--skip-lock" not in self.install.options:
            from dockfix_transforms._lock_files import pipfile_lock, toml_lock

            text = self.build.project.context.text(lock) or ""
            development = bool(self.install.options & {"--dev", "-d"})
            found = (
                pipfile_lock(text, development=development)
                if manager == "pipenv"
                else toml_lock(text, without_development=skip)
            )
            if found is None:
                raise self.obstacle(f"{lock} is not understood")
            for item in found:
                if self._applies(item.marker):
                    none: frozenset[str] = frozenset()
                    yield Distribution(item.name, item.version, none, self.line, item.files, item.from_source)
            return
        if manager == "pipenv":
            yield from self._pipfile()
        else:
            yield from self._own("", dependencies_only=True)

    def _pipfile(self) -> Iterator[Distribution]:
        source = self.origin("Pipfile")
        data = toml_of(self.build.project.context.text(source) or "") if source else None
        if data is None:
            raise self.obstacle("the Pipfile is not in the build context")
        sections = ["packages", "dev-packages"] if self.install.options & {"--dev", "-d"} else ["packages"]
        for name, value in [pair for section in sections for pair in data.get(section, {}).items()]:
            yield self._entry(name, value, caret=False)

    def _own(self, extras: str, *, dependencies_only: bool = False) -> Iterator[Distribution]:
        """Yield what the project itself depends on. Raises ``Obstacle`` where its build may need more than Python."""
        source = self.origin("pyproject.toml")
        data = toml_of(self.build.project.context.text(source) or "") if source else None
        if source is None or data is None:
            raise self.obstacle("what the project depends on is not known: it has no pyproject.toml")
        if not dependencies_only:
            self._check_backend(source, data)
        project = data.get("project", {})
        if "dependencies" in project.get("dynamic", ()):
            raise self.obstacle(f"{source} computes the dependencies")
        for text in project.get("dependencies", ()):
            yield from self._requirement(str(text))
        optional = project.get("optional-dependencies", {})
        wanted = {part.strip() for part in extras.split(",")} if extras else set()
        chosen = set(optional) if self.install.options & {"--all-extras", "--extra", "--extras", "-E"} else wanted
        for name in chosen:
            for text in optional.get(name, ()):
                yield from self._requirement(str(text))
        poetry = data.get("tool", {}).get("poetry", {})
        groups = [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
        groups += [group.get("dependencies", {}) for group in poetry.get("group", {}).values()]
        for name, value in [pair for group in groups for pair in group.items()]:
            if name != "python":
                yield self._entry(name, value, caret=True)

    def _check_backend(self, source: str, data: Mapping[str, Any]) -> None:
        context = self.build.project.context
        folder = posixpath.dirname(source)
        for required in data.get("build-system", {}).get("requires", ()):
            name = normalised(re.split(r"[\s\[<>=!~;]", str(required).strip(), maxsplit=1)[0])
            if name not in _BACKENDS:
                raise self.obstacle(f"{source} builds the project with {name}")
        setup = context.text(posixpath.join(folder, "setup.py")) or ""
        if _BUILT.search(setup) or "build" in data.get("tool", {}).get("poetry", {}):
            raise self.obstacle("the project is compiled when it is installed")

    def _entry(self, name: str, value: object, *, caret: bool) -> Distribution:
        """Return the dependency of a Pipfile or of ``[tool.poetry]``: a specifier, or a table with ``version``."""
        entry = value[0] if isinstance(value, list) and value else value
        if isinstance(entry, dict):
            if entry.get("git") or entry.get("url"):
                return Distribution(normalised(name), "", frozenset(), self.line, from_source=True)
            if entry.get("path") or entry.get("file") or entry.get("editable"):
                raise self.obstacle(f"{name} comes from a folder of the source")
            version, extras = str(entry.get("version", "*")), frozenset(map(str, entry.get("extras", ())))
        else:
            version, extras = str(entry), frozenset()
        return Distribution(normalised(name), _specifier(version) if caret else version.strip("*"), extras, self.line)

    def origin(self, name: str) -> str | None:
        """Return the file of the context that the stage has under *name* where the install runs."""
        if self.install.workdir is None:
            return None
        target = posixpath.normpath(posixpath.join(self.install.workdir, name))
        index: int | None = self.step.stage
        while index is not None:
            stage = self.build.stages[index]
            for other in reversed(stage.of("COPY", "ADD")):
                if (index != self.step.stage or other.line < self.line) and other.copy is not None:
                    source = origin_of(other.copy, self.build.project.context, target)
                    if source is not None:
                        return source
            index = stage.base_stage
        return self._mounted(target)

    def _mounted(self, target: str) -> str | None:
        """Return the file that ``RUN --mount=type=bind`` shows at *target*."""
        context = self.build.project.context
        for flag in self.step.instruction.flags:
            parts = dict(part.partition("=")[::2] for part in (flag.value or "").split(","))
            if flag.name != "mount" or parts.get("type", "bind") != "bind" or "from" in parts:
                continue
            source = posixpath.normpath(parts.get("source") or parts.get("src") or ".")
            place = parts.get("target") or parts.get("destination") or parts.get("dst") or ""
            place = posixpath.normpath(posixpath.join(self.step.workdir or "/", place))
            below = posixpath.relpath(target, place)
            path = posixpath.normpath(posixpath.join(source, below))
            if not below.startswith("..") and context.text(path) is not None:
                return path
        return None


def _specifier(text: str) -> str:
    """Return Poetry's version constraint as a specifier of PEP 440; ``^1.2`` keeps what the first part allows."""
    text = text.strip()
    if text in ("*", ""):
        return ""
    match = _POETRY_CARET.match(text)
    if match:
        major = int(match[1])
        upper = f"{major + 1}" if major or not match[2] else f"0.{int(match[2][1:]) + 1}"
        return f">={text[1:].strip()},<{upper}"
    if text.startswith("~") and not text.startswith("~="):
        return f"~={text[1:].strip()}" if text.count(".") > 1 else f"=={text[1:].strip()}.*"
    return f"=={text}" if text[0].isdigit() else text
