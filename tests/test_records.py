"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import pickle
from functools import cached_property

import pytest

from dockfix.records import record, replace


@record
class Point:
    """A point."""

    x: int
    y: int = 0

    @cached_property
    def sum(self) -> int:
        """The sum of both."""
        return self.x + self.y


@record
class Named(Point):
    """A point with a name."""

    name: str = ""


def test_fields_come_in_order_by_name_and_with_their_default() -> None:
    assert (Point(1).x, Point(1).y, Point(y=2, x=1).y) == (1, 0, 2)
    assert Named(1, 2, "here").name == "here"
    assert repr(Named(1, name="here")) == "Named(x=1, y=0, name='here')"


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"y": 2})]
)
def test_wrong_values_are_refused(args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(*args, **kwargs)


def test_nothing_can_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x


def test_equal_are_records_of_one_class_with_equal_fields() -> None:
    assert Point(1) == Point(1, 0)
    assert hash(Point(1)) == hash(Point(1, 0))
    assert Point(1) != Point(2)
    assert Point(1) != Named(1)


def test_replace_keeps_the_other_fields_and_forgets_what_was_computed() -> None:
    point = Named(1, 2, "here")
    assert point.sum == 3
    assert replace(point, x=5) == Named(5, 2, "here")
    assert replace(point, x=5).sum == 7
    with pytest.raises(TypeError):
        replace(point, z=1)


def test_records_can_be_pickled_and_matched() -> None:
    assert pickle.loads(pickle.dumps(Named(1, 2, "here"))) == Named(1, 2, "here")
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
