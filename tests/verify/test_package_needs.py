"""What a package requires: by markers, and with the extras that others ask for."""

from __future__ import annotations

from dockfix.verify.image import packages_of


def test_a_marker_that_does_not_hold_requires_nothing() -> None:
    found = packages_of([("flask", "3.1.0", ["click>=8", 'importlib-metadata>=3.6; python_version < "3.10"'])], "3.12")
    assert found["flask"].requires == ("click",)


def test_an_extra_counts_where_somebody_asks_for_it() -> None:
    installer = ("pbs-installer", "2025.1", ['httpx<1; extra == "download"', 'zstandard; extra == "install"'])
    alone = packages_of([installer], "3.12")
    asked = packages_of([installer, ("poetry", "2.1.1", ["PBS.Installer[download]>=2024"])], "3.12")
    assert alone["pbs-installer"].requires == ()
    assert asked["pbs-installer"].requires == ("httpx",)
    assert asked["poetry"].requires == ("pbs-installer",)


def test_what_is_no_requirement_is_passed_over() -> None:
    assert packages_of([("old", "1", ["what is this", "six"])], "3.12")["old"].requires == ("six",)
