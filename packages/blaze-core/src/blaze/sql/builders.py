"""Builders of statements: each call takes the next binds, so the order of calls is the order of the binds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from blaze.errors import QueryError
from blaze.security.redaction import redactor
from blaze.sql.columns import Column
from blaze.sql.combining import combined
from blaze.sql.derived import QueryTable
from blaze.sql.expressions import Expression, Literal, ScalarSubquery, bind_for
from blaze.sql.selectable import Selectable
from blaze.sql.source import Source
from blaze.sql.statements import (
    CompoundStatement,
    Conflict,
    DeleteStatement,
    Grouping,
    InsertStatement,
    Join,
    Lock,
    Placed,
    PlacedCTE,
    PlacedQuery,
    SelectStatement,
    UpdateStatement,
)
from blaze.sql.values import INTEGER, is_storable
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from blaze.sql.derived import CTE
    from blaze.sql.table import Table, TableColumn

B = TypeVar("B", bound="_Builder")

Count = Union[int, Expression[Any]]
Output = Union[Expression[Any], "TableColumn"]

JOIN_KINDS = ("inner", "left", "right", "full", "cross")
SET_OPERATIONS = ("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
GROUPINGS = ("GROUPING SETS", "ROLLUP", "CUBE")


class _Builder:
    """What the builders share: places, binds and the key, which grow call by call."""

    __slots__ = ("_binds", "_columns", "_ctes", "_key")

    def __init__(self, *key: Any) -> None:
        self._binds: list[Any] = []
        self._key: list[Any] = list(key)
        self._columns: list[Placed] = []
        self._ctes: list[PlacedCTE] = []

    def skip(self, binds: Iterable[Any]) -> None:
        """Pass over binds of a clause that this statement leaves out."""
        self._binds += binds

    def _place(self, clause: str, expression: Any) -> Placed:
        if not isinstance(expression, Expression):
            if not isinstance(expression, Selectable):
                raise QueryError(
                    f"{type(expression).__name__} is no expression for {clause}: use a column, a condition, "
                    "or literal(value)"
                )
            expression = ScalarSubquery(expression)
        placed = Placed(expression, len(self._binds))
        self._binds += expression.binds
        self._key.append((clause, expression.key))
        return placed

    def _place_query(self, clause: str, query: Selectable) -> PlacedQuery:
        placed = PlacedQuery(query, len(self._binds))
        self._binds += query.binds
        self._key.append((clause, query.key))
        return placed

    def _group(self, conditions: Iterable[Any]) -> tuple[Placed, ...]:
        self._key.append("GROUP")  # two calls with one condition differ from one call with two
        return tuple([self._place("WHERE", condition) for condition in conditions])

    def _derived(self, source: Source) -> Optional[PlacedQuery]:
        table = source.table
        if isinstance(table, QueryTable) and not str(table.serial).startswith("cte:"):
            return self._place_query("FROM", table.query)
        return None

    def _count(self, clause: str, value: Optional[Count]) -> Optional[Placed]:
        if value is None:
            self._key.append((clause, None))
            return None
        if not isinstance(value, Expression):
            if value.__class__ is not int or value < 0:
                raise QueryError(f"{clause} takes a whole number from 0 on, not {value!r}")
            value = Literal(value, INTEGER)
        return self._place(clause, value)

    def with_cte(self: B, cte: CTE) -> B:
        """Define a common table expression before the statement."""
        if any(placed.cte.name == cte.name for placed in self._ctes):
            raise QueryError(f"two common table expressions are named {cte.name!r}; rename one")
        self._ctes.append(PlacedCTE(cte, len(self._binds)))
        self._binds += cte.query.binds
        if cte.step is not None:
            self._binds += cte.step.binds
        self._key.append(("WITH", cte.key))
        return self

    def _returning(self, table: Table, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if not isinstance(output, Expression):
                output = Column(Source(table), output)
            self._columns.append(self._place("RETURNING", output))

    def _finish(self, statement: Any) -> Any:
        statement.key = tuple(self._key)
        statement.binds = tuple(self._binds)
        statement.columns = tuple(self._columns)
        statement.ctes = tuple(self._ctes)
        return statement


class SelectBuilder(_Builder):
    """Build a SELECT from a root source (a table, an alias, a derived table or a CTE)."""

    __slots__ = ("_statement",)

    def __init__(self, root: Source) -> None:
        super().__init__("SELECT", root.key)
        made = self._statement = SelectStatement()
        made.root = root
        made.root_query = self._derived(root)
        made.joins = ()
        made.where = ()
        made.group_by = ()
        made.grouping = None
        made.having = ()
        made.order_by = ()
        made.limit = None
        made.offset = None
        made.distinct = False
        made.distinct_on = ()
        made.lock = None

    def columns(self, *outputs: Expression[Any]) -> SelectBuilder:
        """Add to the select list."""
        self._columns += [self._place("COLUMN", output) for output in outputs]
        return self

    def join(
        self, source: Source, kind: str = "inner", on: Optional[Expression[Any]] = None
    ) -> SelectBuilder:
        """Join a source by its own chain, with `on` as a further condition, or a root by `on` alone."""
        if kind not in JOIN_KINDS:
            raise QueryError(f"there is no {kind!r} join{suggest(kind, JOIN_KINDS)}")
        if source.parent is None and (on is None) != (kind == "cross"):
            raise QueryError(
                f"a {kind} join of {source.path} {'takes no' if on is not None else 'needs a'} condition"
            )
        self._key.append((kind, source.key))
        query = self._derived(source)
        placed = self._place("ON", on) if on is not None else None
        self._statement.joins += (Join(source, kind, placed, query),)
        return self

    def where(self, *conditions: Expression[Any]) -> SelectBuilder:
        """Add one group of conditions: those on one to-many path hold for one and the same related row."""
        self._statement.where += (self._group(conditions),)
        return self

    def group_by(self, *expressions: Expression[Any]) -> SelectBuilder:
        """Add to GROUP BY."""
        self._statement.group_by += tuple([self._place("GROUPBY", each) for each in expressions])
        return self

    def grouping(self, kind: str, groups: Sequence[Sequence[Expression[Any]]]) -> SelectBuilder:
        """Group by `GROUPING SETS`, `ROLLUP` or `CUBE` over groups of expressions."""
        if kind not in GROUPINGS:
            raise QueryError(f"there is no grouping {kind!r}{suggest(kind, GROUPINGS)}")
        placed = []
        for group in groups:
            self._key.append(kind)
            placed.append(tuple([self._place("GROUPBY", each) for each in group]))
        self._statement.grouping = Grouping(kind, tuple(placed))
        return self

    def having(self, *conditions: Expression[Any]) -> SelectBuilder:
        """Add conditions on groups."""
        self._statement.having += tuple([self._place("HAVING", each) for each in conditions])
        return self

    def order_by(self, *expressions: Expression[Any]) -> SelectBuilder:
        """Add to ORDER BY."""
        self._statement.order_by += tuple([self._place("ORDER", each) for each in expressions])
        return self

    def limit(self, count: Optional[Count]) -> SelectBuilder:
        """Set LIMIT: a whole number, or an expression whose bind it is; None takes it back."""
        self._statement.limit = self._count("LIMIT", count)
        return self

    def offset(self, count: Optional[Count]) -> SelectBuilder:
        """Set OFFSET: a whole number, or an expression whose bind it is; None takes it back."""
        self._statement.offset = self._count("OFFSET", count)
        return self

    def distinct(self, *on: Expression[Any]) -> SelectBuilder:
        """Drop duplicate rows; with expressions, keep the first row of each of their values (DISTINCT ON)."""
        self._statement.distinct = True
        self._statement.distinct_on = tuple([self._place("DISTINCT ON", each) for each in on])
        self._key.append("DISTINCT")
        return self

    def for_update(
        self,
        *,
        share: bool = False,
        nowait: bool = False,
        skip_locked: bool = False,
        of: Sequence[Source] = (),
    ) -> SelectBuilder:
        """Lock the rows that are read."""
        if nowait and skip_locked:
            raise QueryError(
                "for_update() cannot both fail at once (nowait) and skip locked rows; choose one"
            )
        self._statement.lock = Lock(share, nowait, skip_locked, tuple(of))
        self._key.append(("LOCK", share, nowait, skip_locked, tuple(source.key for source in of)))
        return self

    def build(self) -> SelectStatement:
        """Return the statement; the builder is spent."""
        made: SelectStatement = self._finish(self._statement)
        if not made.columns:
            raise QueryError(f"the query of {made.root.path} selects nothing: name columns")
        return made


class CompoundBuilder(_Builder):
    """Build UNION, INTERSECT and EXCEPT, left to right."""

    __slots__ = ("_statement",)

    def __init__(self, first: Selectable) -> None:
        super().__init__("COMPOUND")
        made = self._statement = CompoundStatement()
        made.first = self._place_query("FIRST", first)
        made.operations = ()
        made.order_by = ()
        made.limit = None
        made.offset = None

    def add(self, operation: str, query: Selectable) -> CompoundBuilder:
        """Combine with another query: `UNION`, `INTERSECT` or `EXCEPT`, each also with ` ALL`."""
        if operation not in SET_OPERATIONS:
            raise QueryError(f"there is no set operation {operation!r}{suggest(operation, SET_OPERATIONS)}")
        self._statement.operations += ((operation, self._place_query(operation, query)),)
        return self

    def order_by(self, *expressions: Expression[Any]) -> CompoundBuilder:
        """Order the whole by columns of the first query."""
        self._statement.order_by += tuple([self._place("ORDER", each) for each in expressions])
        return self

    def limit(self, count: Optional[Count]) -> CompoundBuilder:
        """Set LIMIT of the whole."""
        self._statement.limit = self._count("LIMIT", count)
        return self

    def offset(self, count: Optional[Count]) -> CompoundBuilder:
        """Set OFFSET of the whole."""
        self._statement.offset = self._count("OFFSET", count)
        return self

    def build(self) -> CompoundStatement:
        """Return the statement; the builder is spent."""
        made: CompoundStatement = self._finish(self._statement)
        made.columns = made.first.query.statement().columns
        for operation, placed in made.operations:
            made.columns = combined(operation, made.columns, placed.query.statement().columns)
        return made


class InsertBuilder(_Builder):
    """Build an INSERT. Without `values` or `select` it takes `rows` rows of plain values from its binds."""

    __slots__ = ("_statement",)

    def __init__(self, table: Table, columns: Sequence[TableColumn], rows: int = 1) -> None:
        super().__init__("INSERT", table.serial, tuple([column.name for column in columns]), rows)
        made = self._statement = InsertStatement()
        made.table = table
        made.into = tuple(columns)
        made.rows = rows
        made.values = None
        made.query = None
        made.conflict = None

    def plain(self, binds: Sequence[Any]) -> InsertBuilder:
        """Take the plain values, row by row; call it before anything that carries binds."""
        self._binds += binds
        return self

    def values(self, rows: Sequence[Sequence[Any]]) -> InsertBuilder:
        """Insert rows of expressions and values."""
        made = self._statement
        made.rows = len(rows)
        made.values = tuple(
            [
                tuple([self._place("VALUE", stored(column, value)) for column, value in zip(made.into, row)])
                for row in rows
            ]
        )
        self._key.append(("ROWS", len(rows)))
        return self

    def select(self, query: Selectable) -> InsertBuilder:
        """Insert the rows of a query."""
        width = len(query.statement().columns)
        if width != len(self._statement.into):
            raise QueryError(f"the query gives {width} columns for {len(self._statement.into)} of the table")
        self._statement.query = self._place_query("QUERY", query)
        return self

    def on_conflict(
        self,
        columns: Sequence[TableColumn],
        update: Optional[Mapping[TableColumn, Any]] = None,
        where: Optional[Expression[Any]] = None,
        unique: Iterable[tuple[TableColumn, ...]] = (),
    ) -> InsertBuilder:
        """Leave the existing row alone, or update it: `excluded(name)` is the value that was refused.

        `unique` are the unique keys of the table; a conflict with another one than that of `columns` is an
        error.
        """
        named = set(columns)
        others = tuple([key for key in unique if set(key) != named])
        names = tuple([tuple([column.name for column in key]) for key in others])
        self._key.append(("CONFLICT", tuple([column.name for column in columns]), names))
        assignments = tuple(
            [
                (column, self._place(column.name, stored(column, value)))
                for column, value in (update or {}).items()
            ]
        )
        placed = self._place("WHERE", where) if where is not None else None
        self._statement.conflict = Conflict(tuple(columns), assignments, placed, others)
        return self

    def returning(self, *outputs: Output) -> InsertBuilder:
        """Give back columns of the rows."""
        self._returning(self._statement.table, outputs)
        return self

    def build(self) -> InsertStatement:
        """Return the statement; the builder is spent."""
        made: InsertStatement = self._finish(self._statement)
        return made


class UpdateBuilder(_Builder):
    """Build an UPDATE of the root's table."""

    __slots__ = ("_statement",)

    def __init__(self, root: Source) -> None:
        super().__init__("UPDATE", root.key)
        made = self._statement = UpdateStatement()
        made.root = root
        made.assignments = ()
        made.where = ()

    def set(self, column: TableColumn, value: Any) -> UpdateBuilder:
        """Assign an expression or a value."""
        self._statement.assignments += ((column, self._place(column.name, stored(column, value))),)
        return self

    def where(self, *conditions: Expression[Any]) -> UpdateBuilder:
        """Add one group of conditions."""
        self._statement.where += (self._group(conditions),)
        return self

    def returning(self, *outputs: Output) -> UpdateBuilder:
        """Give back columns of the changed rows."""
        self._returning(self._statement.root.table, outputs)
        return self

    def build(self) -> UpdateStatement:
        """Return the statement; the builder is spent."""
        made: UpdateStatement = self._finish(self._statement)
        if not made.assignments:
            raise QueryError(f"the update of {made.root.path} sets nothing")
        return made


