"""Edits change their span and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockfix.syntax.edit import Edit, OverlapError, apply_edits, decode, delete, encode, insert, joined, overlaps


@given(st.binary())
def test_every_byte_survives(data: bytes) -> None:
    assert encode(decode(data)) == data


def test_insertions_keep_their_order_before_a_replacement() -> None:
    assert apply_edits("abc", [Edit(1, 2, "X"), insert(1, "1"), insert(1, "2"), delete(2, 3)]) == "a12X"


@pytest.mark.parametrize("edits", [[Edit(0, 2, ""), Edit(1, 3, "")], [delete(2, 9)]])
def test_refuses_overlaps_and_the_outside(edits: list[Edit]) -> None:
    with pytest.raises(OverlapError):
        apply_edits("abc", edits)


def test_overlaps() -> None:
    assert overlaps([insert(1, "a")], [insert(1, "b")])
    assert not overlaps([Edit(0, 1, "")], [Edit(1, 2, "")])


def test_deletions_that_share_text_become_one() -> None:
    assert joined([delete(5, 9), delete(0, 2), delete(4, 6)]) == [delete(0, 2), delete(4, 9)]
    assert joined([delete(0, 2), delete(2, 4)]) == [delete(0, 2), delete(2, 4)]
