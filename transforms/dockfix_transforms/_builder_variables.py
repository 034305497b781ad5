"""Which variables a builder needs: those that its installs read, in the Dockerfile or in what the Dockerfile copies."""

from __future__ import annotations

from posixpath import basename
from typing import Final

from dockfix.build.keyvalue import pairs_of
from dockfix.build.model import Build, Stage, Step
from dockfix.syntax.patterns import pattern

# What the application reads and no install does; everything else is given to the builder as well.
_RUNTIME_ONLY: Final = pattern(
    r"(?:PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONPATH|PORT|HOST|TZ|APP_.*|FLASK_.*|DJANGO_.*|UVICORN_.*|GUNICORN_.*"
    r"|DEBUG|DATABASE_.*|DB_.*|POSTGRES_.*|MYSQL_.*|REDIS_.*|CELERY_.*|C_FORCE_ROOT"
    r"|.*SECRET.*|.*PASSWORD.*|.*TOKEN.*|.*_KEY)\Z"
)
# What an ARG is read for by package managers, compilers and the builds of packages, without being named.
_OF_BUILDS: Final = pattern(
    r"(?:PIP_|POETRY_|PIPENV_|UV_|PDM_|CMAKE_|SETUPTOOLS_|CARGO_|GRPC_|TORCH_|USE_|FORCE_|NPY_).*|.*_PRETEND_VERSION\w*"
    r"|(?:C|CXX|CPP|LD|ARCH|MAKE)FLAGS|CC|CXX|MAX_JOBS|DEBIAN_FRONTEND|SLUGIFY_USES_TEXT_UNIDECODE"
    r"|(?i:(?:https?|ftp|no|all)_proxy)|GIT_SSL_\w+|GDAL_VERSION|HDF5_DIR"
)
_MANIFEST: Final = pattern(r"[\w.-]*(?:require|constraint)[\w.-]*|pip\.conf|Pipfile|pyproject\.toml|uv\.toml")
_NAMED: Final = pattern(r"\$\{([A-Z0-9_]+)\}")


def serves_installs(build: Build, stage: Stage, step: Step) -> bool:
    """Whether an ENV holds more than what only the running program reads, or an ARG what an install reads.

    A RUN sees the ARGs of its stage as variables: pip takes its index from ``ARG PIP_INDEX_URL``, and a password from
    ``${TOKEN}`` in a requirements file. The build of a project may read any of them.
    """
    names = {pair.name for pair in pairs_of(step.instruction, build.dockerfile.escape)}
    if names & _in_manifests(build) or any(install.local for other in stage.of("RUN") for install in other.installs):
        return True
    if step.keyword == "ARG":
        return any(_OF_BUILDS.fullmatch(name) for name in names)
    return not all(_RUNTIME_ONLY.match(name) for name in names)


def _in_manifests(build: Build) -> set[str]:
    """Return the variables that requirements files and settings of package managers name."""
    context = build.project.context
    found: set[str] = set()
    for path in context.paths:
        if _MANIFEST.fullmatch(basename(path)) and "${" in (text := context.text(path) or ""):
            found.update(_NAMED.findall(text))
    return found