class DeleteBuilder(_Builder):
    """Build a DELETE from the root's table."""

    __slots__ = ("_statement",)

    def __init__(self, root: Source) -> None:
        super().__init__("DELETE", root.key)
        made = self._statement = DeleteStatement()
        made.root = root
        made.where = ()

    def where(self, *conditions: Expression[Any]) -> DeleteBuilder:
        """Add one group of conditions."""
        self._statement.where += (self._group(conditions),)
        return self

    def returning(self, *outputs: Output) -> DeleteBuilder:
        """Give back columns of the deleted rows."""
        self._returning(self._statement.root.table, outputs)
        return self

    def build(self) -> DeleteStatement:
        """Return the statement; the builder is spent."""
        made: DeleteStatement = self._finish(self._statement)
        return made


def stored(column: TableColumn, value: Any) -> Expression[Any]:
    """Turn what is assigned to a column into an expression; a value must fit the column exactly."""
    if isinstance(value, Selectable):
        value = ScalarSubquery(value)
    if isinstance(value, Expression):
        if not is_storable(column.type, value.type):
            raise QueryError(
                f"cannot store {value.describe()}, {value.type!r}, in {column.table.name}.{column.name}, "
                f"{column.type!r}; cast() it"
            )
        return value
    if value is not None:
        refused = column.type.check(value)
        if refused is not None:
            refused = redactor.problem(column.name, value, refused)
            raise QueryError(f"cannot store this in {column.table.name}.{column.name}: {refused}")
    literal: Literal[Any] = Literal.__new__(Literal)
    literal.key = bind_for(column.type).key
    literal.binds = (value,)
    literal.type = column.type
    return literal
