"""The base of small immutable values (`dataclasses` would triple the time that importing Blaze takes)."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Value"]


class Value:
    """Compare by class and fields, hash once, show the fields, and refuse changes.

    ``_fields`` names what tells two values of a class apart, as its ``__init__`` takes it; ``__init__`` hands
    these and what follows from them to ``_set``. A subclass may be a frozen dataclass instead.
    """

    _fields: tuple[str, ...] = ()
    _values: tuple[Any, ...] = ()  # those of the fields
    _hash: int

    def _set(self, **attributes: Any) -> None:
        own = self.__dict__
        own.update(attributes)
        own["_values"] = tuple([own[name] for name in self._fields])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Value) or other.__class__ is not self.__class__:
            return NotImplemented
        return self._values == other._values

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            found = self.__dict__["_hash"] = hash((self.__class__, *self._values))
            return found

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hash out: another process has others."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self._values))
        return f"{type(self).__qualname__}({shown})"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set, make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted")
