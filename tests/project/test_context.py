"""Which folder a Dockerfile is built from, and how that is known."""

from __future__ import annotations

import pytest

from dockfix.project.context import Context, find_context
from dockfix.project.files import MemoryFiles


def context(files: dict[str, str], dockerfile: str, *copied: str) -> Context:
    return find_context(MemoryFiles({dockerfile: "", **files}), dockerfile, copied)


STATEMENTS = {
    "compose": (
        "compose.yaml",
        "services:\n  web:\n    build:\n      context: .\n      dockerfile: docker/Dockerfile\n",
    ),
    "compose from a subfolder": (
        "deploy/docker-compose.yml",
        "services:\n  web:\n    build: {context: .., dockerfile: docker/Dockerfile}\n",
    ),
    "anchors and merge keys": (
        "compose.yml",
        "x-b: &b\n  build: {context: ., dockerfile: docker/Dockerfile}\nservices:\n  web:\n    <<: *b\n",
    ),
    "bake in HCL": (
        "docker-bake.hcl",
        'target "web" {\n  context = "."\n  args = { A = "1" }\n  dockerfile = "docker/Dockerfile"\n}\n',
    ),
    "bake in JSON": ("docker-bake.json", '{"target": {"web": {"dockerfile": "docker/Dockerfile"}}}'),
    "Makefile": ("Makefile", "image:\n\tdocker build --no-cache -t web:$(TAG) \\\n\t\t-f docker/Dockerfile .\n"),
    "script": (
        "scripts/build.sh",
        'docker buildx build --push --platform linux/amd64 --file=docker/Dockerfile "$(pwd)" && ls\n',
    ),
    "podman": ("build.sh", "podman build -fdocker/Dockerfile . | tee log\n"),
    "workflow command": (
        ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - run: docker build -t x -f docker/Dockerfile .\n",
    ),
    "workflow with a command in the tag": (
        ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - run: docker build -f docker/Dockerfile --tag web:$(date +%s | cut -c1-9) .\n",
    ),
    "workflow with an expression in the tag": (
        ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - run: |\n          docker build --cache-from ${{ env.IMAGE }}:latest \\\n"
        "            --tag '${{ env.IMAGE }}':`git describe --tags` --file docker/Dockerfile \"$(pwd)\"\n",
    ),
    "workflow action": (
        ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n"
        "        with:\n          context: ${{ github.workspace }}\n          file: ./docker/Dockerfile\n",
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements(name: str) -> None:
    path, text = STATEMENTS[name]
    found = context({path: text, "docker/start.sh": ""}, "docker/Dockerfile", ".")
    assert (found.root, found.ambiguous) == ("", None)
    assert found.evidence.startswith(path)
    assert found.ignore_path == ".dockerignore"


@pytest.mark.parametrize(
    "files",
    [
        {
            "compose.yaml": "services: {web: {extends: {file: docker/base.yml, service: app}}}",
            "docker/base.yml": "services: {app: {build: {context: .., dockerfile: docker/Dockerfile}}}",
        },
        {
            "compose.yaml": "include: [docker/services.yml]\nservices: {}",
            "docker/services.yml": "services: {app: {build: {context: .., dockerfile: docker/Dockerfile}}}",
        },
        {
            "compose.yaml": "services: {app: {build: {context: .}}}",
            "compose.override.yaml": "services: {app: {build: {dockerfile: docker/Dockerfile}}}",
        },
        {
            "compose.yaml": "services: {app: {build: {context: .}}}",
            "docker/live.yml": "services: {app: {build: {dockerfile: docker/Dockerfile}}}",
            "Makefile": "up:\n\tdocker compose -f compose.yaml -f docker/live.yml up\n",
        },
    ],
    ids=["extends", "include", "override", "list of files"],
)
def test_compose_files_that_are_used_together(files: dict[str, str]) -> None:
    found = context({**files, "docker/start.sh": ""}, "docker/Dockerfile", ".")
    assert (found.root, found.ambiguous) == ("", None)
    assert found.evidence.partition(":")[0] in files


def test_copy_sources_lead_to_the_root() -> None:
    found = context({"requirements.txt": ""}, "docker/Dockerfile", "requirements.txt", ".")
    assert (found.root, found.ambiguous) == ("", None)


def test_copy_patterns_and_folders_count() -> None:
    found = context({"a/b/require.txt": "", "a/src/x.py": ""}, "a/docker/Dockerfile", "b/req*.txt", "src/")
    assert found.root == "a"


def test_the_nearest_folder_wins() -> None:
    found = context({"app.py": "", "web/app.py": ""}, "web/Dockerfile", "app.py")
    assert found.root == "web"


def test_addresses_say_nothing() -> None:
    found = context({"app.py": ""}, "Dockerfile", "https://example.com/x", ".")
    assert found.ambiguous is None


@pytest.mark.parametrize(
    ("files", "copied", "reason"),
    [
        ({}, ("missing.txt",), "missing.txt"),
        ({"docker/start.sh": "", "app.py": ""}, (".",), "nothing says"),
        ({"compose.yaml": "services: {web: {build: docker}}"}, ("app.py",), "has no app.py"),
    ],
)
def test_ambiguous(files: dict[str, str], copied: tuple[str, ...], reason: str) -> None:
    found = context(files, "docker/Dockerfile", *copied)
    assert found.ambiguous is not None
    assert reason in found.ambiguous


def test_two_statements_that_differ() -> None:
    files = {
        "compose.yaml": "services: {web: {build: docker}}",
        "build.sh": "docker build -f docker/Dockerfile .\n",
    }
    found = context(files, "docker/Dockerfile", ".")
    assert found.ambiguous is not None
    assert "build.sh:1" in found.ambiguous
    assert context({**files, "app.py": ""}, "docker/Dockerfile", "app.py").root == ""


@pytest.mark.parametrize(
    "text",
    [
        "services: [",
        "services:\n  web:\n    build: !!python/object/apply:os.system [x]\n",
        "a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n",
        "a: &a\n  b: *a\n",
        "\udcff: x\n",
        "- x\n",
        "",
        "services: {web: null, x: {build: null}, y: {build: [a]}}",
    ],
)
def test_files_that_say_nothing_do_no_harm(text: str) -> None:
    assert context({"compose.yaml": text, "docker-bake.json": text}, "Dockerfile", ".").root == ""


def test_what_the_ignore_file_hides() -> None:
    found = context(
        {"app/.dockerignore": "*.log\nnotes\n!notes/keep", "app/x.log": "", "app/notes/keep": "k", "app/notes/b": ""},
        "app/Dockerfile",
        "notes",
    )
    assert found.paths == (".dockerignore", "Dockerfile", "notes/b", "notes/keep", "x.log")
    assert not found.has("x.log")
    assert not found.has("notes/b")
    assert found.has("notes/keep")
    assert found.has("./notes/")
    assert not found.has("absent")
    assert found.text("notes/keep") == "k"
    assert found.repository_path("x") == "app/x"


def test_the_dockerfiles_own_ignore_file_is_in_force() -> None:
    found = context({"Dockerfile.dockerignore": "x\n", ".dockerignore": "y\n"}, "Dockerfile", ".")
    assert found.ignore_path == "Dockerfile.dockerignore"
    assert found.ignored("x")
    assert not found.ignored("y")
