"""Walk through expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.sql.columns import Column

if TYPE_CHECKING:
    from blaze.sql.expressions import Expression
    from blaze.sql.source import Source


def first_source(expression: Expression[Any]) -> Optional[Source]:
    """Return the root of the first column of an expression, None when it has no column of its own."""
    if isinstance(expression, Column):
        return expression.source.root
    for child in expression.children():
        found = first_source(child)
        if found is not None:
            return found
    return None
