"""`Select`: a query that is bound to no session, a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from blaze.errors import QueryError
from blaze.query.query import Query
from blaze.query.root import root_of
from blaze.query.terminal import Plan

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect

R = TypeVar("R", covariant=True)


class Select(Query, Generic[R]):
    """An unbound query for a model or for columns.

    Give it to `session.exec`, use it as a subquery, or make a plan of it by a terminal method (`all()`,
    `count()`, ...), which `parallel_exec` runs.
    """

    __slots__ = ()

    def __init__(self, *entities: Any) -> None:
        root = root_of(entities)
        self.root = root
        self.parent = None
        self.kind = ""
        self.clause = None
        self.key = root.key
        self.binds = root.binds
        self.session = None

    def all(self) -> Plan[list[R]]:
        """Plan for the list of all results."""
        return Plan(self, "all")

    def first(self) -> Plan[Any]:
        """Plan for the first result, or None."""
        return Plan(self, "first")

    def one(self) -> Plan[R]:
        """Plan for the only result."""
        return Plan(self, "one")

    def one_or_none(self) -> Plan[Any]:
        """Plan for the only result, or None."""
        return Plan(self, "one_or_none")

    def scalar(self) -> Plan[Any]:
        """Plan for the first column of the first row, or None."""
        return Plan(self, "scalar")

    def scalars(self) -> Plan[Any]:
        """Plan for the first column of every row."""
        return Plan(self, "scalars")

    def count(self) -> Plan[int]:
        """Plan for the number of rows."""
        return Plan(self, "count")

    def exists(self) -> Plan[bool]:
        """Plan for whether there is a row."""
        return Plan(self, "exists")

    def update(self, **values: Any) -> Plan[int]:
        """Plan for an UPDATE of the selected rows; its result is their number."""
        return Plan(self, "update", (values,))

    def delete(self) -> Plan[int]:
        """Plan for a DELETE of the selected rows; its result is their number."""
        return Plan(self, "delete")

    def __getitem__(self, index: slice) -> Any:
        if not isinstance(index, slice):
            raise QueryError("an unbound query takes slices only; bind it to a session to read one result")
        return self.sliced(index)

    def to_sql(self, dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL text for a dialect and its parameters."""
        from blaze.query.compilation import Compilation

        text, params = Compilation.of(dialect).query(self).render(self.binds)
        return text, tuple(params)

    __iter__ = None
