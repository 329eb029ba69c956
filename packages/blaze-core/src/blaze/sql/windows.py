"""Windows: what a function with `.over()` looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.errors import QueryError
from blaze.sql.expressions import Expression, T

if TYPE_CHECKING:
    from collections.abc import Sequence

Frame = Optional[tuple[Optional[int], Optional[int]]]

_EXCLUDABLE = ("current row", "group", "ties")


def _listed(given: Union[Expression[Any], Sequence[Expression[Any]]]) -> tuple[Expression[Any], ...]:
    return (given,) if isinstance(given, Expression) else tuple(given)


class Window:
    """PARTITION BY, ORDER BY and at most one frame; the frame's bounds are part of the text."""

    __slots__ = ("exclude", "frame", "order", "partition", "unit")

    def __init__(
        self,
        partition_by: Union[Expression[Any], Sequence[Expression[Any]]] = (),
        order_by: Union[Expression[Any], Sequence[Expression[Any]]] = (),
        rows: Frame = None,
        range: Frame = None,
        groups: Frame = None,
        exclude: Optional[str] = None,
    ) -> None:
        self.partition = _listed(partition_by)
        self.order = _listed(order_by)
        if sum(frame is not None for frame in (rows, range, groups)) > 1:
            raise QueryError("a window has one frame: give rows, range or groups, not several")
        self.frame = rows or range or groups
        self.unit = "ROWS" if rows else "RANGE" if range else "GROUPS"
        if self.frame is not None:
            _check_frame(self.frame)
        if exclude is not None and (exclude not in _EXCLUDABLE or self.frame is None):
            raise QueryError(f"exclude={exclude!r} needs a frame and is one of {', '.join(_EXCLUDABLE)}")
        self.exclude = exclude


def _check_frame(frame: tuple[Optional[int], Optional[int]]) -> None:
    if len(frame) != 2 or any(bound is not None and bound.__class__ is not int for bound in frame):
        raise QueryError(f"a frame is a pair of whole numbers or None, as in rows=(-2, 0), not {frame!r}")
    start, end = frame
    if start is not None and end is not None and start > end:
        raise QueryError(f"the frame {frame!r} ends before it begins")


class Windowed(Expression[T]):
    """A function over a window."""

    __slots__ = ("function", "order", "partition", "window")

    visit = "windowed"
    parts = ("function", "partition", "order")

    def __init__(self, function: Expression[T], window: Window) -> None:
        self.function = function
        self.window = window
        self.partition = window.partition
        self.order = window.order
        self.type = function.type
        self.binds = tuple([value for child in self.children() for value in child.binds])
        self.key = (
            "OVER",
            window.unit,
            window.frame,
            window.exclude,
            len(self.partition),
            *[child.key for child in self.children()],
        )
