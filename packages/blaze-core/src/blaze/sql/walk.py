"""Walk through expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.errors import QueryError
from blaze.sql.columns import Column
from blaze.sql.functions import Function
from blaze.sql.windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blaze.sql.expressions import Expression
    from blaze.sql.source import Source


def too_deep() -> QueryError:
    """Return the error for an expression that Python cannot walk through; databases have limits, too."""
    return QueryError(
        "an expression is nested too deeply; calculate a part of it in Python, or in a subquery of its own"
    )


def has_aggregate(expression: Expression[Any]) -> bool:
    """Whether the expression holds an aggregate that makes one row of many; windows and subqueries do not."""
    if isinstance(expression, Windowed):
        return False
    if isinstance(expression, Function) and expression.aggregate:
        return True
    return any(has_aggregate(child) for child in expression.children())


def has_window(expression: Expression[Any]) -> bool:
    """Whether the expression holds a window function, which no condition may; subqueries do not count."""
    return isinstance(expression, Windowed) or any(has_window(child) for child in expression.children())


def columns_of(expression: Expression[Any]) -> Iterator[Column[Any]]:
    """Yield every column of an expression; those of a subquery are its own."""
    if isinstance(expression, Column):
        yield expression
    for child in expression.children():
        yield from columns_of(child)


def root_sources(expression: Expression[Any]) -> Iterator[Source]:
    """Yield the root of every column of an expression."""
    return (column.source.root for column in columns_of(expression))


def first_source(expression: Expression[Any]) -> Optional[Source]:
    """Return the root of the first column of an expression, None when it has no column of its own."""
    return next(root_sources(expression), None)
