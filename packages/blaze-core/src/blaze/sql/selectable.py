"""What can stand as a subquery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blaze.sql.statements import Statement


class Selectable:
    """A query: its key, its binds in the order of building, and its statement on demand.

    `key` determines the statement's text; `binds` are the values in the order in which the query was built.
    """

    __slots__ = ()

    key: Any
    binds: tuple[Any, ...]

    def statement(self) -> Statement:
        """Return the statement, whose clauses know where in `binds` their values start."""
        raise NotImplementedError

    def as_operand(self) -> Selectable:
        """Return the query to use as one side of a comparison or as a list of values."""
        return self
