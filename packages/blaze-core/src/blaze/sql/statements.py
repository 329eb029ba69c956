"""Statements: frozen descriptions of what to run, made by builders, rendered by the compiler.

Values are not part of the structure. Every clause expression knows where its binds start in the statement's
`binds`; a builder hands out these places in the order of its calls. So a caller that keeps binds in its own
order calls the builder's methods in that same order, and nothing else has to be said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from blaze.sql.selectable import Selectable

if TYPE_CHECKING:
    from blaze.sql.derived import CTE
    from blaze.sql.expressions import Expression
    from blaze.sql.source import Source
    from blaze.sql.table import Table, TableColumn


class Placed(NamedTuple):
    """An expression and the index of its first bind."""

    expression: Expression[Any]
    start: int


class PlacedQuery(NamedTuple):
    """A query and the index of its first bind."""

    query: Selectable
    start: int


class PlacedCTE(NamedTuple):
    """A common table expression and the index of its first bind (the recursive part's follow)."""

    cte: CTE
    start: int


class Join(NamedTuple):
    """An explicit join: the source with the chain to it, or a root source with a condition.

    `kind` is inner, left, right, full or cross; `query` places the binds of a derived table.
    """

    source: Source
    kind: str
    on: Optional[Placed]
    query: Optional[PlacedQuery]


class Lock(NamedTuple):
    """FOR UPDATE or FOR SHARE with its options."""

    share: bool
    nowait: bool
    skip_locked: bool
    of: tuple[Source, ...]


class Grouping(NamedTuple):
    """GROUPING SETS, ROLLUP or CUBE over groups of expressions."""

    kind: str
    groups: tuple[tuple[Placed, ...], ...]


class Statement(Selectable):
    """Base of the statements: a key that determines the text, and the binds in the order of building."""

    __slots__ = ("binds", "columns", "ctes", "key")

    key: Any
    binds: tuple[Any, ...]
    columns: tuple[Placed, ...]
    ctes: tuple[PlacedCTE, ...]

    def statement(self) -> Statement:
        return self


class SelectStatement(Statement):
    """SELECT. Each item of `where` is one group of conditions (see `conditions.py`)."""

    __slots__ = (
        "distinct",
        "distinct_on",
        "group_by",
        "grouping",
        "having",
        "joins",
        "limit",
        "lock",
        "offset",
        "order_by",
        "root",
        "root_query",
        "where",
    )

    root: Source
    root_query: Optional[PlacedQuery]
    joins: tuple[Join, ...]
    where: tuple[tuple[Placed, ...], ...]
    group_by: tuple[Placed, ...]
    grouping: Optional[Grouping]
    having: tuple[Placed, ...]
    order_by: tuple[Placed, ...]
    limit: Optional[Placed]
    offset: Optional[Placed]
    distinct: bool
    distinct_on: tuple[Placed, ...]
    lock: Optional[Lock]


class CompoundStatement(Statement):
    """UNION, INTERSECT and EXCEPT of queries; order and limit apply to the whole."""

    __slots__ = ("first", "limit", "offset", "operations", "order_by")

    first: PlacedQuery
    operations: tuple[tuple[str, PlacedQuery], ...]
    order_by: tuple[Placed, ...]
    limit: Optional[Placed]
    offset: Optional[Placed]


class Conflict(NamedTuple):
    """ON CONFLICT: the columns of the unique key; without `update` the row is left alone.

    `others` are the columns of the table's further unique keys, as far as they are known; none for one over
    expressions.
    """

    columns: tuple[TableColumn, ...]
    update: tuple[tuple[TableColumn, Placed], ...]
    where: Optional[Placed]
    others: tuple[tuple[TableColumn, ...], ...]


class InsertStatement(Statement):
    """INSERT of `rows` rows of plain values, of rows of expressions, or of a query's rows.

    Plain values stand row by row at the start of the binds. `columns` is the RETURNING list.
    """

    __slots__ = ("conflict", "into", "query", "rows", "table", "values")

    table: Table
    into: tuple[TableColumn, ...]
    rows: int
    values: Optional[tuple[tuple[Placed, ...], ...]]
    query: Optional[PlacedQuery]
    conflict: Optional[Conflict]


class UpdateStatement(Statement):
    """UPDATE of one table; `columns` is the RETURNING list."""

    __slots__ = ("assignments", "root", "where")

    root: Source
    assignments: tuple[tuple[TableColumn, Placed], ...]
    where: tuple[tuple[Placed, ...], ...]


class DeleteStatement(Statement):
    """DELETE from one table; `columns` is the RETURNING list."""

    __slots__ = ("root", "where")

    root: Source
    where: tuple[tuple[Placed, ...], ...]


AnyStatement = Union[SelectStatement, CompoundStatement, InsertStatement, UpdateStatement, DeleteStatement]
