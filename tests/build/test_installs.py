"""What a RUN installs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.build.installs import Install, installs_of
from dockfix.build.model import Step
from dockfix.syntax.dockerfile import DockerfileSyntaxError, parse


def installs(command: str) -> tuple[Install, ...]:
    parsed = parse(f"FROM scratch\nRUN {command}\n")
    return installs_of(Step(parsed.instructions[1], 0, {}, frozenset(), "/app", None, ("/bin/sh", "-c")))


@pytest.mark.parametrize(
    "command",
    [
        "pip install x", "pip3 install x", "pip3.12 install x", "/usr/local/bin/pip install x",
        "python -m pip install x", "python3.11 -mpip install x", "python -u -m pip install x", "env A=b pip install x",
        "A=b pip install x", "sudo -E pip install x", "exec pip install x", "pip --no-cache-dir install x",
        "pip -q install x", "$VENV/bin/pip install x", '"${VENV}/bin/python" -m pip install x',
        "sh -c 'pip install x'", 'bash -lc "pip install x"', "(pip install x)", "if a; then pip install x; fi",
        "poetry run pip install x", "conda run -n e pip install x", "pip install -i https://a.example/ x",
        "pip install --index-url https://a.example/ x",
    ],
)  # fmt: skip
def test_pip_in_all_spellings(command: str) -> None:
    (install,) = installs(command)
    assert (install.manager, install.action, install.packages, install.unsure) == ("pip", "install", ("x",), ())
    assert install.verb.raw == "install"


@pytest.mark.parametrize(
    ("command", "manager", "action", "packages", "manifests"),
    [
        ("apt-get -y install --no-install-recommends -t stable a b=1", "apt", "install", ("a", "b=1"), ()),
        ("apk add --no-cache --virtual .build gcc", "apk", "add", ("gcc",), ()),
        ("dnf install -y a", "yum", "install", ("a",), ()),
        ("npm ci --omit=dev", "npm", "ci", (), ("package.json", "package-lock.json")),
        ("npm install -g a", "npm", "install", ("a",), ()),
        ("yarn --frozen-lockfile", "yarn", "install", (), ("package.json", "yarn.lock")),
        ("pnpm i", "pnpm", "i", (), ("package.json", "pnpm-lock.yaml")),
        ("gem install a -v 1.0", "gem", "install", ("a",), ()),
        ("go mod download", "go", "download", (), ("go.mod", "go.sum")),
        ("bundle install --jobs 4", "bundle", "install", (), ("Gemfile", "Gemfile.lock")),
        ("composer install --no-dev", "composer", "install", (), ("composer.json", "composer.lock")),
        ("uv sync --frozen --no-dev", "uv-sync", "sync", (), ("pyproject.toml", "uv.lock")),
        ("uv pip install --system -r r.txt", "uv-pip", "install", (), ("r.txt",)),
        ("poetry install --no-root --only main", "poetry", "install", (), ("pyproject.toml", "poetry.lock")),
        ("pipenv install --system --deploy", "pipenv", "install", (), ("Pipfile", "Pipfile.lock")),
        ("pdm sync --prod", "pdm", "sync", (), ("pyproject.toml", "pdm.lock")),
        ("conda env update -n base -f e.yml", "conda", "update", (), ("e.yml",)),
        ("micromamba install -y -n base a", "conda", "install", ("a",), ()),
    ],
)
def test_other_managers(
    command: str, manager: str, action: str, packages: tuple[str, ...], manifests: tuple[str, ...]
) -> None:
    (install,) = installs(command)
    assert (install.manager, install.action, install.packages, install.manifests, install.unsure) == (
        manager,
        action,
        packages,
        manifests,
        (),
    )


@pytest.mark.parametrize(
    "command",
    ["echo pip install x", "echo 'pip install x'", "pip freeze", "pip uninstall x", "yarn build", "npm run install",
     "uv run x", "python setup.py install", "python -m venv x", "apt-get update", "yarn --version", "$X install x",
     "install -d x", "# pip install x"],
)  # fmt: skip
def test_no_install(command: str) -> None:
    assert installs(command) == ()


def test_requirements_constraints_and_paths() -> None:
    (install,) = installs("pip install -Ur a.txt -rb.txt --requirement=c.txt -c d.txt -e .[dev] ./x.whl y")
    assert install.requirements == ("a.txt", "b.txt", "c.txt")
    assert install.constraints == ("d.txt",)
    assert install.manifests == ("a.txt", "b.txt", "c.txt", "d.txt")
    assert install.packages == (".[dev]", "./x.whl", "y")
    assert install.local == (".[dev]", "./x.whl")
    assert install.editable
    assert install.options == {"-U", "-r", "--requirement", "-c", "-e"}


@pytest.mark.parametrize(
    "command", ["pip install $X", "pip install -r $X", "pip install --surprise x", "pip install a>=1"]
)
def test_says_what_it_is_not_sure_about(command: str) -> None:
    (install,) = installs(command)
    assert install.unsure


@pytest.mark.parametrize(
    ("command", "workdir"),
    [
        ("pip install x", "/app"),
        ("cd src && pip install x", "/app/src"),
        ("cd /opt/../srv; pip install x", "/srv"),
        ("(cd /x && a) && pip install x", "/app"),
        ("(cd /x && pip install x)", "/x"),
        ("cd $D && pip install x", None),
        ("a || cd /x; pip install x", None),
        ("if a; then cd /x; fi; pip install x", None),
        ("cd /x | pip install x", "/app"),
        ("cd /x && sh -c 'cd y && pip install x'", "/x/y"),
    ],
)
def test_follows_cd(command: str, workdir: str | None) -> None:
    assert installs(command)[0].workdir == workdir


PIECES = st.sampled_from(
    ["pip", "install", "-r", "-", "--", "-e", "$x", "'", "uv", "sync", "-m", "python", "env", "sudo", "sh", "-c", "cd",
     "&&", "(", ")", "go", "mod", "yarn", "conda", "run", ";", "--x=$y", "=", "-qr"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=10).map(" ".join))
def test_never_raises(command: str) -> None:
    try:
        installs("true; " + command)
    except DockerfileSyntaxError:
        return
