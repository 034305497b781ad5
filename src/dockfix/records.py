"""Frozen records: what ``dataclasses.dataclass(frozen=True)`` gives, without the code that it compiles at import.

A frozen dataclass costs 0.3 ms when its module is imported, since six methods are written as text and compiled. With
some seventy of them that was a quarter of what a user waits for. A record shares its methods with all others, and
type checkers see it as a frozen dataclass (PEP 681).
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
R = TypeVar("R", bound=object)


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a frozen record of a class with annotated fields.

    Fields that have a value in the class are optional; the value is shared by the instances, so it is an immutable
    one. Fields of a base class that is a record come first. Records are equal when they are of one class and all
    their fields are; they can be pickled, and hold a ``functools.cached_property``.
    """
    names: list[str] = list(getattr(cls, "__match_args__", ()))
    names += [name for name in cls.__annotations__ if name not in names]
    given: dict[str, Any] = {
        "__match_args__": tuple(names),
        "_required": tuple(name for name in names if not hasattr(cls, name)),
        "__init__": _init,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__eq__": _equal,
        "__hash__": _hash,
        "__repr__": _repr,
    }
    for name, value in given.items():
        if name not in cls.__dict__ or name == "__match_args__":
            setattr(cls, name, value)
    return cls


def replace(one: R, **changes: object) -> R:
    """Return a record like *one* with some fields changed. Raises ``TypeError`` for a name that is no field."""
    values = vars(one)
    kept = {name: values[name] for name in type(one).__match_args__ if name in values}  # type: ignore[attr-defined]
    return type(one)(**{**kept, **changes})


def _init(self: Any, *args: object, **kwargs: object) -> None:
    values = self.__dict__
    names = self.__match_args__
    if len(args) == len(names) and not kwargs:
        values.update(zip(names, args, strict=False))
        return
    if len(args) > len(names):
        raise TypeError(f"{type(self).__name__} takes {len(names)} values, not {len(args)}")
    values.update(zip(names, args, strict=False))
    if kwargs:
        for name in kwargs:
            if name in values or name not in names:
                raise TypeError(f"{type(self).__name__} has no field {name!r}, or it was given twice")
        values.update(kwargs)
    if len(values) < len(names):
        missing = [name for name in self._required if name not in values]
        if missing:
            raise TypeError(f"{type(self).__name__} lacks {', '.join(missing)}")


def _refuse(self: object, name: str, value: object = None) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed")


def _fields(self: Any) -> tuple[object, ...]:
    return tuple([getattr(self, name) for name in self.__match_args__])


def _equal(self: object, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return self is other or _fields(self) == _fields(other)


def _hash(self: object) -> int:
    return hash(_fields(self))


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({fields})"
