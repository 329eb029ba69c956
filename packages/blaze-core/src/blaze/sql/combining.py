"""Which columns the queries of a set operation may put under one another."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from blaze.errors import QueryError
from blaze.sql.values import NULL, is_alike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.sql.statements import Placed


def combined(operation: str, columns: Sequence[Placed], others: Sequence[Placed]) -> tuple[Placed, ...]:
    """Return the columns of a set operation: those of the first query, which others must be like.

    Where the first has NULL, the values are of the other's type.
    """
    if len(columns) != len(others):
        raise QueryError(f"{operation} joins {len(columns)} and {len(others)} columns; select equally many")
    found = []
    for first, second in zip(columns, others):
        one, other = first.expression, second.expression
        if not is_alike(one.type, other.type):
            raise QueryError(
                f"{operation} puts {other.describe()}, {other.type!r}, under {one.describe()}, {one.type!r}, "
                "and reads a column in one way only: select values of one type, or cast() one of them"
            )
        if one.type in (None, NULL) and other.type is not None:
            one = copy(one)
            one.type = other.type
            first = first._replace(expression=one)
        found.append(first)
    return tuple(found)
