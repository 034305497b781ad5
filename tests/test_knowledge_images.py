"""The table of retired images, and what the table of wheels says of single packages."""

from __future__ import annotations

import re

import pytest

from dockfix_transforms._knowledge import table
from dockfix_transforms._wheels import Verdict, by_files, by_table, reaches

RETIRED = table("retired_images")
PACKAGES = table("python_packages")


def test_retired_images() -> None:
    for name, entry in RETIRED["images"].items():
        assert set(entry) <= {"conventions", "packages", "latest", "since", "variable"}, name
        assert entry["conventions"] in RETIRED["conventions"], name
        assert entry["latest"] in table("python_releases")["python"], name
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry["since"]), name
        assert set(entry["packages"]) <= set(RETIRED["releases"]), name
        assert entry["conventions"] != "uwsgi" or entry["variable"] in ("app", "application"), name


def test_conventions_name_a_variable_once() -> None:
    for name, conventions in RETIRED["conventions"].items():
        listed = [*conventions["written"], *conventions["dropped"], *conventions["others"]]
        assert len(listed) == len(set(listed)), name


def test_releases_of_replacements_go_up() -> None:
    from packaging.version import Version

    for name, releases in RETIRED["releases"].items():
        pythons = [Version(python) for python in releases]
        versions = [Version(version) for version in releases.values()]
        assert pythons == sorted(pythons), name
        assert versions == sorted(versions), name
    assert RETIRED["releases"]["gunicorn"]["3.7"] == table("servers")["gunicorn"]["version"]


def test_extras_are_known_packages() -> None:
    known = {*PACKAGES["pure"], *PACKAGES["wheels"], *table("debian_packages")["python"]}
    for key, packages in PACKAGES["extras"].items():
        name, extra = re.fullmatch(r"([a-z0-9-]+)\[([a-z0-9-]+)\]", key).groups()  # type: ignore[union-attr]
        assert name in known, key
        assert extra
        assert set(packages) <= known, key


@pytest.mark.parametrize(
    ("files", "python", "verdict"),
    [
        (["demo-1.0-py3-none-any.whl"], "3.12", "wheel"),
        (["demo-1.0-py2.py3-none-any.whl", "demo-1.0.tar.gz"], "3.7", "wheel"),
        (["demo-1.0.tar.gz"], "3.12", "source"),
        (["demo-1.0-cp312-cp312-manylinux2014_x86_64.whl"], "3.12", "source"),
        (
            ["demo-1-cp312-cp312-manylinux2014_x86_64.whl", "demo-1-cp312-cp312-manylinux2014_aarch64.whl"],
            "3.12",
            "wheel",
        ),
        (
            ["demo-1-cp311-cp311-manylinux2014_x86_64.whl", "demo-1-cp311-cp311-manylinux2014_aarch64.whl"],
            "3.12",
            "source",
        ),
        (
            ["demo-1-cp39-abi3-manylinux_2_28_x86_64.whl", "demo-1-cp39-abi3-manylinux_2_28_aarch64.whl"],
            "3.12",
            "wheel",
        ),
        (
            ["demo-1-cp39-abi3-manylinux_2_28_x86_64.whl", "demo-1-cp39-abi3-manylinux_2_28_aarch64.whl"],
            "3.8",
            "source",
        ),
        (["demo-1-cp312-cp312-musllinux_1_2_x86_64.whl", "demo-1-cp312-cp312-macosx_11_0_arm64.whl"], "3.12", "source"),
    ],
)
def test_wheels_of_a_lock_file(files: list[str], python: str, verdict: Verdict) -> None:
    assert by_files(files, python) == verdict


@pytest.mark.parametrize(
    ("name", "specifier", "python", "verdict"),
    [
        ("flask", "==0.12", "3.12", "wheel"),
        ("types-requests", "", "3.12", "wheel"),
        ("psycopg2", "", "3.12", "source"),
        ("psycopg2-binary", "", "3.12", "wheel"),
        ("numpy", "==1.24.4", "3.12", "source"),
        ("numpy", "==1.24.4", "3.11", "wheel"),
        ("numpy", ">=1.20,<1.25", "3.12", "source"),
        ("numpy", "~=1.26", "3.12", "wheel"),
        ("pydantic", "<2", "3.12", "wheel"),
        ("pydantic", "==2.0.3", "3.12", "source"),
        ("cryptography", ">=41", "3.13", "wheel"),
        ("python-magic", "", "3.12", "wheel"),
        ("acme-metrics", "", "3.12", "unknown"),
    ],
)
def test_wheels_of_the_table(name: str, specifier: str, python: str, verdict: Verdict) -> None:
    assert by_table(name, specifier, python) == verdict


@pytest.mark.parametrize(
    ("specifier", "first", "expected"),
    [
        ("", "2.0", True),
        (">=1.0", "2.0", True),
        ("==2.1", "2.0", True),
        ("==2.*", "2.0", True),
        ("==1.9", "2.0", False),
        ("<2", "2.0", False),
        ("<3", "2.0", True),
        ("!=2.0", "2.0", False),
        ("not a version", "2.0", False),
    ],
)
def test_reaches(specifier: str, first: str, expected: bool) -> None:
    assert reaches(specifier, first) is expected
