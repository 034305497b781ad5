"""What the image does with compilers and headers behind its installs, when a builder would have them alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename
from typing import Final

from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command
from dockfix_transforms._debian import needs_of, release_of, runtime_packages
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._tools import python_image

_PROGRAMS: Final = (
    r"make|gmake|cmake|ninja|meson|gcc|g\+\+|cc|c\+\+|cpp|clang|gfortran|ld|ar|strip|objdump|readelf|cargo|rustc|swig|nasm|"
    r"bison|flex|autoconf|automake|pkg-config|patch|perl|pg_config|mysql_config|mariadb_config|gdal-config|xml2-config|"
    r"xslt-config|curl-config|krb5-config"
)
CALLS: Final = pattern(
    r"(?:^|[;&|(]|\b(?:exec|sudo|then|do|else|time)\b|[ \t]-\w*c(?=[ \t])|[\[\"'`@])[ \t]*(?:/usr/bin/)?"
    rf"({_PROGRAMS})(?![\w.:=+-])",
    re.MULTILINE,
)
"""A program that the builder alone would have, where a command begins."""
_IN_CODE: Final = pattern(rf"[\"'](?:/usr/bin/)?({_PROGRAMS})[\"' ]")
_RUNS: Final = pattern(r"\b(?:subprocess|os\.system|os\.exec|Popen|create_subprocess)")
_BUILDS: Final = pattern(
    r"\b(?:distutils|setuptools|[Cc]ythoni[sz]e|pyximport|cffi|pybind11|Extension\(|load_inline|cpp_extension|weave)\b"
)
_LIBRARY: Final = pattern(r"(?:CDLL|LoadLibrary|dlopen)\(\s*[\"']([^\"']*\.so)[\"']")
_LIBRARY_PATH: Final = pattern(r"(/[\w/.+-]*\.so)[\"']?\Z")
_COMPILES: Final = frozenset(
    {
        *("cythonize", "cython", "mypyc", "nuitka", "nuitka3", "f2py", "maturin", "pyinstaller", "gem", "bundle", "go"),
        *("Rscript", "cpan", "cpanm", "luarocks", "make", "gcc", "g++", "cc", "cmake", "cargo", "patch", "perl", "tox"),
    }
)
_MODULES: Final = frozenset({"build", "setuptools", "cython", "Cython", "mypyc", "nuitka", "PyInstaller", "numpy.f2py"})
_NODE: Final = frozenset({"npm", "yarn", "pnpm", "bun"})
_COMPILERS: Final = frozenset({"gcc", "g++", "build-essential", "gfortran", "clang"})


def lost_packages(stage: Stage, last: int) -> set[str]:
    """Return the Debian packages up to line *last* that the final stage does not get, or gets as a library only."""
    release = release_of(stage.image.tag if stage.image else None)
    return {
        package
        for step in stage.of("RUN")
        if step.line <= last
        for install in step.installs
        if install.manager == "apt"
        for package in install.packages
        if package is not None and runtime_packages(package, release) is not None
    }


def check_uses(build: Build, stage: Stage, lost: set[str], moved: Sequence[Step]) -> None:
    """Raise ``Obstacle`` where a RUN of the final stage or the program's code uses what *lost* brought.

    *moved* are the steps that the final stage has no more.
    """
    if not lost:
        return
    gone = {step.line for step in moved}
    for step in stage.of("RUN"):
        if step.line not in gone and not any(install.manager == "apt" for install in step.installs):
            for command in step.script.commands if step.script else ():
                if command.words and (shown := _compiles(build, command, lost)):
                    raise Obstacle(f"a RUN of the final stage compiles, or may: {shown}", step.line)
    for step in stage.of("ENV"):
        for pair in pairs_of(step.instruction, build.dockerfile.escape):
            if found := _LIBRARY_PATH.search(pair.raw or ""):
                raise Obstacle(f"{found.group(1)} comes with the headers of the library", step.line)
    context = build.project.context
    for path in context.paths[:2000]:
        if not path.endswith(".py") or re.search(r"(?:^|/)(?:tests?/|test_|setup\.py|conftest)", path):
            continue
        code = context.text(path) or ""
        if found := _LIBRARY.search(code):
            where = context.repository_path(path)
            raise Obstacle(f"{found.group(1)} comes with the headers of the library", _line(code, found), where)
        if _RUNS.search(code) and (found := _IN_CODE.search(code)):
            raise Obstacle(f"the program runs {found.group(1)}", _line(code, found), context.repository_path(path))


def _compiles(build: Build, command: Command, lost: set[str]) -> str | None:
    """Return what in a command needs a compiler or may need one, None for nothing."""
    words = [word.value or word.raw for word in command.words]
    name = basename(words[0])
    shown = " ".join(words)[:60]
    if name in _COMPILES:
        return shown
    if name in _NODE:
        installs = len(words) == 1 or {"install", "ci", "i", "add", "rebuild"} & set(words[1:3])
        return shown if installs and lost & {"make", "g++", "build-essential", "python3-dev"} else None
    if re.match(r"python[\d.]*\Z", name):
        return shown if _python_compiles(build, words[1:]) else None
    script = None
    if name in ("sh", "bash", "dash", "ash") and len(words) > 1:
        if words[1].startswith("-") and "c" in words[1]:
            return shown if any(CALLS.search(word) for word in words[2:]) else None
        script = next((word for word in words[1:] if not word.startswith("-")), None)
    elif name.endswith(".sh") or ("/" in words[0] and not words[0].startswith(("/usr/", "/bin/", "/opt/venv/"))):
        script = words[0]
    if script is None:
        return None
    texts = list(_texts(build, basename(script)))
    return shown if not texts or any(_script_compiles(text) for text in texts) else None


def _python_compiles(build: Build, words: Sequence[str]) -> bool:
    words = [word for word in words if word not in ("-u", "-B", "-O")]
    if not words or words[0] == "-m":
        return bool({*words[1:2]} & _MODULES)
    if words[0] == "-c":
        return any(_BUILDS.search(word) or (_RUNS.search(word) and _IN_CODE.search(word)) for word in words[1:])
    name = basename(words[0])
    if name == "manage.py":
        return False
    if name == "setup.py":
        return True
    texts = list(_texts(build, name))
    return not texts or any(_BUILDS.search(text) or _IN_CODE.search(text) for text in texts)


def _script_compiles(text: str) -> bool:
    return any(
        CALLS.search(line) or re.search(r"setup\.py|cythonize|\bpip3?\s+install|\bnpm\s+(?:ci|i)", line)
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
    )


def _texts(build: Build, name: str) -> Iterator[str]:
    context = build.project.context
    for path in context.paths:
        if basename(path) == name:
            yield context.text(path) or ""


def libraries_of_compilers(build: Build, stage: Stage, lost: set[str], installs: Sequence[Step]) -> tuple[str, ...]:
    """Return the libraries that came with the compilers in *lost* and that a package loads. Raises ``Obstacle`` where
    a package compiles when the program runs.
    """
    tag = (python_image(stage.image) or "").partition(":")[2]
    if not lost & _COMPILERS or "slim" not in tag:
        return ()
    from dockfix_transforms._distributions import distributions

    found: dict[str, None] = {}
    minor = re.match(r"3\.\d+", tag)
    for step in installs:
        for install in step.installs:
            if install.manager in ("apt", "apk", "yum"):
                continue
            try:
                named = distributions(build, step, install, minor.group() if minor else "3.12")
            except Obstacle:  # what it installs cannot be told
                continue
            for distribution in named:
                needs = needs_of(distribution.name)
                if needs is not None and "compiles when the program runs" in needs.hold:
                    raise Obstacle(f"{distribution.name}: {needs.hold}", distribution.line)
                if needs is not None and "libgomp1" in needs.run:
                    found["libgomp1"] = None
    return tuple(found)


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
