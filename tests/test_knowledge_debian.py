"""The tables of Debian packages, Python packages and Python releases: their structure, and that they fit together.

Whether Debian has a package of a name is looked up in its archive when the table is changed, not here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import pytest

from dockfix.syntax.image import parse_image
from dockfix_transforms._debian import (
    apt_install,
    build_only,
    commands_of_full_images,
    installed_by_apt,
    library,
    needs_of,
    release_of,
    runtime_packages,
)
from dockfix_transforms._knowledge import table
from dockfix_transforms._python_images import parse_tag, published, python_tag

DEBIAN = table("debian_packages")
PACKAGES = table("python_packages")
RELEASES = table("python_releases")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
"""A package's name by Debian's policy, 5.6.1."""
DISTRIBUTION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
"""A name as PEP 503 normalises it."""
SUPPORTED = ("bullseye", "bookworm", "trixie")


def debian_names() -> Iterator[str]:
    yield from (*DEBIAN["build_only"], *DEBIAN["run_only"], *DEBIAN["headers"], *DEBIAN["commands"])
    for known in (*DEBIAN["headers"].values(), *DEBIAN["libraries"].values()):
        for names in known.values() if isinstance(known, dict) else [known]:
            yield from ([names] if names else []) if isinstance(names, str) else names


def used_names() -> set[str]:
    """Return the names that the tables of Python packages and modules ask for when the program runs."""
    run = {name for known in DEBIAN["python"].values() for name in known.get("run", [])}
    return run | {name for names in DEBIAN["modules"].values() for name in names}


def test_names_are_names() -> None:
    for name in debian_names():
        assert NAME.match(name), name
    for name in (*DEBIAN["python"], *PACKAGES["pure"], *PACKAGES["wheels"]):
        assert DISTRIBUTION.match(name), name


def test_releases_are_known() -> None:
    for known in (*DEBIAN["headers"].values(), *DEBIAN["libraries"].values()):
        if isinstance(known, dict):
            assert set(known) <= set(SUPPORTED)


def test_headers_are_no_build_tools_and_lead_to_no_headers() -> None:
    for name, known in DEBIAN["headers"].items():
        assert name not in DEBIAN["build_only"]
        for libraries in known.values() if isinstance(known, dict) else [known]:
            assert libraries
            assert not any(item.endswith("-dev") for item in libraries), name


def test_packages_of_builds_are_known() -> None:
    outside = {"graphviz", "libdb-dev", "libdbus-1-dev", "libglib2.0-dev", "libicu-dev", "libbluetooth-dev"}
    outside |= {"libgraphviz-dev", "librrd-dev"}
    for name, known in DEBIAN["python"].items():
        assert set(known) <= {"build", "run", "sdist", "hold", "from"}
        for package in known.get("build", []):
            assert build_only(package) or package in DEBIAN["headers"] or package in outside, (name, package)
        assert not known.get("sdist") or known.get("build"), f"{name} is always built: with what?"


def test_full_image_has_names_that_are_used() -> None:
    assert set(DEBIAN["full_image"]) <= used_names() | {"libcurl4", "libxslt1.1"}
    assert DEBIAN["full_image"] == sorted(DEBIAN["full_image"])


def test_libraries_are_used() -> None:
    assert set(DEBIAN["libraries"]) <= used_names()


def test_commands_stand_once() -> None:
    listed = [command for commands in DEBIAN["commands"].values() for command in commands]
    assert len(listed) == len(set(listed))
    assert commands_of_full_images()["ps"] == "procps"


def test_a_package_is_in_one_table() -> None:
    pure, wheels = set(PACKAGES["pure"]), set(PACKAGES["wheels"])
    built = {name for name, known in DEBIAN["python"].items() if known.get("sdist")}
    assert len(pure) == len(PACKAGES["pure"])
    assert not pure & wheels
    assert not (pure | wheels) & built
    assert set(PACKAGES["pure_below"]) <= wheels


def test_wheels_begin_with_a_version() -> None:
    from packaging.version import Version

    for name, known in PACKAGES["wheels"].items():
        for python, version in known.items():
            assert python == "any" or python in RELEASES["python"], name
            Version(version)
        found = [Version(known[python]) for python in RELEASES["python"] if python in known]
        assert found == sorted(found), f"{name}: a newer Python never got wheels earlier"


def test_releases_of_python() -> None:
    as_of = RELEASES["as_of"]
    for kind in ("python", "debian"):
        for name, known in RELEASES[kind].items():
            assert re.fullmatch(r"\d{4}-\d\d(?:-\d\d)?", known["end_of_life"])
            assert known.get("retired", False) == (known["end_of_life"] < as_of), name
    datetime.date.fromisoformat(as_of)
    for name, known in RELEASES["python"].items():
        assert set(known["debian"]) <= set(RELEASES["debian"])
        assert set(known["default"]) <= set(known["debian"]), name
        assert list(known["default"].values()) == sorted(known["default"].values())


@pytest.mark.parametrize(
    ("tag", "releases"),
    [
        ("3.12-slim-bookworm", "bookworm"),
        ("3.12-slim", "bookworm trixie"),
        ("3.12.3", "bookworm"),
        ("3.8", "bullseye bookworm"),
        ("3.14", "trixie"),
        ("3.12-alpine", None),
        ("", "trixie"),
    ],
)
def test_release_of_a_tag(tag: str, releases: str | None) -> None:
    assert release_of(tag) == releases


@pytest.mark.parametrize(
    ("package", "release", "expected"),
    [
        ("gcc", "bookworm", ()),
        ("gcc-12", None, ()),
        ("libpq-dev", None, ("libpq5",)),
        ("libpq-dev=15.8-0+deb12u1", "bookworm", ("libpq5",)),
        ("libpng-dev", "trixie", ("libpng16-16t64",)),
        ("libpng-dev", "bookworm trixie", ("libpng16-16",)),
        ("libtiff-dev", "bullseye bookworm", None),
        ("libssl-dev", "bookworm trixie", ()),
        ("zlib1g-dev", None, ()),
        ("libldap2-dev", "bookworm trixie", None),
        ("libldap2-dev", "trixie", ("libldap2",)),
        ("libpcre3-dev", "trixie", None),
        ("ffmpeg", "bookworm", None),
    ],
)
def test_runtime_packages(package: str, release: str | None, expected: tuple[str, ...] | None) -> None:
    assert runtime_packages(package, release) == expected


def test_libraries_of_slim_images_are_those_of_headers() -> None:
    listed = [
        item
        for known in DEBIAN["headers"].values()
        for item in (known.values() if isinstance(known, dict) else [known])
    ]
    assert set(DEBIAN["slim_image"]) - {name for names in listed for name in names} <= {"libgdbm6", "libuuid1"}


def test_library_names() -> None:
    assert library("libpq5", None) == "libpq5"
    assert library("libmagic1", "trixie") == "libmagic1t64"
    assert library("libmagic1", "bookworm trixie") == "libmagic1"
    assert library("libldap", "bookworm trixie") is None
    assert library("libharfbuzz-subset0", "bullseye") == ""
    assert library("libharfbuzz-subset0", "bookworm trixie") == "libharfbuzz-subset0"


def test_needs() -> None:
    psycopg = needs_of("psycopg2")
    assert psycopg is not None
    assert psycopg.sdist
    assert psycopg.run == ("libpq5",)
    assert needs_of("flask") is None


def test_headers_bring_their_library() -> None:
    assert {"libpq-dev", "libpq5"} <= installed_by_apt(["libpq-dev"])


def test_apt_install_is_one_layer() -> None:
    assert apt_install(["curl", "git"], "run", "\r\n") == (
        "run apt-get update && apt-get install -y --no-install-recommends curl git && rm -rf /var/lib/apt/lists/*\r\n"
    )


def test_tags_of_other_registries() -> None:
    assert python_tag(parse_image("public.ecr.aws/docker/library/python:3.12")) == parse_tag("3.12")
    assert python_tag(parse_image("example.com/python:3.12")) is None
    assert published("3.12", "slim-bookworm")
    assert not published("3.14", "slim-bullseye")
