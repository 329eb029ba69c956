"""A range of values, and the text in which PostgreSQL writes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, Literal, Optional, TypeVar

from blaze.utils.value import Value

__all__ = ["Range", "range_text", "read_range"]

T = TypeVar("T")
Bounds = Literal["[)", "[]", "(]", "()"]
_TEXT = re.compile(
    r'(?P<open>[\[(])(?P<lower>"(?:[^"]|"")*"|[^,"]*),(?P<upper>"(?:[^"]|"")*"|[^\])"]*)(?P<close>[\])])'
)


class Range(Value, Generic[T]):
    """The values between two bounds; None is no bound.

    `bounds` says which bound belongs to it, as in mathematics: "[)" has its start and not its end. A range
    whose bounds leave no value is the empty one, `Range.nothing()`.
    """

    lower: Optional[T]
    upper: Optional[T]
    bounds: str
    empty: bool

    _fields = ("lower", "upper", "bounds", "empty")

    def __init__(
        self, lower: Optional[T] = None, upper: Optional[T] = None, bounds: Bounds = "[)", empty: bool = False
    ) -> None:
        """Raise `ValueError` where the lower bound is above the upper one, or `bounds` are none."""
        if bounds not in ("[)", "[]", "(]", "()"):
            raise ValueError(f'bounds are "[)", "[]", "(]" or "()", not {bounds!r}')
        low: Any = lower
        if low is not None and upper is not None:
            if low > upper:
                raise ValueError(f"the lower bound {lower!r} of a range is above its upper one, {upper!r}")
            empty = empty or (low == upper and bounds != "[]")
        if empty:
            self._set(lower=None, upper=None, bounds="[)", empty=True)
            return
        start = bounds[0] if lower is not None else "("
        end = bounds[1] if upper is not None else ")"
        self._set(lower=lower, upper=upper, bounds=start + end, empty=False)

    @classmethod
    def nothing(cls) -> Range[T]:
        """Give the empty range."""
        return cls(empty=True)

    def __contains__(self, value: T) -> bool:
        if self.empty:
            return False
        each: Any = value
        if self.lower is not None and (each < self.lower or (each == self.lower and self.bounds[0] == "(")):
            return False
        if self.upper is None:
            return True
        return bool(each < self.upper or (each == self.upper and self.bounds[1] == "]"))

    def __bool__(self) -> bool:
        return not self.empty

    def __str__(self) -> str:
        return range_text(self, str)


def range_text(value: Range[Any], write: Callable[[Any], str]) -> str:
    """Give a range as PostgreSQL reads it."""
    if value.empty:
        return "empty"
    lower = "" if value.lower is None else f'"{write(value.lower)}"'
    upper = "" if value.upper is None else f'"{write(value.upper)}"'
    return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"


def read_range(text: str, read: Callable[[str], Any]) -> Range[Any]:
    """Read a range as PostgreSQL writes it; raise `ValueError` for what is none."""
    if text == "empty":
        return Range.nothing()
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no range")
    lower, upper = [read(part.strip('"')) if part else None for part in match.group("lower", "upper")]
    bounds: Any = match["open"] + match["close"]
    return Range(lower, upper, bounds)
